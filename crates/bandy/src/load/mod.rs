//! Measuring a server under load, honestly.
//!
//! A run is four values that do not depend on each other: the [`Pace`] of its requests, when it [`Stop`]s, the [`Work`]
//! that is done, and what is recorded of it, which is everything. [`Run::start`] runs it on event loops of its own;
//! [`Run::finish`] gives an [`Outcome`], and [`Report::of`] makes plain data of that.
//!
//! ```no_run
//! use std::time::Duration;
//! use bandy::load::{HttpRequest, Pace, Plan, Run, Script, Stop, Work};
//! use bandy::net::Dialer;
//!
//! # fn main() -> bandy::Result<()> {
//! let to: bandy::Endpoint = "http://127.0.0.1:8080".parse().expect("an endpoint");
//! let script = Script::one(HttpRequest::get(&to), &to);
//! let outcome = Run::start(Plan {
//!     to,
//!     dialer: Dialer::plain(),
//!     work: Work::Http1(script),
//!     pace: Pace::Closed,
//!     stop: Stop { after: Some(Duration::from_secs(10)), requests: None },
//!     connections: 100,
//!     per_connection: None,
//!     timeout: Duration::from_secs(10),
//!     loops: None,
//! })?
//! .finish()?;
//! println!("{:.0} a second", outcome.rate());
//! # Ok(())
//! # }
//! ```
//!
//! What it promises: every request that was due is in one of five places ([`tally::Requests`]), and the totals
//! reconcile. An error is never in a latency of success. In the open model a latency counts from when the request was
//! due, not from when there was a connection for it, so a server that stalls is seen as its users see it. A run whose
//! generator was the bottleneck says so ([`Outcome::invalid_because`]).
//!
//! How a request goes: `lane` says when it is due and to which connection it goes, `talk` makes it, `record` and `tally`
//! note what came of it, `run` gathers that from all event loops.

pub mod chat;
pub mod compare;
mod early;
pub mod expect;
mod lane;
mod outcome;
pub mod pace;
mod plan;
pub mod record;
pub mod report;
mod run;
mod script;
mod talk;
pub mod tally;
mod timer;
mod timing;
mod work;

pub use early::SoFar;
pub use expect::Expect;
pub use outcome::{Generator, OpenLatencies, Outcome};
pub use pace::{Arrivals, Pace, Rate, RateText};
pub use plan::{CONNECTIONS_MAX, Plan, Stop, Work};
pub use report::Report;
pub use run::{Over, Run, Stopper, Told};
pub use script::{Script, WrongScript};
pub use work::{HttpRequest, Said};
