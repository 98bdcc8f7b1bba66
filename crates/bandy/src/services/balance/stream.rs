//! A stream to a stream.

use std::time::Instant;

use super::key_of;
use crate::error::{Error, Result, Side};
use crate::net::{Conn, Phases};
use crate::pool::{Lease, Outcome, Pool, Wanted};

/// Leases a backend, and passes on what either side says until both have ended.
pub(super) async fn balance(pool: &Pool, mut conn: Conn) -> Result<()> {
    let (lease, mut upstream) = connected(pool, &conn).await?;
    let backend = lease.backend().endpoint();
    let copied = tokio::io::copy_bidirectional(&mut conn, &mut upstream).await;
    copied.map_err(|e| Error::talking(Side::Upstream, format!("passing on to {backend}"), e))?;
    Ok(())
}

/// A backend that could be connected to, with its lease: nothing was said yet, so another one will do as well.
pub(super) async fn connected(pool: &Pool, conn: &Conn) -> Result<(Lease, Conn)> {
    pool.budget().deposit();
    let mut tried = Vec::new();
    loop {
        let wanted = Wanted {
            key: key_of(conn.peer()),
            avoid: &tried,
            ..Wanted::default()
        };
        let lease = pool.lease(wanted).await?;
        let began = Instant::now();
        match lease.backend().connect(&mut Phases::default()).await {
            Ok(upstream) => {
                lease.report(Outcome::Done(began.elapsed()));
                return Ok((lease, upstream));
            }
            Err(error) => {
                lease.report(Outcome::NotConnected);
                let may_retry = tried.len() < pool.options().retry.times as usize;
                if !may_retry || !pool.budget().withdraw() {
                    return Err(error);
                }
                tried.push(lease.backend().clone());
            }
        }
    }
}
