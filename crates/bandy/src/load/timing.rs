//! Server-Timing: what a server says of its own times (W3C Server Timing, section 3).

use std::time::Duration;

/// Finds each metric with a duration in the value of a Server-Timing field: `queue;dur=0.12, handler;dur=3.4`, in
/// milliseconds. What is malformed is left out.
pub fn parse(value: &[u8], mut found: impl FnMut(&str, Duration)) {
    let Ok(text) = std::str::from_utf8(value) else {
        return;
    };
    for metric in text.split(',') {
        let mut parts = metric.split(';').map(str::trim);
        let Some(name) = parts.next().filter(|name| is_token(name)) else {
            continue;
        };
        let durations = parts.filter_map(|part| {
            let (key, value) = part.split_once('=')?;
            let is_duration = key.trim().eq_ignore_ascii_case("dur");
            let value = value.trim().trim_matches('"').parse::<f64>().ok()?;
            // A day is beyond any answer; what is no number has no order.
            (is_duration && (0.0..=86_400_000.0).contains(&value)).then_some(value)
        });
        for milliseconds in durations.take(1) {
            found(name, Duration::from_secs_f64(milliseconds / 1e3));
        }
    }
}

/// The longest name of a metric that is told apart.
const NAME_MAX: usize = 64;

fn is_token(name: &str) -> bool {
    let is_char = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_char)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<(String, u128)> {
        let mut all = Vec::new();
        parse(text.as_bytes(), |name, took| {
            all.push((name.to_owned(), took.as_micros()));
        });
        all
    }

    #[test]
    fn as_servers_write_it() {
        let told = |name: &str, micros| (name.to_owned(), micros);
        assert_eq!(
            all("queue;dur=0.12, handler ; DUR=3.4;desc=\"x\", cache"),
            [told("queue", 120), told("handler", 3400)]
        );
        assert_eq!(all("db;desc=a;dur=\"53\""), [told("db", 53_000)]);
        for nothing in [
            "",
            ";dur=1",
            "a b;dur=1",
            "a;dur=-1",
            "a;dur=NaN",
            "a;dur=1e99",
        ] {
            assert_eq!(all(nothing), [], "{nothing}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            parse(&bytes, |_, _| {});
        }
    }
}
