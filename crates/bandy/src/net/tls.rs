//! TLS, both ends of it: the step that makes a plain connection a secure one.
//!
//! [`Acceptor`] and [`Connector`] take any transport and give back a TLS stream over it and an [`Info`] about what was
//! agreed. TLS 1.2 and 1.3 only (RFC 5246, RFC 8446). How a listener comes by its certificate is in `identity`, what a
//! client believes in `verify`, and how failures read in `failure`.
//!
//! A peer that is done says so with `close_notify` (RFC 8446, section 6.1), which reads as the end of the stream. A
//! connection that ends without it may have been cut by someone on the way: reading then fails with
//! [`std::io::ErrorKind::UnexpectedEof`], which [`explain`] puts in words. Deadlines are the caller's.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, CommonState, ProtocolVersion, ServerConfig, SupportedCipherSuite};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{client, server};

use super::ca::LocalCa;
use crate::endpoint::Host;
use crate::error::{Error, Kind, Result, Side};

mod certificate;
mod failure;
mod identity;
mod verify;

pub use certificate::PeerCertificate;
pub use failure::explain;

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

/// What a client believes, and who it says it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTls {
    /// A PEM file of certificates to trust besides the system's and the local CA: CAs, or a server's very own.
    pub ca: Option<PathBuf>,
    /// The certificate to show to a server that asks for one.
    pub identity: Option<Identity>,
    /// Believe any certificate: whoever is on the way can read and change everything.
    pub insecure: bool,
    /// The name to ask for and to find in the certificate, instead of the host that is connected to.
    pub server_name: Option<String>,
}

/// What the two ends of a TLS connection agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The protocol's version: `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite's name as IANA has it, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The application protocol, where both ends named one (RFC 7301).
    pub alpn: Option<String>,
    /// The name that the client asked for (SNI; RFC 6066, section 3). An address is never one.
    pub server_name: Option<String>,
    /// What the peer's certificate says; `None` when it showed none, or one that cannot be read.
    pub peer_certificate: Option<PeerCertificate>,
    /// The peer's certificates as they came, the leaf first; empty when it showed none.
    pub peer_chain: Vec<CertificateDer<'static>>,
}

/// A TLS connection over `S`, in either role.
pub type Stream<S> = tokio_rustls::TlsStream<S>;

/// Makes aws-lc-rs the provider of this process's cryptography, unless one is installed. Safe to call again.
///
/// [`Acceptor`] and [`Connector`] do not need it; it is for other users of rustls in the same program, which panic when
/// two providers are compiled in and none is chosen.
pub fn install_provider() {
    // The one failure is that there is one already, and that is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .clone()
}

/// The listening side's half of TLS. Cheap to clone; clones share certificates and session tickets.
#[derive(Clone)]
pub struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// An acceptor that shows the certificate of `tls`, or one of the local CA for `names` (see
    /// [`names_for`](super::ca::names_for)), which is made if there is none yet.
    ///
    /// Files of one's own are looked at again at handshakes, at most once a second, and a new pair is taken up as soon
    /// as it is complete; until then, and if it never is, the old one stays. The file of client CAs is read once.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a file is missing, holds nothing of its sort, or certificate and key do not belong together;
    /// what [`LocalCa::open_or_create`] fails with.
    pub fn new(tls: &ServerTls, names: &[Host]) -> Result<Acceptor> {
        match &tls.identity {
            Some(identity) => {
                let files = identity::Files::load(identity.clone(), identity::LOOK_AGAIN)?;
                Acceptor::with(Arc::new(files), &tls.clients)
            }
            None => Acceptor::issued_by(LocalCa::open_or_create()?, &tls.clients, names),
        }
    }

    /// An acceptor that shows certificates of this CA for `names`, issued anew before they expire.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a name cannot stand in a certificate or the file of client CAs is no such file.
    pub fn issued_by(ca: LocalCa, clients: &ClientAuth, names: &[Host]) -> Result<Acceptor> {
        let leaf = identity::Leaf::issue(ca, names.to_vec())?;
        Acceptor::with(Arc::new(leaf), clients)
    }

    fn with(
        certificates: Arc<dyn rustls::server::ResolvesServerCert>,
        clients: &ClientAuth,
    ) -> Result<Acceptor> {
        let failed =
            |e: rustls::Error| Error::new(Kind::Tls, Side::Local, "setting up TLS").because(e);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(failed)?;
        let builder = match verify::clients(clients)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(certificates);
        // Resumption costs the server no memory: what it must remember travels in the ticket (RFC 5077). One ticket is
        // enough, since each resumed connection gets a new one.
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(failed)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 1;
        Ok(Acceptor(Arc::new(config)))
    }

    /// The same acceptor, with the application protocols that it speaks, the best first (RFC 7301).
    ///
    /// A client that names protocols of which none is among these is refused.
    pub fn alpn(mut self, protocols: &[&str]) -> Acceptor {
        Arc::make_mut(&mut self.0).alpn_protocols = alpn_ids(protocols);
        self
    }

    /// Performs the handshake with the client behind `io`; `peer` is what it is called in errors.
    ///
    /// Dropping the future drops the connection: a deadline around it is safe.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] when the client's certificate is missing or not to be trusted, [`Kind::Closed`] when it went
    /// away, [`Kind::Tls`] when it does not speak TLS, not as we do, or does not trust us; all on
    /// [`Side::Downstream`].
    pub async fn accept<S>(
        &self,
        io: S,
        peer: &(dyn fmt::Display + Sync),
    ) -> Result<(server::TlsStream<S>, Info)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = tokio_rustls::TlsAcceptor::from(self.0.clone());
        match acceptor.accept(io).await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let info = Info::of(session, session.server_name());
                Ok((stream, info))
            }
            Err(e) => Err(failure::accepting(peer, e)),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls::Acceptor({:?})", self.0.cert_resolver)
    }
}

