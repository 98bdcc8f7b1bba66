//! Which of a file's encodings a client gets (RFC 9110, section 12.5.3). No I/O.

use super::preference::{Weight, list};
use crate::http::{HeaderMap, HeaderValue, header};

/// A content coding that a file may lie compressed in beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// Those that are smaller for text come first.
    pub(super) const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// What is behind the name of the file that is so encoded.
    pub(super) fn suffix(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b".br",
            Coding::Zstd => b".zst",
            Coding::Gzip => b".gz",
        }
    }

    /// As `Content-Encoding` says it.
    pub(super) fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    pub(super) fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }
}

/// The coding, of these that there are, that the client wants most; `None` is the file as it is. That is also sent
/// where nothing that was asked for is there.
pub(super) fn choose(
    fields: &HeaderMap,
    there: impl Iterator<Item = Coding> + Clone,
) -> Option<Coding> {
    if !fields.contains_key(header::ACCEPT_ENCODING) {
        return None;
    }
    let weight = |token: &str| -> Option<Weight> {
        let mut members = list(fields, &header::ACCEPT_ENCODING);
        let is_it = |name: &str| {
            name.eq_ignore_ascii_case(token)
                || (token == "gzip" && name.eq_ignore_ascii_case("x-gzip"))
        };
        let named = members.find(|(name, _)| is_it(name));
        let any = || list(fields, &header::ACCEPT_ENCODING).find(|(name, _)| *name == "*");
        Some(named.or_else(any)?.1)
    };
    // Not mentioned, the file as it is may be sent, but was not asked for.
    let mut best = (weight("identity").unwrap_or(0), None);
    // Backwards, so that among equals the first of ALL stays.
    let mut there: Vec<Coding> = there.collect();
    there.reverse();
    for coding in there {
        let weight = weight(coding.token()).unwrap_or(0);
        if weight > 0 && weight >= best.0 {
            best = (weight, Some(coding));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_most_of_what_there_is() {
        use Coding::{Brotli, Gzip, Zstd};
        let all = &Coding::ALL[..];
        for (accept, there, expected) in [
            ("gzip, deflate, br, zstd", all, Some(Brotli)),
            ("gzip, zstd", all, Some(Zstd)),
            ("gzip", all, Some(Gzip)),
            ("x-gzip", all, Some(Gzip)),
            ("GZIP", all, Some(Gzip)),
            ("gzip;q=0.5, br;q=0.4", all, Some(Gzip)),
            ("br", &[Gzip], None),
            ("gzip, br", &[Gzip], Some(Gzip)),
            ("*", all, Some(Brotli)),
            ("*;q=0.5, br;q=0", all, Some(Zstd)),
            ("br;q=0, gzip;q=0, zstd;q=0", all, None),
            ("identity", all, None),
            ("identity, br;q=0.9", all, None),
            ("identity;q=0.5, br", all, Some(Brotli)),
            ("identity;q=0", &[], None),
            ("identity;q=0", all, None),
            ("", all, None),
            ("br;q=2, gzip;q=x", all, None),
            ("br;q=1", all, Some(Brotli)),
            ("brr", all, None),
        ] {
            let mut fields = HeaderMap::new();
            let accept = HeaderValue::from_static(accept);
            fields.insert(header::ACCEPT_ENCODING, accept.clone());
            let chosen = choose(&fields, there.iter().copied());
            assert_eq!(chosen, expected, "{accept:?} of {there:?}");
        }
        assert_eq!(choose(&HeaderMap::new(), all.iter().copied()), None);
    }
}
