//! From a plan to running servers.

use bandy::config::Plan;
use bandy::error::{Error, Kind, Side};

use crate::exit::Code;

/// Runs everything that a plan declares, until it is told to stop.
pub fn start(plan: Plan) -> Result<Code, Error> {
    let servers: Vec<&str> = plan.servers.iter().map(|s| s.name.as_str()).collect();
    let act = format!("starting {}", servers.join(", "));
    Err(Error::new(Kind::Other, Side::Local, act).because("not built yet"))
}
