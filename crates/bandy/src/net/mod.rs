//! Sockets and what is spoken right above them.

pub mod tls;
