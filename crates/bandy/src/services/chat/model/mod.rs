//! Chat, apart from any protocol, without I/O, clock or randomness: commands in, answers and [`Effect`]s out.
//!
//! A [`World`] is everything that one process knows: who is here, the rooms that somebody is in, who follows what. What is
//! for good is decided by rooms' logs: a [`Command`] that says or changes something becomes an [`Append`], whoever runs
//! the world appends it, and when the log's tail gives the entry back, [`World::logged`] takes it in and tells everybody.
//! So all processes on one store see one order, and a room is whatever its log folds to ([`RoomState`]). Comings,
//! goings, nicks, typing and being away are of this process and this moment, and in no log.
//!
//! | file | has |
//! |---|---|
//! | `name` `text` | what rooms and people are called, what may be said |
//! | `event` `command` | what happened; what can be asked for, and answered |
//! | `room` `nonces` | what a log folds to |
//! | `rate` | how fast somebody may be |
//! | `world` | the world; `presence` `speech` `moderation` `logged` are its commands by kind |

mod command;
mod event;
mod logged;
mod moderation;
pub mod name;
mod nonces;
mod presence;
pub mod rate;
mod room;
mod speech;
pub mod text;
mod world;

#[cfg(test)]
mod simulation;

pub use command::{
    Answer, Command, History, MemberLine, PersonView, Range, Refused, RoomLine, RoomView, Target,
    Unread, Whom,
};
pub use event::{Author, Entry, Event, Id, Manner, Millis, Place, Setting, What};
pub use name::{Person, RoomName};
pub use nonces::{Nonces, REMEMBERED};
pub use room::{Mask, Role, RoomState, Rule, Topic, hash_password};
pub use speech::NONCE_MAX;
pub use world::{
    Append, Arrival, Audience, Create, Effect, Known, Opened, Rules, SessionId, Step, World,
};
