//! HTTP/2 (RFC 9113) as a client speaks it that asks much and keeps little: what a load generator needs, and no more.
//!
//! [`Client`] is one connection: requests in, bytes out; bytes in, [`Event`]s out. Its heads come field by field, out of
//! [`hpack`], and nothing is allocated for an answer. Servers and everybody else's requests are hyper's and h2's.

mod client;
mod frame;
pub mod hpack;

pub use client::{Asked, Client, Event, HEAD_BYTES, Room, Why};
pub use frame::{Code, Wrong};
