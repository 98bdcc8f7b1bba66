//! Sockets and what is spoken right above them, both ends of each in one file.
//!
//! [`bind`] and [`connect`] are the ways in, and the only places that look at which scheme an endpoint has.
//!
//! The answering end goes `Endpoint -> Bound -> Listener -> Incoming -> Conn`: bound by whoever starts the server,
//! listening on an event loop, accepted without a handshake, established in the connection's own task. The asking end
//! goes `Endpoint -> Conn`.

pub mod address;
pub mod ca;
pub mod conn;
pub mod messages;
pub mod proxied;
pub mod tls;
pub mod trust;
pub mod ws;

mod accept;
mod bind;
mod connect;
mod driver;
mod ending;
mod inherited;
pub(crate) mod io;
mod mem;
mod meter;
mod mmsg;
pub(crate) mod pump;
pub(crate) mod relay;
pub(crate) mod scratch;
mod splice;
mod tcp;
mod tick;
mod udp;
mod unix;

pub use accept::{Entrance, Incoming, Listener};
pub use bind::{Bound, Doors, bind};
pub use conn::{Conn, Framing, Message, Peer};
pub use connect::{Dialer, Phases, connect};
pub use ending::Ending;
pub use inherited::{Inherited, Spare};
pub use messages::Messages;
pub(crate) use meter::Meter;
pub use tick::Tick;
