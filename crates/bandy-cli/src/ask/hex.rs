//! The hex dump: offset, sixteen bytes, and the same as ASCII, with `>` for what was sent and `<` for what came.

use std::fmt::Write;

/// Where each direction stands.
#[derive(Debug)]
pub struct Dump {
    /// A stream's offsets run on; each message begins with 0.
    runs_on: bool,
    sent: usize,
    received: usize,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Sent,
    Received,
}

impl Dump {
    /// The dump of a stream, or of messages.
    pub fn new(is_stream: bool) -> Dump {
        Dump {
            runs_on: is_stream,
            sent: 0,
            received: 0,
        }
    }

    /// The lines for some of a stream or a whole message. An empty message has a line too.
    pub fn lines(&mut self, way: Way, bytes: &[u8]) -> String {
        let (mark, offset) = match way {
            Way::Sent => ('>', &mut self.sent),
            Way::Received => ('<', &mut self.received),
        };
        if !self.runs_on {
            *offset = 0;
        }
        let mut out = String::with_capacity((bytes.len() / 16 + 1) * 82);
        for row in bytes.chunks(16) {
            line(&mut out, mark, *offset, row);
            *offset = offset.wrapping_add(row.len());
        }
        if bytes.is_empty() && !self.runs_on {
            line(&mut out, mark, 0, &[]);
        }
        out
    }
}

fn line(out: &mut String, mark: char, offset: usize, row: &[u8]) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{mark} {offset:08x} ");
    for at in 0..16 {
        if at == 8 {
            out.push(' ');
        }
        let _ = match row.get(at) {
            Some(byte) => write!(out, " {byte:02x}"),
            None => write!(out, "   "),
        };
    }
    out.push_str("  |");
    out.extend(row.iter().map(|b| match b {
        b' '..=b'~' => char::from(*b),
        _ => '.',
    }));
    out.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_run_on_in_a_stream_and_not_in_messages() {
        let mut stream = Dump::new(true);
        assert_eq!(
            stream.lines(Way::Sent, b"Hello\n"),
            "> 00000000  48 65 6c 6c 6f 0a                                 |Hello.|\n"
        );
        assert!(
            stream
                .lines(Way::Received, b"x")
                .starts_with("< 00000000  78 ")
        );
        assert!(stream.lines(Way::Sent, b"more").starts_with("> 00000006 "));
        let mut messages = Dump::new(false);
        messages.lines(Way::Sent, b"one");
        assert!(messages.lines(Way::Sent, b"two").starts_with("> 00000000 "));
        assert!(messages.lines(Way::Sent, b"").ends_with("  ||\n"));
    }

    #[test]
    fn sixteen_bytes_a_line() {
        let lines = Dump::new(true).lines(Way::Received, &[b'a'; 17]);
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("61  61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|"));
        assert!(lines[1].starts_with("< 00000010  61 "));
    }
}
