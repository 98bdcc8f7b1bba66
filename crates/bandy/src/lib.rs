//! Both ends of the client-server conversation.

pub mod app;
pub mod client;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod limits;
pub mod net;
pub mod server;
pub mod service;
pub mod services;
pub mod wire;

pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use limits::Limits;
pub use net::{Conn, connect};
pub use server::{Model, Server};
pub use service::{Service, service_fn};
