//! How a listener comes by the certificate that it shows: from files that may be replaced, or from the local CA.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Identity, provider};
use crate::endpoint::Host;
use crate::error::{Error, Kind, Plain, Result, Side};
use crate::net::ca::{Issued, LocalCa};

/// How often, at most, files are looked at for whether they changed.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long after a failure to issue a new leaf the next try is.
const ISSUE_AGAIN: Duration = Duration::from_secs(60);

/// Reads a certificate chain and its key, and checks that they belong together.
pub(super) fn load(identity: &Identity) -> Result<CertifiedKey> {
    let chain = read_certificates(&identity.cert)?;
    let key = read_key(&identity.key)?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|e| match e {
        rustls::Error::InconsistentKeys(_) => Error::new(
            Kind::Usage,
            Side::Local,
            format!("loading the certificate {}", identity.cert.display()),
        )
        .because(format!(
            "the key in {} does not belong to it",
            identity.key.display()
        ))
        .hint("give the key that the certificate was made with; the server's own certificate comes first in its file"),
        e => loading("certificate", &identity.cert).because(e),
    })
}

/// The certificates in a PEM file, at least one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = read_file("certificate", path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| loading("certificate", path).because("its PEM is damaged"))?;
    if certificates.is_empty() {
        return Err(loading("certificate", path)
            .because("there is no certificate in it")
            .hint("it takes PEM: `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let pem = read_file("private key", path)?;
    let holds = |text: &str| pem.windows(text.len()).any(|w| w == text.as_bytes());
    if holds("BEGIN ENCRYPTED PRIVATE KEY") || holds("Proc-Type: 4,ENCRYPTED") {
        return Err(loading("private key", path)
            .because("it is encrypted, and nobody is there to type its passphrase")
            .hint(format!(
                "decrypt it once: openssl pkey -in {} -out plain-key.pem",
                path.display()
            )));
    }
    // The parser's own words could quote the key.
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        loading("private key", path)
            .because("there is no private key in it")
            .hint("it takes PEM: `-----BEGIN PRIVATE KEY-----`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`")
    })
}

fn read_file(what: &str, path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| loading(what, path).because(Plain(e)))
}

fn loading(what: &str, path: &Path) -> Error {
    let act = format!("loading the {what} {}", path.display());
    Error::new(Kind::Usage, Side::Local, act)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks is ever half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pair of files, taken up again when they change.
///
/// Whoever replaces them writes one after the other: in between they do not belong together, and the old pair stays.
pub(super) struct Files {
    identity: Identity,
    every: Duration,
    held: Mutex<HeldFiles>,
}

struct HeldFiles {
    pair: Arc<CertifiedKey>,
    /// What the files looked like when they were last tried, taken up or not.
    tried: (Stamp, Stamp),
    looked: Instant,
}

/// What changes when a file does: device, inode, size and both times, in nanoseconds. `None` while it is missing.
type Stamp = Option<(u64, u64, u64, i128, i128)>;

impl Files {
    pub(super) fn load(identity: Identity, every: Duration) -> Result<Files> {
        // Looked at before they are read: a change in between is then seen as one later on.
        let tried = stamps(&identity);
        let pair = Arc::new(load(&identity)?);
        let looked = Instant::now();
        Ok(Files {
            identity,
            every,
            held: Mutex::new(HeldFiles {
                pair,
                tried,
                looked,
            }),
        })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        {
            let mut held = lock(&self.held);
            if held.looked.elapsed() < self.every {
                return held.pair.clone();
            }
            held.looked = Instant::now();
        }
        // A slow disk delays this handshake only: the lock is open meanwhile.
        let found = stamps(&self.identity);
        {
            let mut held = lock(&self.held);
            if held.tried == found {
                return held.pair.clone();
            }
            held.tried = found;
        }
        let loaded = load(&self.identity);
        let mut held = lock(&self.held);
        match loaded {
            Ok(pair) => {
                tracing::info!(cert = %self.identity.cert.display(), "took up the replaced certificate");
                held.pair = Arc::new(pair);
            }
            Err(e) => tracing::warn!(
                error = %e,
                "the replaced certificate cannot be used; the old one stays in use"
            ),
        }
        held.pair.clone()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.identity.fmt(f)
    }
}

fn stamps(identity: &Identity) -> (Stamp, Stamp) {
    (stamp(&identity.cert), stamp(&identity.key))
}

fn stamp(path: &Path) -> Stamp {
    let nanos = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let of = |m: fs::Metadata| {
        let modified = nanos(m.mtime(), m.mtime_nsec());
        let changed = nanos(m.ctime(), m.ctime_nsec());
        (m.dev(), m.ino(), m.size(), modified, changed)
    };
    let metadata: io::Result<fs::Metadata> = fs::metadata(path);
    metadata.ok().map(of)
}

/// A leaf of the local CA, issued anew at the first handshake after two thirds of its life.
pub(super) struct Leaf {
    ca: LocalCa,
    names: Vec<Host>,
    held: Mutex<HeldLeaf>,
}

struct HeldLeaf {
    pair: Arc<CertifiedKey>,
    renew_at: SystemTime,
}

impl Leaf {
    pub(super) fn issue(ca: LocalCa, names: Vec<Host>) -> Result<Leaf> {
        let held = HeldLeaf::of(ca.issue(&names)?)?;
        Ok(Leaf {
            ca,
            names,
            held: Mutex::new(held),
        })
    }

    fn at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let mut held = lock(&self.held);
        if now >= held.renew_at {
            // Some hundred microseconds, every two months.
            match self.ca.issue(&self.names).and_then(HeldLeaf::of) {
                Ok(fresh) => *held = fresh,
                Err(e) => {
                    tracing::warn!(error = %e, "no new certificate; the old one stays in use");
                    held.renew_at = now + ISSUE_AGAIN;
                }
            }
        }
        held.pair.clone()
    }
}

