//! Chat: rooms that people talk in, whatever protocol each of them speaks.
//!
//! - [`model`] is chat apart from any protocol, without I/O: commands in, events out.
//! - [`hub`] runs it on a store: what is said goes into a room's log, is acknowledged when durable, and comes back by
//!   the room's one tail for everybody.
//! - [`session`] is what a protocol is written against.
//!
//! # How a protocol is written
//! 1. Find out who comes. A password is shown to [`Accounts::check`](crate::accounts::Accounts::check) of
//!    [`Hub::accounts`], with the peer's address, so that all protocols share one count of attempts; an account goes into
//!    [`Arrival::account`](model::Arrival), else they are a guest.
//! 2. [`Hub::open`] gives a [`Session`]; [`Hub::open_as`] does with exactly this nick or not at all (IRC).
//! 3. For each room [`Command::Join`]: its answer has the room and who is in it, and `from`, the last entry that was told:
//!    what the session hears next is behind it. Who comes back with a last entry `seq` asks for
//!    `History { range: Between(seq, from.seq + 1), .. }` (or the latest some, when they are new), writes that, and then goes on
//!    with what is heard: together that is the gap exactly, or `is_lost` says that it cannot be. Another `epoch` than the
//!    room's is lost too.
//! 4. Then a loop of its own task over three things: the connection's next line or message, when no command is being
//!    done; the command's future, whose answer is written; and [`Session::poll_next`], of which all that there is is
//!    taken, encoded with [`Told::encoded`](outbox::Told::encoded) (once for all who hear it) and written in one go; or
//!    [`Session::poll_run`], which gives what was told together as one. A [`Cut`] says why the session ended from our side.
//! 5. A command is asked for one after the other, so that pacing ([`model::rate`]) slows down who floods.
//!
//! Every text in an event is clean ([`model::text`]): no control character but line feed and tab is in what was said, and
//! none at all in topics, reasons and words about being away. Nicks and room names are letters, digits, `.`, `_`, `-`.
//!
//! One's own messages are heard like everybody's, in their place; `entry.nonce` says which it is. Edits and deletions are
//! entries of the log that name their `target`; what is read back later has the new text, or `Deleted`, in the target's
//! place too. [`Event::Membership`](model::Event) says that another session of the same account joined or left a room.

mod arriving;
mod bell;
mod guests;
pub mod history;
mod http;
pub mod hub;
pub mod irc;
pub mod json;
mod lines;
mod log;
pub mod model;
mod options;
pub mod outbox;
mod page;
mod service;
pub mod session;
mod tails;
pub mod talk;

pub use hub::Hub;
pub use model::Command;
pub use options::{LOBBY, Options};
pub use outbox::{Cut, Form, Run, Told};
pub use service::{Chat, Hubs};
pub use session::Session;
