//! Which coding a client wants: `Accept-Encoding` (RFC 9110, section 12.5.3).

use crate::http::{HeaderMap, header};

/// How a body can be made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All, the one that is taken among equals first.
    pub const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// As it is called in fields.
    pub fn as_str(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// The coding that a request's fields like best; `None` where that is none, or they do not say.
    pub fn chosen(fields: &HeaderMap) -> Option<Coding> {
        let mut weights = Weights::default();
        for value in fields.get_all(header::ACCEPT_ENCODING) {
            // A field that is no text says nothing.
            for item in value.to_str().unwrap_or_default().split(',') {
                weights.note(item);
            }
        }
        weights.best()
    }
}

/// How much each coding is liked, in thousandths.
#[derive(Debug, Default)]
struct Weights {
    named: [Option<u16>; 3],
    any: Option<u16>,
    identity: Option<u16>,
}

impl Weights {
    fn note(&mut self, item: &str) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let name = name.trim().to_ascii_lowercase();
        let Some(weight) = weight(parameters) else {
            return;
        };
        let place = match name.as_str() {
            "*" => &mut self.any,
            "identity" => &mut self.identity,
            name => {
                let name = if name == "x-gzip" { "gzip" } else { name };
                let at = Coding::ALL.iter().position(|c| c.as_str() == name);
                match at.and_then(|at| self.named.get_mut(at)) {
                    Some(place) => place,
                    None => return,
                }
            }
        };
        *place = Some(weight);
    }

    fn best(&self) -> Option<Coding> {
        let mut best = None;
        for (coding, named) in Coding::ALL.into_iter().zip(self.named) {
            let weight = named.or(self.any).unwrap_or(0);
            if weight > best.map_or(0, |(_, weight)| weight) {
                best = Some((coding, weight));
            }
        }
        // As it is will do, unless it was said how well.
        let (coding, weight) = best?;
        (weight >= self.identity.unwrap_or(0)).then_some(coding)
    }
}

/// The `q` among parameters, 1 where there is none; `None` for one that is no weight.
fn weight(parameters: &str) -> Option<u16> {
    let Some(q) = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find_map(|(name, value)| {
            name.trim()
                .eq_ignore_ascii_case("q")
                .then_some(value.trim())
        })
    else {
        return Some(1000);
    };
    let (whole, part) = q.split_once('.').unwrap_or((q, ""));
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match whole {
        "0" => Some(part),
        "1" if part == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HeaderValue;
    use proptest::prelude::*;

    fn chosen(accepted: &str) -> Option<&'static str> {
        let mut fields = HeaderMap::new();
        let value = HeaderValue::from_str(accepted).expect("a value");
        fields.insert(header::ACCEPT_ENCODING, value);
        Coding::chosen(&fields).map(Coding::as_str)
    }

    #[test]
    fn the_best_that_both_know() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, deflate, br", Some("br")),
            ("gzip", Some("gzip")),
            ("X-GZIP", Some("gzip")),
            ("gzip;q=1.0, br;q=0.9", Some("gzip")),
            ("br;q=0.001", Some("br")),
            ("gzip;q=0", None),
            ("gzip ; Q = 0.000", None),
            ("*", Some("zstd")),
            ("*;q=0.5, zstd;q=0", Some("br")),
            ("*;q=0", None),
            ("identity", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some("gzip")),
            ("deflate", None),
            ("", None),
            // A weight that is none is nobody's wish.
            ("gzip;q=2", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=-1", None),
            ("gzip;q=, br", Some("br")),
        ] {
            assert_eq!(chosen(accepted), expected, "{accepted}");
        }
        assert_eq!(Coding::chosen(&HeaderMap::new()), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(accepted in "[ -~]*|((gzip|br|\\*|identity)(;q=[0-9.]{0,5})?,? ?){0,5}") {
            let _ = chosen(&accepted);
        }
    }
}