/// The connecting side's half of TLS. Cheap to clone; clones share what resumes sessions.
///
/// Making one reads the system's CAs, some milliseconds: make it once and keep it.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    /// A digest of whom it believes, and as whom it appears.
    known: digest::Digest,
}

impl Connector {
    /// A connector that trusts the system's CAs, the local CA if there is one, and those of `tls`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a file is missing, holds nothing of its sort, certificate and key do not belong together, or
    /// the server name is none.
    pub fn new(tls: &ClientTls) -> Result<Connector> {
        let server_name = match &tls.server_name {
            // As people write an address in a URL.
            Some(name) => Some(parse_name(
                name.trim_start_matches('[').trim_end_matches(']'),
            )?),
            None => None,
        };
        let mut known = digest::Context::new(&digest::SHA256);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .map_err(|e| Error::new(Kind::Tls, Side::Local, "setting up TLS").because(e))?
            .dangerous()
            .with_custom_certificate_verifier(verify::servers(tls, &mut known)?);
        let config = match &tls.identity {
            Some(identity) => {
                let pair = identity::load(identity)?;
                // A chain's key is no other as long as the chain is the same: they belong together.
                pair.cert.iter().for_each(|cert| known.update(cert));
                builder
                    .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)))
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Connector {
            config: Arc::new(config),
            server_name,
            known: known.finish(),
        })
    }

    /// Whether what was read for it, CAs and certificates, is what was read for the other.
    pub(crate) fn has_read_the_same(&self, other: &Connector) -> bool {
        self.known.as_ref() == other.known.as_ref()
    }

    /// The same connector, with the application protocols that it offers, the best first (RFC 7301).
    pub fn alpn(mut self, protocols: &[&str]) -> Connector {
        Arc::make_mut(&mut self.config).alpn_protocols = alpn_ids(protocols);
        self
    }

    /// Performs the handshake with the server behind `io`, whose certificate must be good for `host` (or for
    /// [`ClientTls::server_name`]); `endpoint` is what it is called in errors.
    ///
    /// With TLS 1.3 a server looks at the client's certificate only after this is done: that it wants another one shows
    /// at the first read, which [`explain`] puts in words. Dropping the future drops the connection.
    ///
    /// # Errors
    /// [`Kind::Untrusted`] when the server's certificate is not to be trusted, [`Kind::Tls`] when it does not speak TLS,
    /// not as we do, or refuses us; both on [`Side::Upstream`]. [`Kind::Usage`] when `host` cannot be in a certificate.
    pub async fn connect<S>(
        &self,
        io: S,
        host: &Host,
        endpoint: &(dyn fmt::Display + Sync),
    ) -> Result<(client::TlsStream<S>, Info)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = match (&self.server_name, host) {
            (Some(name), _) => name.clone(),
            (None, Host::Ip(ip)) => ServerName::IpAddress((*ip).into()),
            (None, Host::Name(name)) => parse_name(name)?,
        };
        let asked = match &name {
            ServerName::DnsName(name) => Some(name.as_ref().to_owned()),
            _ => None,
        };
        let connector = tokio_rustls::TlsConnector::from(self.config.clone());
        match verify::remembering(connector.connect(name, io)).await {
            (Ok(stream), _) => {
                let info = Info::of(stream.get_ref().1, asked.as_deref());
                Ok((stream, info))
            }
            (Err(e), shown) => Err(failure::connecting(endpoint, e, shown)),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tls::Connector")
    }
}

impl Info {
    fn of(session: &CommonState, server_name: Option<&str>) -> Info {
        let peer_chain: Vec<CertificateDer<'static>> = session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|cert| cert.clone().into_owned())
            .collect();
        Info {
            version: match session.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                // No other is enabled.
                _ => "TLS",
            },
            cipher: session.negotiated_cipher_suite().map_or("", cipher_name),
            alpn: session
                .alpn_protocol()
                .map(|id| String::from_utf8_lossy(id).into_owned()),
            server_name: server_name.map(str::to_owned),
            peer_certificate: peer_chain.first().and_then(PeerCertificate::parse),
            peer_chain,
        }
    }
}

/// The name in IANA's registry; rustls writes `TLS13_` where that has `TLS_`.
fn cipher_name(suite: SupportedCipherSuite) -> &'static str {
    match suite.suite().as_str() {
        Some("TLS13_AES_128_GCM_SHA256") => "TLS_AES_128_GCM_SHA256",
        Some("TLS13_AES_256_GCM_SHA384") => "TLS_AES_256_GCM_SHA384",
        Some("TLS13_CHACHA20_POLY1305_SHA256") => "TLS_CHACHA20_POLY1305_SHA256",
        Some(name) => name,
        None => "",
    }
}

fn alpn_ids(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|p| p.as_bytes().to_vec()).collect()
}

fn parse_name(name: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let act = format!("asking for the server name `{}`", name.escape_debug());
        Error::new(Kind::Usage, Side::Local, act)
            .because("no certificate can be for it")
            .hint("give a DNS name or an address with --server-name")
    })
}

#[cfg(test)]
mod tests;
