//! With a certificate: TLS has checked that its CA vouches for it, and what it says is looked at here.

use crate::net::tls::PeerCertificate;

/// Whose client certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificates {
    /// Those for one of these: a name, address or mail address that it is good for (`alice@app.example`), or its whole
    /// subject (`CN=alice, O=Example`). None is any.
    pub names: Vec<String>,
}

impl Certificates {
    /// Whether this certificate is one of them.
    pub fn allow(&self, certificate: &PeerCertificate) -> bool {
        let is_one = |name: &String| {
            let good_for = |san: &String| san.eq_ignore_ascii_case(name);
            certificate.sans.iter().any(good_for) || certificate.subject == *name
        };
        self.names.is_empty() || self.names.iter().any(is_one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn by_name_or_by_whole_subject() {
        let certificate = PeerCertificate {
            subject: "CN=alice, O=Example".to_owned(),
            issuer: "CN=ca".to_owned(),
            sans: vec!["alice@app.example".to_owned(), "10.0.0.1".to_owned()],
            not_after: SystemTime::UNIX_EPOCH,
        };
        for (names, expected) in [
            (&[][..], true),
            (&["Alice@app.example"], true),
            (&["bob", "10.0.0.1"], true),
            (&["CN=alice, O=Example"], true),
            // Another attribute could be written to look like it.
            (&["CN=alice"], false),
            (&["alice"], false),
        ] {
            let names = names.iter().map(|n| (*n).to_owned()).collect();
            assert_eq!(Certificates { names }.allow(&certificate), expected);
        }
    }
}
