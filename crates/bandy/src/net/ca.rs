//! The local certificate authority: TLS on one machine with nothing to set up.
//!
//! The first listener that needs a certificate makes a CA under the user's data directory; every listener then issues
//! itself a leaf for the names it is found under, in memory, and our own clients trust that CA. [`super::trust`] makes
//! other programs trust it too. This file keeps the pair, `issue` signs with it, and
//! [`super::tls`] shows what was signed.
//!
//! Two processes that start at once agree on one CA without a lock: the key is created first, under a name that only one
//! of them can take, and the certificate is always made for the key that is on disk. A process killed between the two
//! leaves a key whose certificate the next one makes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::{Error, Kind, Plain, Result, Side};

pub(crate) mod files;
mod issue;
mod names;

pub use issue::{CLIENT_LIFETIME, Issued, LEAF_LIFETIME};
pub use names::names_for;

use issue::{BACKDATED, COMMON_NAME_MAX, params, whole_seconds};

/// How long a CA lasts.
pub const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * DAY);
/// Seconds.
const DAY: u64 = 24 * 60 * 60;
const CERT_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";

/// A certificate authority of this user on this machine.
///
/// Its `Debug` shows where it is, never its key.
pub struct LocalCa {
    dir: PathBuf,
    cert: CertificateDer<'static>,
    pem: String,
    not_after: SystemTime,
    issuer: Issuer<'static, KeyPair>,
}

impl LocalCa {
    /// Where the CA of this user lives: `$XDG_DATA_HOME/bandy`, or else `$HOME/.local/share/bandy`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when neither variable holds an absolute path.
    pub fn default_dir() -> Result<PathBuf> {
        // A relative path in it must be ignored (XDG Base Directory Specification 0.8).
        let absolute = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("bandy"))
            .ok_or_else(|| {
                Error::new(Kind::Usage, Side::Local, "looking for the local CA")
                    .because("neither XDG_DATA_HOME nor HOME says where this user's data is")
                    .hint("set HOME, or give a certificate of your own with --cert FILE --key FILE")
            })
    }

    /// Opens this user's CA.
    ///
    /// # Errors
    /// As [`LocalCa::open_in`] and [`LocalCa::default_dir`].
    pub fn open() -> Result<LocalCa> {
        LocalCa::open_in(&LocalCa::default_dir()?)
    }

    /// Opens this user's CA, and makes it if there is none.
    ///
    /// # Errors
    /// As [`LocalCa::open_or_create_in`] and [`LocalCa::default_dir`].
    pub fn open_or_create() -> Result<LocalCa> {
        LocalCa::open_or_create_in(&LocalCa::default_dir()?)
    }

    /// Opens the CA in `dir`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when there is none, its files are damaged, do not belong together or have expired, or its key may
    /// be read by others; [`Kind::Io`] when the files cannot be read.
    pub fn open_in(dir: &Path) -> Result<LocalCa> {
        match (read_key(dir)?, read_cert(dir)?) {
            (Some(key), Some(cert)) => LocalCa::of(dir, key, cert),
            _ => Err(opening(Kind::Usage, dir)
                .because("there is none yet")
                .hint("`bandy trust --path` makes one")),
        }
    }

    /// Opens the CA in `dir`, and makes it, and `dir`, if there is none. All that do so at once get the same one.
    ///
    /// # Errors
    /// As [`LocalCa::open_in`], but for there being none; [`Kind::Io`] when the files cannot be written.
    pub fn open_or_create_in(dir: &Path) -> Result<LocalCa> {
        files::create_dir(dir).map_err(|e| write_failed(dir, e))?;
        let key = match read_key(dir)? {
            Some(key) => key,
            None => create_key(dir)?,
        };
        let cert = match read_cert(dir)? {
            Some(cert) => cert,
            None => create_cert(dir, &key)?,
        };
        LocalCa::of(dir, key, cert)
    }

    /// The certificate of the CA in `dir`, for who only needs to trust it; `None` when there is none.
    ///
    /// # Errors
    /// [`Kind::Usage`] when it is damaged, [`Kind::Io`] when it cannot be read.
    pub fn certificate_in(dir: &Path) -> Result<Option<CertificateDer<'static>>> {
        Ok(read_cert(dir)?.map(|(der, _)| der))
    }

    fn of(
        dir: &Path,
        key: KeyPair,
        (cert, pem): (CertificateDer<'static>, String),
    ) -> Result<LocalCa> {
        let path = dir.join(CERT_FILE);
        let (matches, not_after) = {
            let (_, parsed) = x509_parser::parse_x509_certificate(&cert)
                .map_err(|_| damaged(dir, &path, "it is not an X.509 certificate"))?;
            let matches = parsed.public_key().raw == key.subject_public_key_info();
            (matches, parsed.validity().not_after.timestamp())
        };
        if !matches {
            return Err(damaged(
                dir,
                &path,
                "it does not belong to the key in ca-key.pem",
            ));
        }
        let not_after = from_unix(not_after);
        if not_after <= SystemTime::now() {
            return Err(opening(Kind::Usage, dir)
                .because("it has expired")
                .hint(start_over(dir)));
        }
        let issuer = Issuer::from_ca_cert_der(&cert, key)
            .map_err(|e| damaged(dir, &path, &e.to_string()))?;
        Ok(LocalCa {
            dir: dir.to_owned(),
            cert,
            pem,
            not_after,
            issuer,
        })
    }

    /// The directory it lives in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that holds its certificate, for programs that take a file of CAs.
    pub fn path(&self) -> PathBuf {
        self.dir.join(CERT_FILE)
    }

    /// Its certificate as PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.cert
    }

    /// The SHA-256 of its certificate, in 64 hex digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.cert)
    }
}

