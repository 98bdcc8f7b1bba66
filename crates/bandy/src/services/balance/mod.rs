//! `balance`: another server's answer.
//!
//! It stands on everything. What comes in is a stream (`stream`), messages (`message`), datagrams (`datagram`) or requests
//! (`http`); for each the pool leases a backend, and what is said goes there and back. Streams of TLS can go to one of
//! several pools, by the name that the client asks for (`names`).

mod connecting;
mod datagram;
pub mod http;
mod message;
mod names;
mod stream;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::Either;

use super::Needs;
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::http::Http;
use crate::net::Conn;
use crate::net::conn::{Framing, Peer};
use crate::pool::{Key, Pool};
use crate::service::Service;
pub use names::{ByName, Name};

/// What it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The name of the pool that answers; empty where `sni` says which.
    pub pool: String,
    /// What of requests is passed on.
    pub rules: http::Rules,
    /// A file of what signs cookies, for several balancers side by side; without one, each has its own.
    pub secret: Option<PathBuf>,
    /// Which pool answers a TLS client that asks for this name, in the order that they were written.
    pub sni: Vec<(Name, String)>,
}

/// The balancing service of one pool.
#[derive(Debug, Clone)]
pub struct Balance {
    pool: Arc<Pool>,
    rules: Arc<http::Rules>,
}

impl Balance {
    /// A service whose answers are those of the pool that is told.
    ///
    /// # Errors
    /// That there is no such pool, or no such file.
    pub fn new(options: &Options, needs: &Needs) -> Result<Balance> {
        let mut rules = options.rules.clone();
        if let Some(path) = &options.secret {
            rules.secret = http::Secret::of(&secret(path)?);
        }
        Ok(Balance::of(pool_of(&options.pool, needs)?).rules(rules))
    }

    /// A service whose answers are this pool's.
    pub fn of(pool: Arc<Pool>) -> Balance {
        Balance {
            pool,
            rules: Arc::default(),
        }
    }

    /// It answers requests, over HTTP/1.1 and HTTP/2. Those that can be are passed on as they came, which is the cheaper way.
    pub fn http(self) -> Http<Balance> {
        let forward = Arc::new(self.clone());
        Http::new(self).forward(forward)
    }

    /// The same, which passes requests and answers on by these rules.
    pub fn rules(mut self, rules: http::Rules) -> Balance {
        self.rules = Arc::new(rules);
        self
    }
}

impl Service<Conn> for Balance {
    type Out = ();

    fn call(&self, conn: Conn) -> impl Future<Output = Result<()>> + Send {
        // Messages are boxed: a stream would be as large as the largest of them for as long as it lives.
        let boxed: Pin<Box<dyn Future<Output = Result<()>> + Send + '_>> = match conn.framing() {
            Framing::Stream => {
                return Either::Left(stream::balance(&self.pool, conn, Vec::new()));
            }
            Framing::Message if conn.carries() == Carries::Datagram => {
                Box::pin(datagram::balance(&self.pool, conn))
            }
            Framing::Message => Box::pin(message::balance(&self.pool, conn)),
        };
        Either::Right(boxed)
    }
}

/// What is in the file, which has to be long enough that nobody guesses it.
fn secret(path: &Path) -> Result<Vec<u8>> {
    let act = format!("reading the secret of cookies in {}", path.display());
    let wrong = || Error::new(Kind::Usage, Side::Local, act.clone());
    let bytes = std::fs::read(path).map_err(|e| wrong().because(e))?;
    let secret = bytes.trim_ascii();
    match secret.len() {
        SECRET_BYTES.. => Ok(secret.to_vec()),
        n => Err(wrong().because(format!("it has {n} bytes")).hint(format!(
            "it needs {SECRET_BYTES}: `openssl rand -hex 32` writes some"
        ))),
    }
}

/// The shortest secret.
const SECRET_BYTES: usize = 16;

fn pool_of(name: &str, needs: &Needs) -> Result<Arc<Pool>> {
    needs.pools.get(name).cloned().ok_or_else(|| {
        let act = "starting the service `balance`";
        let why = format!("there is no pool `{name}`");
        Error::new(Kind::Usage, Side::Local, act).because(why)
    })
}

/// What a peer is recognised by.
fn key_of(peer: &Peer) -> Option<Key> {
    match peer {
        Peer::Ip(address) => Some(Key::of_ip(address.ip())),
        Peer::Unix { .. } | Peer::Mem => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::endpoint::Endpoint;
    use crate::net::Meter;
    use crate::net::io::Io;
    use crate::pool::Options;

    /// What is kept of each conversation for as long as it lasts, sockets and what they count aside.
    #[test]
    fn a_conversation_that_is_passed_on_is_small() {
        let pool = Pool::new(Options::new("p", [Endpoint::mem("far")])).expect("a pool");
        let conn = || {
            let meter = Meter::asked(Peer::Mem, Arc::new(Endpoint::mem("near")));
            Conn::new(Io::Mem(tokio::io::duplex(1).0), meter, 1)
        };
        let balance = Balance::of(pool.clone());
        let whole = size_of_val(&Service::call(&balance, conn()));
        let stream = size_of_val(&stream::balance(&pool, conn(), Vec::new()));
        let message = size_of_val(&message::balance(&pool, conn()));
        let datagram = size_of_val(&datagram::balance(&pool, conn()));
        let sizes = (whole, stream, message, datagram, size_of::<Conn>());
        assert!(
            whole <= 512 && message <= 1_536 && datagram <= 1_024,
            "{sizes:?}"
        );
    }
}
