//! Servers: listeners, a service behind them, and how its connections are run.

pub mod model;

pub use model::Model;
