//! What the local CA signs: certificates of listeners and of clients.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::OffsetDateTime;

use super::{DAY, LocalCa, files, write_failed};
use crate::endpoint::Host;
use crate::error::{Error, Kind, Result, Side};
use crate::net::tls::Identity;

/// How long a listener's certificate lasts. It is issued anew when two thirds of that are over.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY);
/// How long a client's certificate lasts: it is a file, and nobody issues it anew by itself.
pub const CLIENT_LIFETIME: Duration = Duration::from_secs(365 * DAY);

/// Certificates begin an hour ago, for peers whose clock is behind.
pub(super) const BACKDATED: Duration = Duration::from_secs(60 * 60);
/// The longest common name (RFC 5280, appendix A.1, `ub-common-name`).
pub(super) const COMMON_NAME_MAX: usize = 64;

/// A certificate fresh from the CA, and its private key.
#[derive(Debug)]
pub struct Issued {
    /// The chain, the leaf first. The CA itself is not in it: who trusts it has it (RFC 8446, section 4.4.2).
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key, PKCS #8. Its `Debug` shows nothing of it.
    pub key: PrivateKeyDer<'static>,
    /// The chain as PEM.
    pub chain_pem: String,
    /// From when it is good, to the second.
    pub not_before: SystemTime,
    /// Until when it is good, to the second.
    pub not_after: SystemTime,
}

impl LocalCa {
    /// A certificate for a server that is found under `names`, good for [`LEAF_LIFETIME`] or as long as the CA is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when a name cannot stand in a certificate.
    pub fn issue(&self, names: &[Host]) -> Result<Issued> {
        let sans = names.iter().map(|name| match name {
            Host::Ip(ip) => Ok(SanType::IpAddress(*ip)),
            Host::Name(name) => name.as_str().try_into().map(SanType::DnsName),
        });
        let act = "issuing a certificate";
        let sans = sans
            .collect::<Result<Vec<_>, rcgen::Error>>()
            .map_err(|e| Error::new(Kind::Usage, Side::Local, act).because(e))?;
        // The names that count are the alternative ones; this one is for people who look at it.
        let subject = names.iter().find_map(|name| match name {
            Host::Name(name) if name.len() <= COMMON_NAME_MAX => Some(name.as_str()),
            _ => None,
        });
        self.sign(
            subject.unwrap_or("Bandy listener"),
            sans,
            ExtendedKeyUsagePurpose::ServerAuth,
            SystemTime::now(),
            LEAF_LIFETIME,
        )
    }

    /// A certificate with which a client shows that it is `name`, good for [`CLIENT_LIFETIME`] or as long as the CA is.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the name is empty, longer than 64 bytes or not printable.
    pub fn issue_client(&self, name: &str) -> Result<Issued> {
        let act = || format!("issuing a client certificate for `{}`", name.escape_debug());
        let bad = |why: &str| Error::new(Kind::Usage, Side::Local, act()).because(why);
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(bad("a name has printable characters, and at least one"));
        }
        if name.len() > COMMON_NAME_MAX {
            return Err(bad("a name has at most 64 bytes"));
        }
        self.sign(
            name,
            Vec::new(),
            ExtendedKeyUsagePurpose::ClientAuth,
            SystemTime::now(),
            CLIENT_LIFETIME,
        )
    }

    /// A leaf that is good for `lifetime` from `from` on (RFC 5280, section 4.2.1).
    pub(in crate::net) fn sign(
        &self,
        subject: &str,
        sans: Vec<SanType>,
        purpose: ExtendedKeyUsagePurpose,
        from: SystemTime,
        lifetime: Duration,
    ) -> Result<Issued> {
        let not_before = whole_seconds(from - BACKDATED);
        // A leaf that outlives its CA would be trusted by nobody at its end.
        let not_after = whole_seconds(from + lifetime).min(self.not_after);
        let mut params = params(subject, not_before, not_after);
        params.subject_alt_names = sans;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let signed = KeyPair::generate()
            .and_then(|key| Ok((params.signed_by(&key, &self.issuer)?, key)))
            .map_err(|e| {
                Error::new(Kind::Other, Side::Local, "issuing a certificate").because(e)
            })?;
        let (cert, key) = signed;
        Ok(Issued {
            chain_pem: cert.pem(),
            chain: vec![cert.der().clone()],
            key: key.into(),
            not_before,
            not_after,
        })
    }
}

impl Issued {
    /// Writes the chain to `dir/NAME.pem` and the key, readable by its owner only, to `dir/NAME-key.pem`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when `name` cannot be a file's or one of the files is there already; [`Kind::Io`] when they cannot
    /// be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<Identity> {
        let act = || format!("writing a certificate to {}", dir.display());
        let bad = |why: String| Error::new(Kind::Usage, Side::Local, act()).because(why);
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
            return Err(bad(format!(
                "`{}` cannot be a file's name",
                name.escape_debug()
            )));
        }
        let identity = Identity {
            cert: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}-key.pem")),
        };
        let taken = |path: &Path| {
            bad(format!("{} is there already", path.display()))
                .hint("remove it first, or name another directory with --out DIR")
        };
        // Looked at before the key is written, so that as a rule no key is left without its certificate.
        if identity.cert.exists() {
            return Err(taken(&identity.cert));
        }
        let key = KeyPair::try_from(self.key.secret_der())
            .map_err(|e| Error::new(Kind::Other, Side::Local, act()).because(e))?
            .serialize_pem();
        files::create_dir(dir).map_err(|e| write_failed(dir, e))?;
        let write =
            |path: &Path, pem: &str, mode| match files::create_new(path, pem.as_bytes(), mode) {
                Ok(true) => Ok(()),
                Ok(false) => Err(taken(path)),
                Err(e) => Err(write_failed(path, e)),
            };
        write(&identity.key, &key, files::PRIVATE)?;
        write(&identity.cert, &self.chain_pem, files::PUBLIC)?;
        Ok(identity)
    }
}

pub(super) fn params(
    subject: &str,
    not_before: SystemTime,
    not_after: SystemTime,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = OffsetDateTime::from(not_before);
    params.not_after = OffsetDateTime::from(not_after);
    params
}

/// Certificates count in seconds (RFC 5280, section 4.1.2.5).
pub(super) fn whole_seconds(t: SystemTime) -> SystemTime {
    let since = t.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}