/// The SHA-256 of a certificate, in 64 hex digits.
pub fn fingerprint(cert: &CertificateDer<'_>) -> String {
    sha256(cert)
}

fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalCa({})", self.dir.display())
    }
}

fn create_key(dir: &Path) -> Result<KeyPair> {
    let path = dir.join(KEY_FILE);
    // Whoever made the certificate made the key before: that it was not there a moment ago only means that we were
    // earlier. If it still is not, it was taken away, and a new key would leave a certificate that matches nothing.
    if read_cert(dir)?.is_some() {
        return read_key(dir)?.ok_or_else(|| {
            opening(Kind::Usage, dir)
                .because("it has a certificate, ca.pem, but its key, ca-key.pem, is gone")
                .hint(start_over(dir))
        });
    }
    let key = KeyPair::generate().map_err(|e| opening(Kind::Other, dir).because(e))?;
    let pem = key.serialize_pem();
    if files::create_new(&path, pem.as_bytes(), files::PRIVATE)
        .map_err(|e| write_failed(&path, e))?
    {
        return Ok(key);
    }
    read_key(dir)?.ok_or_else(|| vanished(dir, &path))
}

fn create_cert(dir: &Path, key: &KeyPair) -> Result<(CertificateDer<'static>, String)> {
    let path = dir.join(CERT_FILE);
    let now = SystemTime::now();
    let mut params = params(
        &common_name(key),
        whole_seconds(now - BACKDATED),
        whole_seconds(now + CA_LIFETIME),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let cert = params
        .self_signed(key)
        .map_err(|e| opening(Kind::Other, dir).because(e))?;
    let pem = cert.pem();
    if files::create_new(&path, pem.as_bytes(), files::PUBLIC)
        .map_err(|e| write_failed(&path, e))?
    {
        tracing::info!(path = %path.display(), "made a local certificate authority");
        return Ok((cert.der().clone(), pem));
    }
    read_cert(dir)?.ok_or_else(|| vanished(dir, &path))
}

/// `Bandy local CA (user@host 1a2b3c4d)`, so that a person who finds it among a system's CAs knows whose it is. The
/// digits are the key's: two authorities with one name would be taken for each other, and a certificate of the one that
/// is not trusted would be called forged.
fn common_name(key: &KeyPair) -> String {
    let key: String = sha256(key.public_key_raw()).chars().take(8).collect();
    let user = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| rustix::process::geteuid().as_raw().to_string());
    let host = names::machine_name().unwrap_or_else(|| "localhost".to_owned());
    let owner: String = format!("{user}@{host}")
        .chars()
        .filter(char::is_ascii_graphic)
        .take(COMMON_NAME_MAX - "Bandy local CA ( 01234567)".len())
        .collect();
    format!("Bandy local CA ({owner} {key})")
}

fn read_key(dir: &Path) -> Result<Option<KeyPair>> {
    let path = dir.join(KEY_FILE);
    let Some((bytes, mode)) = files::read_with_mode(&path).map_err(|e| read_failed(&path, e))?
    else {
        return Ok(None);
    };
    if mode & 0o077 != 0 {
        return Err(opening(Kind::Usage, dir)
            .because(format!(
                "others may read its key: {} has mode {mode:04o}",
                path.display()
            ))
            .hint(format!("chmod 600 {}", path.display())));
    }
    // What the parser says could quote the key: the cause is in our own words.
    let key = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|pem| KeyPair::from_pem(pem).ok())
        .ok_or_else(|| damaged(dir, &path, "it is not a private key in PEM"))?;
    Ok(Some(key))
}

fn read_cert(dir: &Path) -> Result<Option<(CertificateDer<'static>, String)>> {
    let path = dir.join(CERT_FILE);
    let Some(bytes) = files::read(&path).map_err(|e| read_failed(&path, e))? else {
        return Ok(None);
    };
    let pem = String::from_utf8(bytes).ok();
    let der = pem
        .as_deref()
        .and_then(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
    match der.zip(pem) {
        Some(cert) => Ok(Some(cert)),
        None => Err(damaged(dir, &path, "it is not a certificate in PEM")),
    }
}

fn opening(kind: Kind, dir: &Path) -> Error {
    let act = format!("opening the local CA in {}", dir.display());
    Error::new(kind, Side::Local, act)
}

fn damaged(dir: &Path, path: &Path, why: &str) -> Error {
    opening(Kind::Usage, dir)
        .because(format!("{} is damaged: {why}", path.display()))
        .hint(start_over(dir))
}

fn vanished(dir: &Path, path: &Path) -> Error {
    opening(Kind::Io, dir).because(format!("{} was removed meanwhile", path.display()))
}

fn start_over(dir: &Path) -> String {
    format!(
        "to start over with a new CA, run `bandy untrust`, then remove {0}/ca.pem and {0}/ca-key.pem",
        dir.display()
    )
}

fn read_failed(path: &Path, e: io::Error) -> Error {
    Error::new(Kind::Io, Side::Local, format!("reading {}", path.display())).because(Plain(e))
}

fn write_failed(path: &Path, e: io::Error) -> Error {
    Error::new(Kind::Io, Side::Local, format!("writing {}", path.display()))
        .because(Plain(e))
        .hint("XDG_DATA_HOME can name another directory; --cert FILE --key FILE needs none")
}

pub(super) fn from_unix(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests;
