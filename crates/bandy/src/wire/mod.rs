//! Protocols without I/O: no clock, no socket, no runtime. Time is an argument, bytes are slices.

pub mod client_hello;
mod cursor;
pub mod flow;
pub mod http1;
pub mod http2;
pub mod irc;
pub mod line;
pub mod proxy;
