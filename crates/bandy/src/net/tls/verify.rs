//! What each end believes of the other's certificate.
//!
//! Servers are checked as WebPKI has it (RFC 5280, RFC 6125), with one addition: a certificate that stands in the user's
//! own file of trusted ones is trusted for what it is, as curl and OpenSSL do, so that a self-signed server certificate
//! can be given with `--ca`. Its name, its dates and the proof that the server has its key are still checked.

use std::cell::RefCell;
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::PeerCertificate;
use super::identity::read_certificates;
use super::{ClientAuth, ClientTls, provider};
use crate::error::{Error, Kind, Result, Side};
use crate::net::ca::LocalCa;

/// What checks the clients of a listener; `None` when it asks for nothing.
pub(super) fn clients(auth: &ClientAuth) -> Result<Option<Arc<dyn ClientCertVerifier>>> {
    let (path, optional) = match auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Optional(path) => (path, true),
        ClientAuth::Required(path) => (path, false),
    };
    let failed = || {
        let act = format!("trusting the client CAs in {}", path.display());
        Error::new(Kind::Usage, Side::Local, act)
    };
    let mut roots = RootCertStore::empty();
    for cert in read_certificates(path)? {
        roots.add(cert).map_err(|e| failed().because(e))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = if optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    Ok(Some(builder.build().map_err(|e| failed().because(e))?))
}

/// What checks the servers that a client connects to. Whom it believes is noted in `known`.
pub(super) fn servers(
    tls: &ClientTls,
    known: &mut digest::Context,
) -> Result<Arc<dyn ServerCertVerifier>> {
    if tls.insecure {
        tracing::warn!(
            "certificates are not checked: whoever is on the way can read and change what is said"
        );
        return Ok(Arc::new(Anything));
    }
    let mut roots = system_roots();
    add_local_ca(&mut roots);
    let mut pinned = Vec::new();
    if let Some(path) = &tls.ca {
        pinned = read_certificates(path)?;
        for cert in &pinned {
            roots.add(cert.clone()).map_err(|e| {
                let act = format!("trusting the certificates in {}", path.display());
                Error::new(Kind::Usage, Side::Local, act).because(e)
            })?;
        }
    }
    for root in &roots.roots {
        known.update(root.subject.as_ref());
        known.update(root.subject_public_key_info.as_ref());
    }
    for cert in &pinned {
        known.update(cert);
    }
    let inner = if roots.is_empty() {
        None
    } else {
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        Some(built.map_err(|e| Error::new(Kind::Tls, Side::Local, "setting up TLS").because(e))?)
    };
    Ok(Arc::new(Servers { inner, pinned }))
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    // A machine without CAs still talks to a local server: what is missing shows when it is needed.
    for e in &found.errors {
        tracing::debug!(error = %e, "skipped some of the system's CAs");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

fn add_local_ca(roots: &mut RootCertStore) {
    // No home, no local CA: nothing is wrong with that.
    let Ok(dir) = LocalCa::default_dir() else {
        return;
    };
    match LocalCa::certificate_in(&dir) {
        Ok(Some(cert)) => {
            if let Err(e) = roots.add(cert) {
                tracing::warn!(error = %e, dir = %dir.display(), "the local CA cannot be trusted");
            }
        }
        Ok(None) => {}
        Err(e) => tracing::warn!(error = %e, "the local CA cannot be trusted"),
    }
}

tokio::task_local! {
    /// The certificate that made the handshake of this task fail. The verifier is shared between handshakes, and its
    /// error has no room for it.
    static REFUSED: RefCell<Option<PeerCertificate>>;
}

/// Runs a client's handshake; beside its result comes the certificate that was refused, if one was.
pub(super) async fn remembering<T>(
    handshake: impl Future<Output = T>,
) -> (T, Option<PeerCertificate>) {
    let run = async {
        let done = handshake.await;
        (done, REFUSED.with(RefCell::take))
    };
    REFUSED.scope(RefCell::new(None), run).await
}

#[derive(Debug)]
struct Servers {
    /// `None` without a single CA, which the verifier below does not take.
    inner: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates in the user's own file.
    pinned: Vec<CertificateDer<'static>>,
}

impl Servers {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|cert| cert == end_entity) {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            check_dates(end_entity, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

fn check_dates(cert: &CertificateDer<'_>, time: UnixTime) -> Result<(), CertificateError> {
    let (_, cert) =
        x509_parser::parse_x509_certificate(cert).map_err(|_| CertificateError::BadEncoding)?;
    let unix = |t: x509_parser::time::ASN1Time| {
        let seconds = t.timestamp().try_into().unwrap_or(0);
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    };
    let (not_before, not_after) = (
        unix(cert.validity().not_before),
        unix(cert.validity().not_after),
    );
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    Ok(())
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity, intermediates, name, ocsp, now)
            .inspect_err(|_| {
                // Outside a handshake that remembers there is nobody to tell.
                let _ = REFUSED.try_with(|refused| {
                    refused.replace(PeerCertificate::parse(end_entity));
                });
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Believes anything, for those who say `--insecure`.
#[derive(Debug)]
struct Anything;

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Proof of having the key of a certificate that nobody checks proves nothing.
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
