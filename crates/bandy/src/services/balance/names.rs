//! Which pool answers, by the name that a TLS client asks for (SNI): read out of its hello, which is then passed on as it
//! came, so that TLS is between the client and the backend; or taken from a handshake that was done here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Needs, Options, pool_of, stream};
use crate::error::{Error, Kind, Result, Side};
use crate::http::router::{Host, HostError};
use crate::net::Conn;
use crate::pool::Pool;
use crate::service::Service;
use crate::wire::client_hello::{self, LENGTH_MAX};

/// The names that a pool is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A host, or all below one.
    Host(Host),
    /// Whatever no other is for, also who asks for no name.
    Any,
}

impl Name {
    fn is_for(&self, asked: Option<&str>) -> bool {
        match (self, asked) {
            (Name::Host(host), Some(asked)) => host.matches(asked),
            (Name::Host(_), None) => false,
            (Name::Any, _) => true,
        }
    }

    /// The exact one before those below a name, a long one of these before a short one, and any last.
    fn rank(&self) -> (u8, usize) {
        match self {
            Name::Host(host) => {
                let text = host.to_string();
                (u8::from(text.starts_with("*.")), usize::MAX - text.len())
            }
            Name::Any => (2, 0),
        }
    }
}

impl FromStr for Name {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Name, HostError> {
        match text {
            "*" => Ok(Name::Any),
            host => host.parse().map(Name::Host),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Host(host) => host.fmt(f),
            Name::Any => f.write_str("*"),
        }
    }
}

/// The balancing service of several pools, one of which answers whom a TLS client asks for.
#[derive(Debug, Clone)]
pub struct ByName {
    /// The most exact name first.
    pools: Arc<[(Name, Arc<Pool>)]>,
    /// How long a client may take to say its hello.
    within: Duration,
}

/// The alert that says that nobody of this name is here (RFC 8446, section 6.2): a fatal `unrecognized_name`.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
/// What is read of a hello at once. Bytes.
const READ: usize = 4 << 10;

impl ByName {
    /// A service that goes by the names that are told.
    ///
    /// # Errors
    /// That one of the pools is not there.
    pub fn new(options: &Options, needs: &Needs) -> Result<ByName> {
        let named = options.sni.iter();
        let named = named.map(|(name, pool)| Ok((name.clone(), pool_of(pool, needs)?)));
        let mut pools = named.collect::<Result<Vec<_>>>()?;
        pools.sort_by_key(|(name, _)| name.rank());
        Ok(ByName {
            pools: pools.into(),
            within: needs.limits.handshake,
        })
    }

    /// The pool for whom the client asks, and what was read to know it.
    async fn choose(&self, conn: &mut Conn) -> Result<(&Pool, Vec<u8>)> {
        let act = format!("reading the TLS hello of {}", conn.peer());
        let failed = |kind| Error::new(kind, Side::Downstream, act.clone());
        let (asked, said) = match conn.tls() {
            Some(tls) => (tls.server_name.clone(), Vec::new()),
            None => match tokio::time::timeout(self.within, hello(conn, &act)).await {
                Ok(hello) => hello?,
                Err(_) => {
                    let why = format!("it took longer than {:?}", self.within);
                    return Err(failed(Kind::TimedOut).because(why));
                }
            },
        };
        let found = self
            .pools
            .iter()
            .find(|(name, _)| name.is_for(asked.as_deref()));
        if let Some((_, pool)) = found {
            return Ok((pool, said));
        }
        if !said.is_empty() {
            // Where that fails the client is gone, and does not mind.
            let _ = conn.write_all(&UNRECOGNIZED_NAME).await;
        }
        let why = match asked {
            Some(name) => format!("no pool is for `{name}`"),
            None => "it asks for no name, and no pool is for that".to_owned(),
        };
        let hint = "`\"*\"` in `sni` is for all others";
        Err(failed(Kind::NotConnected).because(why).hint(hint))
    }
}

impl Service<Conn> for ByName {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        // Boxed: a hello's buffer would be part of the conversation for as long as it lives.
        let (pool, said) = Box::pin(self.choose(&mut conn)).await?;
        stream::balance(pool, conn, said).await
    }
}

/// The name in a hello, and all that was read.
async fn hello(conn: &mut Conn, act: &str) -> Result<(Option<String>, Vec<u8>)> {
    let failed = |kind| Error::new(kind, Side::Downstream, act);
    let mut said = Vec::with_capacity(READ);
    loop {
        let room = LENGTH_MAX.saturating_sub(said.len()).min(READ);
        let mut limited = (&mut *conn).take(room as u64);
        let read = limited.read_buf(&mut said).await;
        match read.map_err(|e| Error::talking(Side::Downstream, act, e))? {
            0 => return Err(failed(Kind::Closed).because("it ended in the middle of it")),
            _ => match client_hello::parse(&said) {
                Ok(Some(hello)) => return Ok((hello.server_name, said)),
                Ok(None) => {}
                Err(e) => {
                    let error = failed(Kind::Protocol).because(e);
                    return Err(error.hint("does it speak TLS?"));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_name_is_taken() {
        let written = ["*", "*.example", "a.example", "*.b.example"];
        let mut names: Vec<Name> = written.map(|n| n.parse().expect("a name")).to_vec();
        names.sort_by_key(Name::rank);
        for (asked, expected) in [
            (Some("a.example"), "a.example"),
            (Some("x.example"), "*.example"),
            (Some("x.b.example"), "*.b.example"),
            (Some("b.example"), "*.example"),
            (Some("example"), "*"),
            (None, "*"),
        ] {
            let found = names.iter().find(|name| name.is_for(asked));
            let found = found.expect("there is one for all").to_string();
            assert_eq!(found, expected, "{asked:?}");
        }
    }
}
