//! How a backend is reached.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Backend;
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::http::client::Version;
use crate::net::{Conn, Dialer, Phases, proxied, tls};
use crate::pool::options::{Member, Options};

/// How to reach it, and what to know for that.
pub(super) struct Told {
    pub(super) options: Arc<Options>,
    dialer: Dialer,
}

impl Told {
    pub(super) fn new(
        member: &Member,
        options: &Arc<Options>,
        tls: Option<&tls::Connector>,
    ) -> Told {
        let dialer = match tls {
            Some(tls) => Dialer::with_tls(tls.clone()),
            None => Dialer::plain(),
        };
        // What is offered is HTTP; other streams in TLS have names of their own, or none.
        let mut dialer = match member.endpoint.scheme().carries() {
            Carries::Request => dialer.alpn(Version::alpn(options.http_asked())),
            _ => dialer,
        };
        if let Some(address) = member.address {
            dialer = dialer.at(address);
        }
        Told {
            options: options.clone(),
            dialer,
        }
    }
}

impl Backend {
    /// Connects to it, within the pool's deadline, and says how long each part took.
    ///
    /// # Errors
    /// As [`Dialer::connect`]; that it took too long.
    pub async fn connect(&self, phases: &mut Phases) -> Result<Conn> {
        self.connect_saying(&[], phases).await
    }

    /// As [`Backend::connect`], with bytes that are said before anything else: a PROXY header.
    ///
    /// # Errors
    /// As [`Backend::connect`].
    pub async fn connect_saying(&self, first: &[u8], phases: &mut Phases) -> Result<Conn> {
        let told = self.told.load_full();
        let deadline = told.options.deadlines.connect;
        let connecting = told.dialer.connect_saying(first, &self.endpoint, phases);
        match tokio::time::timeout(deadline, connecting).await {
            Ok(done) => done,
            Err(_) => Err(self.too_slow(deadline)),
        }
    }

    /// Connects to it for a probe, which may be at another port. The deadline is the caller's.
    ///
    /// A backend that is told who comes is told that we come ourselves; another port may be another program's, which is
    /// told nothing.
    ///
    /// # Errors
    /// As [`Dialer::connect`].
    pub(in crate::pool) async fn connect_to_port(&self, port: Option<u16>) -> Result<Conn> {
        let told = self.told.load_full();
        let mut dialer = told.dialer.clone();
        let mut endpoint = self.endpoint.clone();
        if let Some(port) = port {
            endpoint = endpoint.with_port(port);
            if let Some(address) = self.address {
                dialer = dialer.at(SocketAddr::new(address.ip(), port));
            }
        }
        let first = match (told.options.proxy_protocol, port) {
            (Some(version), None) => proxied::own(version),
            _ => Vec::new(),
        };
        let phases = &mut Phases::default();
        dialer.connect_saying(&first, &endpoint, phases).await
    }

    fn too_slow(&self, deadline: Duration) -> Error {
        let act = format!("connecting to {}", self.endpoint);
        Error::new(Kind::TimedOut, Side::Upstream, act)
            .because(format!("it took longer than {deadline:?}"))
            .hint("is it overloaded, or a firewall between? `connect` of the pool is the deadline")
    }
}
