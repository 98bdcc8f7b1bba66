//! Failures of TLS, in words that say what is likely and what to try.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use rustls::{AlertDescription, CertificateError, PeerIncompatible};
use rustls_pki_types::UnixTime;

use super::certificate::{PeerCertificate, day};
use crate::error::{Error, Kind, Result, Side, is_closed};
use crate::printable::printable;

/// The failure of a client's handshake, from the server's point of view.
pub(super) fn accepting(peer: &dyn fmt::Display, e: io::Error) -> Error {
    let act = format!("TLS handshake with {peer}");
    let side = Side::Downstream;
    let tls = match tls_error(e) {
        Ok(tls) => tls,
        // Port scanners and health checks come and go: a caller may want to be quiet about them.
        Err(e) if is_closed(e.kind()) => {
            return Error::new(Kind::Closed, side, act)
                .because("the client went away before the handshake was done");
        }
        Err(e) => return Error::talking(side, act, e),
    };
    let error = |kind, why: &str| Error::new(kind, side, act.as_str()).because(why);
    match &tls {
        rustls::Error::InvalidMessage(_) | rustls::Error::PeerSentOversizedRecord => {
            error(Kind::Tls, "the client speaks plain text, not TLS (HTTP?)")
                .hint("connect with tls://, wss:// or https://, or listen without TLS")
        }
        rustls::Error::PeerIncompatible(why) if is_old(why) => {
            error(Kind::Tls, "the client speaks only TLS 1.1 or older")
                .hint("a newer client is needed: TLS 1.2 and 1.3 are spoken here")
        }
        rustls::Error::NoCertificatesPresented => error(
            Kind::Untrusted,
            "the client showed no certificate, and one is required here",
        )
        .hint("`bandy trust --client NAME --out DIR` issues one of the local CA"),
        rustls::Error::InvalidCertificate(why) => {
            let why = match why {
                CertificateError::UnknownIssuer => {
                    "nobody whom we trust for clients issued it".into()
                }
                why => certificate_text(why, None),
            };
            error(Kind::Untrusted, &format!("the client's certificate: {why}"))
        }
        rustls::Error::AlertReceived(alert) => match refusal(*alert) {
            Refusal::Certificate => {
                let why = format!(
                    "the client does not trust our certificate (alert {})",
                    alert_name(*alert)
                );
                error(Kind::Tls, &why).hint(match alert {
                    // What most implementations send for a name that is not in it.
                    AlertDescription::BadCertificate => {
                        "did it ask for a name that the certificate is not for?"
                    }
                    _ => "`bandy trust` makes this machine's programs trust the local CA; others take the file that `bandy trust --path` prints",
                })
            }
            _ => error(Kind::Tls, &alert_text("client", *alert)),
        },
        other => error(Kind::Tls, &other.to_string()),
    }
}

/// The failure of a handshake with a server, from the client's point of view; `shown` is the certificate that was refused.
pub(super) fn connecting(
    endpoint: &dyn fmt::Display,
    e: io::Error,
    shown: Option<PeerCertificate>,
) -> Error {
    let act = format!("TLS handshake with {endpoint}");
    let side = Side::Upstream;
    let tls = match tls_error(e) {
        Ok(tls) => tls,
        Err(e) if is_closed(e.kind()) => {
            return Error::new(Kind::Tls, side, act)
                .because("the server closed the connection before the handshake was done")
                .hint(format!(
                    "does it speak TLS? A plain server is at {}://",
                    plain(endpoint)
                ));
        }
        Err(e) => return Error::talking(side, act, e),
    };
    let error = |why: &str| Error::new(Kind::Tls, side, act.as_str()).because(why);
    match &tls {
        rustls::Error::InvalidCertificate(why) => untrusted(endpoint, why, shown),
        // An echo server sends our own greeting back, which is TLS but not an answer.
        rustls::Error::InvalidMessage(_)
        | rustls::Error::PeerSentOversizedRecord
        | rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. } => {
            error("the server does not speak TLS")
                .hint(format!("a plain server is at {}://", plain(endpoint)))
        }
        rustls::Error::PeerIncompatible(why) if is_old(why) => old_server(error),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => old_server(error),
        rustls::Error::AlertReceived(alert) => refused(error, *alert),
        other => error(&other.to_string()),
    }
}

