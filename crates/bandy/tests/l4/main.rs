//! Conversations that are passed on as they are: streams, messages and datagrams between a client and a backend.

mod datagrams;
mod messages;
mod names;
mod netem;
mod proxied;
mod streams;

use std::sync::Arc;
use std::time::Duration;

use bandy::endpoint::{Endpoint, Scheme};
use bandy::pool::{Options, Pool};
use bandy::server::Running;
use bandy::services::balance::Balance;
use bandy::{Limits, Server};
use bandy_testkit::{Stage, eventually};

/// A pool of these backends, which trusts the stage's authority.
fn pool_of(stage: &Stage, backends: &[&Endpoint], set: impl FnOnce(&mut Options)) -> Arc<Pool> {
    let mut options = Options::new("p", backends.iter().copied().cloned());
    options.tls = stage.client_tls();
    set(&mut options);
    Pool::new(options).expect("a pool")
}

/// A server that balances between them.
fn balancing(stage: &Stage, pool: &Arc<Pool>, schemes: &[Scheme]) -> Running {
    within_limits(stage, pool, schemes, |_| {})
}

fn within_limits(
    stage: &Stage,
    pool: &Arc<Pool>,
    schemes: &[Scheme],
    set: impl FnOnce(&mut Limits),
) -> Running {
    let mut limits = Limits::default();
    set(&mut limits);
    let server = Server::new(Balance::of(pool.clone())).limits(limits);
    stage.start(server, schemes)
}

/// Waits until the backends have so many conversations, in the pool's order.
fn have(pool: &Pool, active: &[usize]) {
    eventually("the backends' conversations", || {
        let now: Vec<usize> = pool.members().iter().map(|b| b.active()).collect();
        if now == active {
            Ok(())
        } else {
            Err(format!("{now:?}"))
        }
    });
}

/// An endpoint of this scheme where nobody listens: it was somebody's, who is gone.
fn nobody(scheme: Scheme) -> Endpoint {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = listener.local_addr().expect("an address");
    Endpoint::at(scheme, address).expect("has a port")
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
