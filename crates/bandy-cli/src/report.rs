//! What the user is told: errors on stderr, results on stdout.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use bandy::error::{Error, Kind, Side};

use crate::exit::Code;

/// Whether a stream takes colours: a terminal, unless NO_COLOR (<https://no-color.org>) says otherwise.
pub fn takes_colour(stream: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
    stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Says something on stderr. Whoever closed it does not want to know, and that is no error.
pub fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints an error, and what to try, on stderr.
pub fn error(error: &Error) {
    let (red, dim, off) = if takes_colour(&io::stderr()) {
        ("\x1b[1;31m", "\x1b[2m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    say(format_args!("{red}bandy:{off} {error}"));
    if let Some(hint) = error.next_step() {
        say(format_args!("  {dim}try:{off} {hint}"));
    }
}

/// Prints something worth knowing that is no error, on stderr.
pub fn note(what: &str) {
    eprintln!("bandy: note: {what}");
}

/// Prints a command's whole result on stdout. A reader that has seen enough and left is no error.
pub fn result(text: &str) -> Result<Code, Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Io, Side::Local, "writing to stdout").because(e))
        }
        _ => Ok(Code::Done),
    }
}

/// A mistake in how the program was called.
pub fn usage(act: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(Kind::Usage, Side::Local, act)
        .because(why.into())
        .hint(hint)
}