/// The scheme of a server that says the same without TLS.
fn plain(endpoint: &dyn fmt::Display) -> &'static str {
    match endpoint.to_string().split(':').next() {
        Some("https") => "http",
        Some("wss") => "ws",
        _ => "tcp",
    }
}

fn old_server(error: impl Fn(&str) -> Error) -> Error {
    error("the server speaks only TLS 1.1 or older")
        .hint("a newer server is needed: TLS 1.2 and 1.3 are spoken here")
}

/// Puts a failure to read from or write to a TLS stream in words. `act` is what was attempted, `side` where the peer is.
///
/// With TLS 1.3 a client learns only here that the server refused its certificate. A connection that ended without
/// `close_notify` (RFC 8446, section 6.1) is [`Kind::Closed`]. What is not TLS's own is left to [`Error::talking`].
pub fn explain(side: Side, act: impl Into<String>, e: io::Error) -> Error {
    let act = act.into();
    let unfinished = e.kind() == io::ErrorKind::UnexpectedEof;
    match tls_error(e) {
        Ok(rustls::Error::AlertReceived(alert)) => refused(
            |why| Error::new(Kind::Tls, side, act.as_str()).because(why),
            alert,
        ),
        Ok(tls) => Error::new(Kind::Tls, side, act).because(tls),
        Err(_) if unfinished => Error::new(Kind::Closed, side, act).because(
            "the connection ended without TLS's goodbye (close_notify): what came may be cut short",
        ),
        Err(e) => Error::talking(side, act, e),
    }
}

/// A server's certificate that is not to be trusted: why, and what would make it so.
fn untrusted(
    endpoint: &dyn fmt::Display,
    why: &CertificateError,
    shown: Option<PeerCertificate>,
) -> Error {
    let act = format!("checking the certificate of {endpoint}");
    let error = Error::new(Kind::Untrusted, Side::Upstream, act)
        .because(certificate_text(why, shown.as_ref()));
    const ANYWAY: &str = "--insecure connects without checking";
    let hint = match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("connect to one of those names, or ask for one with --server-name; {ANYWAY}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server needs a new certificate; {ANYWAY}")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("is a clock wrong? {ANYWAY}")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            ANYWAY.to_owned()
        }
        _ => match &shown {
            Some(cert) if cert.issuer_name().starts_with("Bandy local CA") => format!(
                "on the server's machine and account, `bandy trust --print` prints its CA: save that and give it with --ca FILE; {ANYWAY}"
            ),
            Some(cert) if cert.is_self_issued() => {
                format!("give the server's certificate with --ca FILE; {ANYWAY}")
            }
            _ => format!("give its CA with --ca FILE; {ANYWAY}"),
        },
    };
    error.hint(hint)
}

fn certificate_text(why: &CertificateError, cert: Option<&PeerCertificate>) -> String {
    use CertificateError as E;
    match why {
        E::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it is for no name at all".to_owned()
        }
        E::NotValidForNameContext {
            expected,
            presented,
        } => {
            // rustls writes `DnsName("a")`; the certificate's own words are plainer.
            let names = match cert {
                Some(cert) if !cert.sans.is_empty() => cert.sans.join(", "),
                _ => printable(&presented.join(", ")),
            };
            format!("it is for {names}, not for {}", expected.to_str())
        }
        E::ExpiredContext { time, not_after } => {
            let ago = time.as_secs().saturating_sub(not_after.as_secs());
            format!("it expired on {} ({})", unix_day(*not_after), ago_text(ago))
        }
        E::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {}", unix_day(*not_before))
        }
        E::UnknownIssuer => match cert {
            Some(cert) if cert.is_self_issued() => {
                format!(
                    "it is self-signed ({}), and not among those trusted",
                    cert.subject
                )
            }
            Some(cert) => format!("its issuer, \"{}\", is not trusted", cert.issuer_name()),
            None => "its issuer is not trusted".to_owned(),
        },
        E::BadSignature => "it was not signed by the issuer that it names".to_owned(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            "it is for another purpose (its extended key usage)".to_owned()
        }
        // What `openssl req -x509` makes is a CA by default.
        E::Other(_) if cert.is_some_and(PeerCertificate::is_self_issued) => {
            "it is self-signed, and not among those trusted".to_owned()
        }
        other => other.to_string(),
    }
}

