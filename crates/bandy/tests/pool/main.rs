//! Pools: leases, health, probes, names, and another configuration while they run.

mod dns;
mod health;
mod lease;
mod probe;
mod update;

use std::sync::Arc;
use std::time::Duration;

use bandy::Endpoint;
use bandy::pool::options::Member;
use bandy::pool::{Backend, Lease, Options, Pool, Wanted};

/// What a pool is told of backends that nobody connects to, called `0`, `1`, `2` and so on.
fn told(backends: usize) -> Options {
    let mut options = Options::new("p", []);
    let member = |n: usize| Member {
        name: n.to_string(),
        ..Member::new(Endpoint::mem(format!("nobody-{n}")))
    };
    options.members = (0..backends).map(member).collect();
    options
}

fn pool(options: Options) -> Arc<Pool> {
    Pool::new(options).expect("a pool")
}

fn backend(pool: &Pool, name: &str) -> Arc<Backend> {
    pool.member(name).expect("a member of that name")
}

/// A lease that is there at once.
fn leased(pool: &Pool) -> Lease {
    let lease = pool.try_lease(Wanted::default());
    lease.expect("somebody is ready").expect("with room")
}

fn names(pool: &Pool) -> Vec<String> {
    let members = pool.members();
    members.iter().map(|b| b.name().to_owned()).collect()
}

const MS: Duration = Duration::from_millis(1);
