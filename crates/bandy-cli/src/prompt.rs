//! Asking for a secret at the terminal: what is typed is not shown.

use std::io::{self, Read, Write};

use bandy::accounts::Secret;
use bandy::error::{Error, Kind, Side};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

/// The longest that is taken, in bytes: more than any password may have.
const BYTES_MAX: usize = 4096;

/// Asks on stderr and reads a line from the terminal that stdin is.
///
/// # Errors
/// [`Kind::Usage`] when it is given up with Ctrl-C or Ctrl-D, and what the terminal refuses.
pub fn secret(question: &str) -> Result<Secret, Error> {
    let failed = |e: io::Error| Error::talking(Side::Local, "asking for the password", e);
    let quiet = Quiet::begin().map_err(failed)?;
    let mut err = io::stderr();
    err.write_all(question.as_bytes()).map_err(failed)?;
    let typed = read_line(&mut io::stdin().lock());
    drop(quiet);
    let _ = err.write_all(b"\n");
    match typed.map_err(failed)? {
        Some(bytes) => String::from_utf8(bytes).map(Secret::from).map_err(|_| {
            Error::new(Kind::Usage, Side::Local, "reading the password").because("it is not UTF-8")
        }),
        None => {
            Err(Error::new(Kind::Usage, Side::Local, "reading the password")
                .because("it was given up"))
        }
    }
}

/// What is typed up to Enter, with the keys that take back; `None` when it is given up.
fn read_line(keys: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const BACKSPACE: u8 = 8;
    const CTRL_U: u8 = 21;
    const DELETE: u8 = 127;
    let mut typed = Vec::new();
    let mut key = [0];
    while keys.read(&mut key)? == 1 {
        match key {
            [b'\n' | b'\r'] => return Ok(Some(typed)),
            [CTRL_C | CTRL_D] => return Ok(None),
            [BACKSPACE | DELETE] => take_back(&mut typed),
            [CTRL_U] => typed.clear(),
            [byte] if typed.len() < BYTES_MAX => typed.push(byte),
            _ => {}
        }
    }
    Ok(None)
}

/// Takes back a character: of UTF-8 all its bytes.
fn take_back(typed: &mut Vec<u8>) {
    while let Some(byte) = typed.pop() {
        if byte & 0xc0 != 0x80 {
            break;
        }
    }
}

/// The terminal shows nothing and leaves every key to us, until this is dropped. Ctrl-C is one of them: a program that
/// it ended would leave the terminal so.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Quiet> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Quiet(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let cases: [(&[u8], Option<&str>); 8] = [
            (b"horse\n", Some("horse")),
            (b"horse\r", Some("horse")),
            (b"hoo\x7frse\n", Some("horse")),
            ("hö\x7forse\n".as_bytes(), Some("horse")),
            (b"\x7f\x7fwrong\x15horse\n", Some("horse")),
            (b"\n", Some("")),
            (b"horse\x03", None),
            (b"horse", None),
        ];
        for (mut keys, expected) in cases {
            let typed = read_line(&mut keys).expect("read");
            assert_eq!(typed.as_deref(), expected.map(str::as_bytes));
        }
    }
}