impl HeldLeaf {
    fn of(issued: Issued) -> Result<HeldLeaf> {
        let life = issued
            .not_after
            .duration_since(issued.not_before)
            .unwrap_or_default();
        let pair = CertifiedKey::from_der(issued.chain, issued.key, &provider())
            .map_err(|e| Error::new(Kind::Tls, Side::Local, "issuing a certificate").because(e))?;
        Ok(HeldLeaf {
            pair: Arc::new(pair),
            renew_at: issued.not_before + life * 2 / 3,
        })
    }
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.at(SystemTime::now()))
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.ca, self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca() -> (tempfile::TempDir, LocalCa) {
        let dir = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_create_in(dir.path()).unwrap();
        (dir, ca)
    }

    fn write(identity: &Identity, issued: &Issued) {
        fs::write(&identity.cert, &issued.chain_pem).unwrap();
        write_key(identity, issued);
    }

    fn write_key(identity: &Identity, issued: &Issued) {
        let key = rcgen::KeyPair::try_from(issued.key.secret_der()).unwrap();
        fs::write(&identity.key, key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_leaf_is_issued_anew_after_two_thirds_of_its_life() {
        let (_dir, ca) = ca();
        let leaf = Leaf::issue(ca, vec![Host::Name("localhost".into())]).unwrap();
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 60 * 60);
        let first = leaf.at(now);
        assert!(Arc::ptr_eq(&first, &leaf.at(now + 59 * day)));
        assert!(!Arc::ptr_eq(&first, &leaf.at(now + 61 * day)));
    }

    #[test]
    fn replaced_files_are_taken_up_once_they_match() {
        let (dir, ca) = ca();
        let identity = Identity {
            cert: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        let names = [Host::Name("localhost".into())];
        let (old, new) = (ca.issue(&names).unwrap(), ca.issue(&names).unwrap());
        write(&identity, &old);
        let files = Files::load(identity.clone(), Duration::ZERO).unwrap();
        assert_eq!(files.current().cert, old.chain);
        fs::write(&identity.cert, &new.chain_pem).unwrap();
        assert_eq!(
            files.current().cert,
            old.chain,
            "the key is still the old one's"
        );
        write_key(&identity, &new);
        assert_eq!(files.current().cert, new.chain);
        fs::remove_file(&identity.key).unwrap();
        assert_eq!(files.current().cert, new.chain);

        write(&identity, &old);
        let lazy = Files::load(identity.clone(), LOOK_AGAIN).unwrap();
        write(&identity, &new);
        assert_eq!(
            lazy.current().cert,
            old.chain,
            "looked at less than a second ago"
        );
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let (dir, ca) = ca();
        let identity = Identity {
            cert: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        let says = |what: &str| {
            let e = load(&identity).unwrap_err();
            assert!(e.to_string().ends_with(what), "{e}");
            assert_eq!((e.kind(), e.side()), (Kind::Usage, Side::Local));
        };
        says("cert.pem: no such file or directory");
        fs::write(&identity.cert, "nothing").unwrap();
        says("cert.pem: there is no certificate in it");
        let issued = ca.issue(&[]).unwrap();
        fs::write(&identity.cert, &issued.chain_pem).unwrap();
        fs::write(&identity.key, "nothing").unwrap();
        says("key.pem: there is no private key in it");
        fs::write(&identity.key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
        says("key.pem: it is encrypted, and nobody is there to type its passphrase");
        write_key(&identity, &ca.issue(&[]).unwrap());
        says("key.pem does not belong to it");
        write_key(&identity, &issued);
        load(&identity).unwrap();
    }
}
