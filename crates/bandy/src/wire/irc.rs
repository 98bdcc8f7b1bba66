//! IRC without I/O: messages in and out, and the small machines that a server of it is made of.
//!
//! The grammar is that of RFC 1459 and RFC 2812 as servers and clients speak it today (<https://modern.ircdocs.horse>),
//! with IRCv3's message tags. Text is UTF-8 and nothing else, which a server announces as `UTF8ONLY`. Names are compared
//! in the casemapping `ascii`: the letters `a` to `z` are the only ones that have two cases.
//!
//! | file | is |
//! |---|---|
//! | `lines` | lines out of a stream; one that is too long is passed over and told of, and the next one is read |
//! | `message` | a line as tags, source, command and parameters, in place |
//! | `tags` | message tags and how their values are written |
//! | `compose` | lines written; what would be two lines, or another one than meant, is refused |
//! | `names` | casemapping, nicks, channels, masks |
//! | `text` | formatting and CTCP out of a text; a long text as several short ones |
//! | `mode` | `+o-b nick mask` as single changes |
//! | `capability` | CAP 302: what a client may have and how it asks |
//! | `sasl` | AUTHENTICATE with PLAIN (RFC 4616), in pieces of 400 |
//! | `isupport` | what a server says of itself in 005 |
//! | `history` | what `CHATHISTORY` asks for |
//! | `numeric` | the numbers of replies |
//!
//! ```
//! use bandy::wire::irc::{Compose, Message, TAG_BYTES_CLIENT};
//!
//! let message = Message::parse("@label=7 PRIVMSG #lobby :Hello, you all", TAG_BYTES_CLIENT).expect("a message");
//! assert!(message.is("privmsg"));
//! assert_eq!(message.tag("label").as_deref(), Some("7"));
//! assert_eq!(message.params(), ["#lobby", "Hello, you all"]);
//!
//! let mut out = Vec::new();
//! Compose::new(&mut out).command(Some("ada!ada@host"), "PRIVMSG").param("#lobby").text("Hi").end().expect("sayable");
//! assert_eq!(out, b":ada!ada@host PRIVMSG #lobby :Hi\r\n");
//!
//! // Nobody says two lines in one, whatever they put where.
//! let attempt = Compose::new(&mut out).command(None, "PRIVMSG").param("#lobby").text("Hi\r\nQUIT").end();
//! assert!(attempt.is_err());
//! assert_eq!(out.len(), ":ada!ada@host PRIVMSG #lobby :Hi\r\n".len());
//! ```

pub mod capability;
mod compose;
pub mod history;
pub mod isupport;
mod lines;
mod message;
pub mod mode;
pub mod names;
pub mod numeric;
pub mod sasl;
pub mod tags;
pub mod text;

pub use compose::{Body, Compose, Unsayable};
pub use lines::{Line, Lines};
pub use message::{Fault, Message};
pub use numeric::Numeric;

/// The longest message without its tags, CRLF counted (RFC 1459, section 2.3). Bytes.
pub const LINE_BYTES: usize = 512;
/// The longest tags of a server's message, from `@` to the space behind (IRCv3 message-tags). Bytes.
pub const TAG_BYTES: usize = 8191;
/// The same of a client's message; the rest of [`TAG_BYTES`] is the server's to add. Bytes.
pub const TAG_BYTES_CLIENT: usize = 4096;
/// The most parameters of a message (RFC 2812, section 2.3).
pub const PARAMS: usize = 15;
