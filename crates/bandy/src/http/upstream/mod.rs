//! The asking end of a balancer: exchanges with backends over connections that are kept.
//!
//! [`take`] gives a connection to a backend that is kept on this event loop, if there is one; whoever has none connects.
//! An [`Exchange`] has no task of its own: it goes on while its answer, or that answer's body, is polled for, which the
//! downstream conversation's own task does. So between a request and its answer there is no task to wake. An answer that
//! came with its head in one read is whole at once; any other is read as it is taken, which is how a slow reader slows
//! its backend. When the answer is over, the connection goes back to where it was taken from, if nothing is left on it.
//!
//! Left out: which backend, whether to try again, and for how long: those who call have backends and budgets.

mod alarm;
mod exchange;
pub(crate) mod h2;
mod idle;
mod outgoing;
mod sending;
mod tunnel;

use crate::error::Error;
use crate::http::Response;
use crate::net::Conn;

pub(crate) use alarm::Alarm;
pub(crate) use exchange::{Ask, Came, Exchange, Times, Upstream};
pub(crate) use idle::take;
pub(crate) use outgoing::Outgoing;
pub(crate) use tunnel::tunnel;

/// Where connections to one backend are kept, and how long without being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Which backend. No two of a process have the same.
    pub(crate) backend: u64,
    pub(crate) idle: std::time::Duration,
    /// Of one backend, on one event loop.
    pub(crate) at_most: usize,
}

/// What a backend said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Its answer, with a body that may be still to come.
    Answer(Response),
    /// `101 Switching Protocols`: what follows on the connection is not HTTP. With it, bytes that came behind it.
    Switch(Response, Conn, bytes::Bytes),
}

/// Why an exchange came to nothing, and how far it had got: what decides whether it may be tried again.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// Some of the request may have reached the backend.
    pub(crate) sent: bool,
    /// Some of an answer came.
    pub(crate) heard: bool,
}

/// How an answer's body ended.
#[derive(Debug)]
pub(crate) enum End<'a> {
    /// It is whole.
    Whole,
    /// It broke off.
    Broken(&'a Error),
    /// Nobody wanted the rest.
    Dropped,
}

/// Is told how an answer's body ended, and how many bytes of it there were; once.
pub(crate) type OnEnd = Box<dyn FnOnce(End<'_>, u64) + Send>;
