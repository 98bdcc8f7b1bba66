//! What a client would rather have: the lists with weights of RFC 9110, section 12.4.2.

use crate::http::{HeaderMap, HeaderName};

/// What one member of such a list is worth, in thousandths: 0 is refused, 1000 the best.
pub(super) type Weight = u16;

/// The members of a field such as `Accept-Encoding`, with their weights. One that is malformed is passed over.
pub(super) fn list<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, Weight)> {
    let lines = fields.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|line| line.split(',')).filter_map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let value = parts.next().filter(|value| !value.is_empty())?;
        let mut weight = 1000;
        for part in parts {
            let (key, q) = part.split_once('=').unwrap_or((part, ""));
            if key.trim().eq_ignore_ascii_case("q") {
                weight = thousandths(q.trim())?;
            }
        }
        Some((value, weight))
    })
}

/// `0.5` is 500. No more than three digits after the point, and nothing above 1.
fn thousandths(q: &str) -> Option<Weight> {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse::<Weight>().ok()?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

/// What a media type is worth to a client, by the most specific member that fits it.
pub(super) fn of_media_type(fields: &HeaderMap, media_type: &str) -> Weight {
    let kind = media_type.split('/').next().unwrap_or_default();
    let mut best = (0, 0);
    for (member, weight) in list(fields, &crate::http::header::ACCEPT) {
        let specificity = match member.split_once('/') {
            _ if member.eq_ignore_ascii_case(media_type) => 3,
            Some((of, "*")) if of.eq_ignore_ascii_case(kind) => 2,
            Some(("*", "*")) => 1,
            _ => continue,
        };
        best = best.max((specificity, weight));
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{HeaderValue, header};

    #[test]
    fn weights() {
        for (q, expected) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.001", Some(1)),
            ("0.0001", None),
            ("1.1", None),
            ("2", None),
            ("-1", None),
            ("0.+5", None),
            ("", None),
        ] {
            assert_eq!(thousandths(q), expected, "{q:?}");
        }
    }

    #[test]
    fn the_most_specific_member_counts() {
        let mut fields = HeaderMap::new();
        let accept = "text/html;q=0.5, application/json, text/*;q=0.9, */*;q=0.1";
        fields.insert(header::ACCEPT, HeaderValue::from_static(accept));
        for (media_type, expected) in [
            ("text/html", 500),
            ("text/css", 900),
            ("application/json", 1000),
            ("image/png", 100),
        ] {
            assert_eq!(of_media_type(&fields, media_type), expected, "{media_type}");
        }
    }
}
