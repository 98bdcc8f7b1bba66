//! A backend that can be connected to. Nothing is said before that, so another one will do as well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::key_of;
use crate::error::Result;
use crate::net::{Conn, Phases, proxied};
use crate::pool::{Backend, Lease, Outcome, Pool, Wanted};

/// A connection to a backend.
pub(super) struct Connected {
    pub(super) lease: Lease,
    pub(super) conn: Conn,
    /// How long connecting took.
    pub(super) took: Duration,
}

/// The search for a backend for one conversation.
pub(super) struct Search<'a> {
    pool: &'a Pool,
    tried: Vec<Arc<Backend>>,
}

impl<'a> Search<'a> {
    /// A new conversation.
    pub(super) fn begin(pool: &'a Pool) -> Search<'a> {
        pool.budget().deposit();
        Search {
            pool,
            tried: Vec::new(),
        }
    }

    /// The next backend, as long as the pool allows another try, and a connection to it.
    pub(super) async fn next(&mut self, for_whom: &Conn) -> Result<Connected> {
        loop {
            let wanted = Wanted {
                key: key_of(for_whom.peer()),
                avoid: &self.tried,
                ..Wanted::default()
            };
            let lease = self.pool.lease(wanted).await?;
            let header = match self.pool.options().proxy_protocol {
                Some(version) => proxied::header(version, for_whom),
                None => Vec::new(),
            };
            let began = Instant::now();
            let mut phases = Phases::default();
            match lease.backend().connect_saying(&header, &mut phases).await {
                Ok(conn) => {
                    let took = began.elapsed();
                    return Ok(Connected { lease, conn, took });
                }
                Err(error) => {
                    lease.report(Outcome::NotConnected);
                    if !self.goes_on(&lease) {
                        return Err(error);
                    }
                    let (pool, backend) = (self.pool.name(), lease.backend().name());
                    tracing::debug!(pool, backend, %error, "trying another backend");
                }
            }
        }
    }

    /// Whether there may be another try, after this backend has failed. If so it is paid for.
    pub(super) fn goes_on(&mut self, failed: &Lease) -> bool {
        let times = self.pool.options().retry.times as usize;
        let may = self.tried.len() < times && self.pool.budget().withdraw();
        if may {
            self.tried.push(failed.backend().clone());
        }
        may
    }
}
