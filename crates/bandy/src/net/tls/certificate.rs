//! What a certificate says, in words fit for a terminal.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::net::ca::from_unix;
use crate::printable::printable;

/// What a peer's certificate says. Control characters in it are escaped: it is the peer's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Whom it is about, as in `CN=alice, O=Example`.
    pub subject: String,
    /// Who issued it, written likewise.
    pub issuer: String,
    /// The names it is good for: DNS names, addresses, mail addresses, URIs (RFC 5280, section 4.2.1.6).
    pub sans: Vec<String>,
    /// Until when it is good, to the second.
    pub not_after: SystemTime,
}

impl PeerCertificate {
    /// Reads a certificate; `None` when it is not X.509.
    pub fn parse(der: &CertificateDer<'_>) -> Option<PeerCertificate> {
        let (_, cert) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = cert.subject_alternative_name().ok().flatten();
        let names = names.map(|names| &names.value.general_names);
        Some(PeerCertificate {
            subject: name_text(cert.subject()),
            issuer: name_text(cert.issuer()),
            sans: names.into_iter().flatten().filter_map(san_text).collect(),
            not_after: from_unix(cert.validity().not_after.timestamp()),
        })
    }

    /// The day until which it is good, as in `2026-03-01` (UTC).
    pub fn not_after_day(&self) -> String {
        day(self.not_after)
    }

    /// Who issued it, as short as it can be said.
    pub(super) fn issuer_name(&self) -> &str {
        let name = self.issuer.split_once("CN=").map_or("", |(_, cn)| cn);
        // A comma separates one attribute from the next.
        match name.split(", ").next() {
            Some("") | None => &self.issuer,
            Some(name) => name,
        }
    }

    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

/// `2026-03-01`, in UTC.
pub(super) fn day(t: SystemTime) -> String {
    let date = OffsetDateTime::from(t).date();
    format!(
        "{:04}-{:02}-{:02}",
        date.year(),
        u8::from(date.month()),
        date.day()
    )
}

fn name_text(name: &X509Name<'_>) -> String {
    printable(&name.to_string())
}

fn san_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some(printable(text))
        }
        GeneralName::IPAddress(bytes) => {
            if let Ok(v4) = <[u8; 4]>::try_from(*bytes) {
                Some(Ipv4Addr::from(v4).to_string())
            } else {
                let v6 = <[u8; 16]>::try_from(*bytes).ok()?;
                Some(Ipv6Addr::from(v6).to_string())
            }
        }
        _ => None,
    }
}
