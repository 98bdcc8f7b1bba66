//! Conversations to test what is built on bandy: both ends on one page, on port 0, with every wait bounded.
//!
//! - [`Stage`]: a private place for one test's servers: free endpoints, a folder, a certificate authority of its own.
//! - [`Client`]: talks to an endpoint of any scheme; each of its waits fails the test when it takes too long.
//! - [`raw`]: plain sockets, for peers that do not behave.
//! - [`Program`]: a program as its users run it, with its ready lines, its log by event, and its `/proc`.
//! - [`within`] and [`eventually`]: waits for an event that fail with what was waited for. No test needs a sleep.
//!
//! A test panics where something is not as it should be, and so does this crate: its functions return what a test is
//! about, not `Result`s.
//!
//! ```
//! use bandy::{Model, services::Spec, endpoint::Scheme};
//! use bandy_testkit::Stage;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let stage = Stage::new();
//! let server = stage.serve(&Spec::Echo, &[Scheme::Tls], Model::Async);
//! let mut client = stage.connect(server.endpoint()).await;
//! client.say("Hello").await;
//! assert_eq!(client.hear(5).await, "Hello");
//! # });
//! ```

mod client;
mod noise;
mod patience;
mod process;
mod program;
pub mod raw;
mod stage;

pub use client::Client;
pub use noise::{chunks, noise};
pub use patience::{PATIENCE, eventually, within};
pub use process::{Process, is_alive};
pub use program::{LogLine, Program, Running};
pub use stage::Stage;
