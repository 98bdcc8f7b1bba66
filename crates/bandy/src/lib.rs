//! Both ends of the client-server conversation.
//!
//! A client and a server are the two ends of one conversation: an asker and an answerer. This library has both. You
//! write what is said, as one `async fn`; where it is said (TCP, TLS, WebSocket, a Unix socket, UDP, or between two
//! tasks of one program) is a URL, and changing the URL changes nothing else. The `bandy` program is made of it.
//!
//! # A service of one's own
//!
//! ```
//! use bandy::{Conn, Result, Server, connect, service_fn};
//!
//! /// Says everything back, loudly.
//! async fn shout(conn: Conn) -> Result<()> {
//!     let mut messages = conn.messages();
//!     while let Some(message) = messages.next().await? {
//!         messages.send(message.to_ascii_uppercase()).await?;
//!     }
//!     Ok(())
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<()> {
//!     let server = Server::new(service_fn(shout))
//!         .listen("tcp://127.0.0.1:0")? // port 0 takes a free one
//!         .listen("ws://127.0.0.1:0/shout")?
//!         .listen("mem://shout")? // inside this process
//!         .start()?;
//!
//!     for endpoint in server.endpoints() {
//!         let mut talk = connect(endpoint).await?.messages();
//!         talk.send("hello").await?;
//!         assert_eq!(talk.next().await?.as_deref(), Some(&b"HELLO"[..]));
//!         talk.close().await;
//!     }
//!
//!     let cut = server.drain().await;
//!     assert_eq!(cut, 0, "every conversation came to its end by itself");
//!     Ok(())
//! }
//! ```
//!
//! A server that is the whole program ends with [`run()`](Server::run) in the place of `start()`: it stays until SIGTERM
//! or SIGINT, and then lets conversations finish. More that runs is in the `examples` folder: `shout`, `guess` (with
//! state), `client`, `embedded` (a server inside another program), `web` and `records` (over HTTP).
//!
//! # Over HTTP
//!
//! A service of requests is the same trait one floor up: `async fn(Request) -> Result<Response>`. [`http::Http`] lifts it to
//! a service of connections, [`http::Router`] puts several behind routes, and [`services::api`] and [`services::files`]
//! are such services, to embed.
//!
//! ```no_run
//! use bandy::http::{self, Http, Request, Response, StatusCode};
//! use bandy::{Result, Server, service_fn};
//!
//! async fn hello(request: Request) -> Result<Response> {
//!     Ok(http::text(StatusCode::OK, format!("Hello from {}\n", request.uri().path())))
//! }
//!
//! fn main() -> Result<()> {
//!     Server::new(Http::new(service_fn(hello)))
//!         .listen("http://127.0.0.1:8000")?
//!         .listen("https://127.0.0.1:8443")? // HTTP/2 where the client speaks it
//!         .run()
//! }
//! ```
//!
//! # Five nouns
//!
//! - An [`Endpoint`] is where one end is: a URL such as `tcp://127.0.0.1:7000`, parsed. Its scheme says what is spoken.
//! - A [`Conn`] is one end of one conversation. Its [`Framing`] says how to talk on it: a stream is read and written
//!   ([`tokio::io::AsyncRead`], [`tokio::io::AsyncWrite`]), messages are received and sent.
//! - [`Messages`] are a `Conn` of either framing as messages: on a stream a message is a line. Most services want this.
//! - A [`Service`] is what answers: `async fn call(&self, conn: Conn) -> Result<()>`. One value serves all connections at
//!   once; [`service_fn`] makes one of an async function.
//! - A [`Server`] is a service, the endpoints where it listens, its [`Limits`] and its [`Model`]: how connections are run
//!   (on one event loop per core, each on a thread, or one after the other). [`Running`] is what comes of it.
//!
//! | scheme | carries | a service meets it as |
//! |---|---|---|
//! | `tcp`, `tls`, `unix`, `mem` | a stream | bytes, or lines through [`Conn::messages`] |
//! | `ws`, `wss` | messages | WebSocket messages; the handshake is done before the service is called |
//! | `http`, `https` | requests | bytes; [`http::Http`] makes requests of them |
//! | `udp` | datagrams | messages: everything from one peer is one `Conn`, which ends when the peer falls silent |
//!
//! # Modules
//!
//! A module uses those above it in this table, and none below.
//!
//! | module | what it has |
//! |---|---|
//! | [`endpoint`], [`error`], [`service`], [`limits`] | URLs, errors, the one trait, every bound with its default |
//! | [`wire`] | protocols without I/O: lines, HTTP/1.1, and the table of UDP flows |
//! | [`net`] | sockets, both ends of each: [`bind`](net::bind), [`connect`], TLS, WebSocket, the local certificate authority |
//! | [`http`] | requests and responses: the lift, routes, bodies, and the asking end |
//! | [`state`] | what must be remembered: records and logs, in a SQLite file or in memory; backups |
//! | [`accounts`] | users, passwords, sessions, on any store |
//! | [`pool`] | other servers, one of which is leased at a time: strategies, health, names that are looked up again |
//! | [`services`] | what comes with Bandy: echo, greet, reply, discard, chargen, exec, files, balance, and api, the application server |
//! | [`server`] | the accept loop, the three models, deadlines, the orderly end |
//! | [`client`] | asking: both directions at once, when a conversation is over, what it came to |
//! | [`config`] | TOML to a checked plan, with errors that point at the line |
//! | [`app`] | from a plan to running servers |
//!
//! # Runtimes
//!
//! A server brings its own event loops, on threads of its own: [`Server::start`] may be called with or without a tokio
//! runtime around it, and a service may use all of tokio, with `tokio::spawn` and timers. The asking end ([`connect`],
//! [`net::Dialer`]) and [`Running::drain`] want to be awaited in a tokio runtime of yours, of either flavour, with its I/O
//! and time drivers on.
//!
//! A service that blocks its thread holds up the others on its event loop. Under [`Model::Threads`] it holds up only
//! itself.
//!
//! # Errors
//!
//! An [`Error`] says what was attempted, with whom, whose [side](error::Side) failed, why, and what to try:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use bandy::error::{Kind, Side};
//!
//! let nobody = "mem://nobody".parse().expect("an endpoint");
//! let error = bandy::connect(&nobody).await.expect_err("nobody listens");
//! assert_eq!(error.to_string(), "connecting to mem://nobody: connection refused");
//! assert_eq!((error.kind(), error.side()), (Kind::NotConnected, Side::Upstream));
//! assert_eq!(error.next_step(), Some("is a server listening there?"));
//! # }
//! ```
//!
//! In a service, `?` works on [`std::io::Error`] as well. What a service returns goes to the server's log and ends that
//! conversation; so does a panic in it. No other conversation notices.
//!
//! # Features and platforms
//!
//! There are no cargo features: everything is in. Linux only, for now.

pub mod accounts;
pub mod app;
pub mod client;
pub mod config;
pub mod endpoint;
pub mod error;
pub mod http;
pub mod limits;
pub mod load;
pub mod net;
pub mod pool;
mod printable;
pub mod server;
pub mod service;
pub mod services;
pub mod state;
pub mod tally;
pub mod wire;

pub use endpoint::Endpoint;
pub use error::{Error, Result};
pub use limits::Limits;
pub use net::{Conn, Framing, Messages, connect};
pub use server::{Model, Running, Server};
pub use service::{Service, service_fn};
