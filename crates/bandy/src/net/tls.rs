//! TLS.

use std::path::PathBuf;

/// Which certificate a TLS listener shows, and what it asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerTls {
    /// One's own certificate chain and key, PEM files; `None` takes a leaf of the local CA.
    pub identity: Option<Identity>,
    /// Whether clients must, may or need not show a certificate.
    pub clients: ClientAuth,
}

/// A certificate chain and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain, the leaf first.
    pub cert: PathBuf,
    /// The private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// What a TLS listener asks of its clients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// No certificate is asked for.
    #[default]
    None,
    /// One is asked for, and checked if it is shown, against this PEM file of CAs.
    Optional(PathBuf),
    /// A connection without one that this PEM file's CAs vouch for is refused.
    Required(PathBuf),
}

/// Stub.
#[derive(Debug, Clone)]
pub struct Acceptor;
/// Stub.
#[derive(Debug, Clone)]
pub struct Connector;
/// Stub.
#[derive(Debug, Clone, Default)]
pub struct ClientTls {}
/// Stub.
#[derive(Debug, Clone)]
pub struct Info;
/// A TLS connection over `S`, in either role.
pub type Stream<S> = tokio_rustls::TlsStream<S>;
impl Acceptor {
    /// Stub.
    pub fn new(_t: &ServerTls, _at: &[crate::Endpoint]) -> crate::Result<Self> { Ok(Acceptor) }
    /// Stub.
    pub async fn accept<S>(
        &self,
        _io: S,
        _peer: &(dyn std::fmt::Display + Sync),
    ) -> crate::Result<(tokio_rustls::server::TlsStream<S>, Info)> {
        std::future::pending().await
    }
}
impl Connector {
    /// Stub.
    pub fn new(_t: &ClientTls) -> crate::Result<Self> {
        Ok(Connector)
    }
    /// Stub.
    pub async fn connect<S>(
        &self,
        _io: S,
        _host: &crate::endpoint::Host,
        _e: &(dyn std::fmt::Display + Sync),
    ) -> crate::Result<(tokio_rustls::client::TlsStream<S>, Info)> {
        std::future::pending().await
    }
}