fn unix_day(t: UnixTime) -> String {
    day(SystemTime::UNIX_EPOCH + Duration::from_secs(t.as_secs()))
}

fn ago_text(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (1, _, _) => "1 day ago".to_owned(),
        (days @ 2.., _, _) => format!("{days} days ago"),
        (0, 1, _) => "1 hour ago".to_owned(),
        (0, hours @ 2.., _) => format!("{hours} hours ago"),
        (0, 0, 1) => "1 minute ago".to_owned(),
        (0, 0, minutes @ 2..) => format!("{minutes} minutes ago"),
        (0, 0, 0) => "just now".to_owned(),
    }
}

/// What a peer means by an alert.
enum Refusal {
    /// That it wants a certificate and got none.
    NoCertificate,
    /// That it does not believe the one it got.
    Certificate,
    /// Anything else.
    Other,
}

fn refusal(alert: AlertDescription) -> Refusal {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired | A::NoCertificate => Refusal::NoCertificate,
        A::UnknownCA
        | A::BadCertificate
        | A::CertificateUnknown
        | A::CertificateExpired
        | A::CertificateRevoked
        | A::UnsupportedCertificate
        | A::AccessDenied => Refusal::Certificate,
        _ => Refusal::Other,
    }
}

/// A client that a server refused.
fn refused(error: impl Fn(&str) -> Error, alert: AlertDescription) -> Error {
    let name = alert_name(alert);
    match refusal(alert) {
        Refusal::NoCertificate => error(&format!("the server wants a client certificate (alert {name})"))
            .hint("show one with --cert FILE --key FILE; `bandy trust --client NAME --out DIR` issues one of the local CA"),
        Refusal::Certificate => error(&format!(
            "the peer does not accept our certificate, or wants one (alert {name})"
        ))
        .hint("show one that it trusts with --cert FILE --key FILE"),
        Refusal::Other => {
            let error = error(&alert_text("peer", alert));
            match alert {
                AlertDescription::HandshakeFailure => error
                    .hint("it may want a client certificate: --cert FILE --key FILE"),
                AlertDescription::UnrecognisedName => error.hint("ask for another name with --server-name"),
                _ => error,
            }
        }
    }
}

fn alert_text(who: &str, alert: AlertDescription) -> String {
    let name = alert_name(alert);
    match alert {
        AlertDescription::HandshakeFailure => {
            format!("the {who} found no way to agree on keys and ciphers (alert {name})")
        }
        AlertDescription::ProtocolVersion => {
            format!("the {who} speaks none of our versions, TLS 1.2 and 1.3 (alert {name})")
        }
        AlertDescription::UnrecognisedName => {
            format!("the {who} has no certificate for that name (alert {name})")
        }
        AlertDescription::NoApplicationProtocol => {
            format!("the {who} speaks none of the application protocols offered (alert {name})")
        }
        _ => format!("the {who} ended it (alert {name})"),
    }
}

/// The name as the RFCs have it: `UnknownCA` is `unknown_ca` (RFC 8446, section 6).
fn alert_name(alert: AlertDescription) -> String {
    let Some(name) = alert.as_str() else {
        return u8::from(alert).to_string();
    };
    let mut out = String::with_capacity(name.len() + 4);
    let mut lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && lower {
            out.push('_');
        }
        lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn is_old(why: &PeerIncompatible) -> bool {
    use PeerIncompatible as P;
    matches!(
        why,
        P::Tls12NotOffered
            | P::Tls12NotOfferedOrEnabled
            | P::SupportedVersionsExtensionRequired
            // New in TLS 1.2, and looked for before the version is.
            | P::SignatureAlgorithmsExtensionRequired
            | P::ServerDoesNotSupportTls12Or13
            | P::ServerTlsVersionIsDisabledByOurConfig
    )
}

/// TLS's own error, out of the I/O error that carried it here.
fn tls_error(e: io::Error) -> Result<rustls::Error, io::Error> {
    e.downcast::<rustls::Error>()
}
