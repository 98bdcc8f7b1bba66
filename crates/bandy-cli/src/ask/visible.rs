//! What a server sends, fit for a terminal: nothing in it moves the cursor, changes a colour or rings.
//!
//! Line feeds, tabs and CRLF stay. Other control characters show as `^[`, those beyond ASCII, and those that turn the
//! direction of writing around, as `\u{202e}`, and bytes that are not UTF-8 as `\xff`.

use std::fmt::Write;

/// The filter. It keeps the few bytes of a character, or the CR of a line end, that was cut in two.
#[derive(Debug, Default)]
pub struct Visible {
    held: Vec<u8>,
}

impl Visible {
    /// What to print for these bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let keep = unfinished(&self.held);
        let ready = self.held.len() - keep;
        let text = show(&self.held[..ready]);
        self.held.drain(..ready);
        text
    }

    /// What to print for the bytes that are held, now that no more come.
    pub fn flush(&mut self) -> String {
        show(&std::mem::take(&mut self.held))
    }
}

/// All of `bytes`, made visible.
pub fn show(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\n' | '\t' => out.push(c),
                '\r' if chars.peek() == Some(&'\n') => out.push(c),
                '\0'..='\x1f' | '\x7f' => {
                    out.push('^');
                    // `^[` for ESC: what one types to get it. DEL is `^?`.
                    out.push(char::from((c as u8) ^ 0x40));
                }
                _ if is_treacherous(c) => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "{}", c.escape_unicode());
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// C1 controls, which some terminals obey, and bidirectional controls, which show text in another order than it has.
fn is_treacherous(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many bytes at the end wait for what follows.
fn unfinished(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\r") {
        return 1;
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => 0,
        // Earlier errors hide the one at the end: only the last few bytes are looked at.
        Err(_) => (1..=3.min(bytes.len()))
            .find(|n| {
                let tail = &bytes[bytes.len() - n..];
                let begins = tail[0] >= 0xc0;
                begins && matches!(std::str::from_utf8(tail), Err(e) if e.error_len().is_none())
            })
            .unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_move_the_cursor() {
        for (bytes, shown) in [
            (&b"tab\tline\r\nend\n"[..], "tab\tline\r\nend\n"),
            (b"\x1b[2Jgone\x07", "^[[2Jgone^G"),
            (b"over\rwritten", "over^Mwritten"),
            (b"\x7f\x00", "^?^@"),
            ("\u{9b}2J \u{202e}txt".as_bytes(), "\\u{9b}2J \\u{202e}txt"),
            (b"caf\xe9!", "caf\\xe9!"),
            ("grüß 日本".as_bytes(), "grüß 日本"),
        ] {
            assert_eq!(show(bytes), shown);
        }
    }

    #[test]
    fn where_the_bytes_are_cut_does_not_matter() {
        let bytes = "a\r\nß\r日\x1b\u{9b}\u{ff}é".as_bytes();
        let bytes = [bytes, b"\xff\xc3(\xe6\x97"].concat();
        for cut in 0..=bytes.len() {
            let mut visible = Visible::default();
            let (a, b) = bytes.split_at(cut);
            let shown = visible.feed(a) + &visible.feed(b) + &visible.flush();
            assert_eq!(shown, show(&bytes), "cut at {cut}");
        }
    }
}
