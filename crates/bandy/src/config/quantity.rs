//! Durations and sizes, as people write them: `1m30s`, `64KiB`.
//!
//! Parsing what was printed gives the same value back, whatever the value.

use std::fmt;
use std::time::Duration;

/// Longer than this is a slip of the hand: `none` says "no limit".
pub const DURATION_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Nothing that is counted or measured in bytes here goes beyond this (4 GiB less one byte).
pub const COUNT_MAX: u64 = u32::MAX as u64;

const DURATIONS: [(&str, u128); 7] = [
    ("d", 24 * 3_600_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is no duration or size. `Display` gives the reason, [`QuantityError::hint`] what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    why: String,
    hint: String,
}

impl QuantityError {
    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for QuantityError {}

/// Parses `200ms`, `10s`, `5m`, `1h`, `1m30s`: whole numbers with units, the greater first.
///
/// ```
/// use bandy::config::quantity::parse_duration;
/// assert_eq!(parse_duration("1m30s")?, std::time::Duration::from_secs(90));
/// # Ok::<(), bandy::config::quantity::QuantityError>(())
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    const HINT: &str =
        "write whole numbers with units, as in `200ms`, `10s`, `5m`, `1h` or `1m30s`";
    let fail = |why: String, hint: &str| {
        Err(QuantityError {
            why,
            hint: hint.to_owned(),
        })
    };
    let mut total: u128 = 0;
    let mut previous = u128::MAX;
    let mut rest = text;
    if text.is_empty() {
        return fail("it is empty".to_owned(), HINT);
    }
    while !rest.is_empty() {
        let (number, after) = split(rest, |b| b.is_ascii_digit());
        let (unit, after) = split(after, |b| b.is_ascii_alphabetic() || !b.is_ascii());
        if number.is_empty() || (unit.is_empty() && !after.is_empty()) {
            return fail(format!("`{rest}` is not a number with a unit"), HINT);
        }
        if unit.is_empty() {
            return fail(
                format!("`{number}` has no unit"),
                &format!("write `{number}s` for seconds, `{number}ms` for milliseconds"),
            );
        }
        let Some((_, nanos)) = DURATIONS.into_iter().find(|(name, _)| *name == unit) else {
            return fail(
                format!("`{unit}` is not a unit of time"),
                "the units are d, h, m, s, ms, us and ns",
            );
        };
        if nanos >= previous {
            return fail(
                format!("`{unit}` stands behind a smaller or equal unit"),
                "write the greater unit first and each once, as in `1m30s`",
            );
        }
        previous = nanos;
        // A number too long for u128 is certainly beyond DURATION_MAX.
        total = number
            .parse::<u128>()
            .ok()
            .and_then(|n| n.checked_mul(nanos))
            .and_then(|n| n.checked_add(total))
            .unwrap_or(u128::MAX);
        if total > DURATION_MAX.as_nanos() {
            return fail(
                "it is longer than ten years".to_owned(),
                "use a shorter time",
            );
        }
        rest = after;
    }
    let (seconds, nanos) = (total / 1_000_000_000, total % 1_000_000_000);
    // Both fit: `total` is at most DURATION_MAX.
    Ok(Duration::new(seconds as u64, nanos as u32))
}

/// Prints a duration so that [`parse_duration`] gives it back: `1m30s`; zero is `0s`.
pub fn print_duration(duration: Duration) -> String {
    let mut out = String::new();
    let mut rest = duration.as_nanos();
    // Hours are the greatest that is printed: `36h` compares more easily than `1d12h`.
    for (unit, nanos) in &DURATIONS[1..] {
        if rest >= *nanos {
            out.push_str(&format!("{}{unit}", rest / nanos));
            rest %= nanos;
        }
    }
    if out.is_empty() {
        out.push_str("0s");
    }
    out
}

/// Parses `64KiB`, `10MB`, `512B` or `512`, in bytes: KiB is 1,024 and kB is 1,000.
///
/// ```
/// use bandy::config::quantity::parse_size;
/// assert_eq!(parse_size("64KiB")?, 65_536);
/// # Ok::<(), bandy::config::quantity::QuantityError>(())
/// ```
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let fail = |why: String, hint: String| Err(QuantityError { why, hint });
    let (number, unit) = split(text, |b| b.is_ascii_digit());
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if number.is_empty() {
        return fail(
            "it does not begin with a number".to_owned(),
            "write a size as in `64KiB`, `10MB` or `512`".to_owned(),
        );
    }
    let factor = SIZES
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| factor);
    let factor = match (factor, unit) {
        (Some(factor), _) => factor,
        (None, "") => 1,
        (None, "k" | "K" | "m" | "M" | "g" | "G" | "t" | "T") => {
            let u = unit.to_ascii_uppercase();
            let decimal = if u == "K" { "k" } else { &u };
            return fail(
                format!("`{unit}` could mean two sizes"),
                format!(
                    "write `{number}{u}iB` (powers of 1,024) or `{number}{decimal}B` (of 1,000)"
                ),
            );
        }
        (None, _) => {
            return fail(
                format!("`{unit}` is not a unit of size"),
                "the units are B, KiB, MiB, GiB and kB, MB, GB".to_owned(),
            );
        }
    };
    match number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(bytes) => Ok(bytes),
        None => fail(
            "it is too large".to_owned(),
            "use a smaller size".to_owned(),
        ),
    }
}

/// Prints a size so that [`parse_size`] gives it back, in the greatest unit that divides it.
pub fn print_size(bytes: u64) -> String {
    let fits = |(_, factor): &(&str, u64)| bytes != 0 && bytes.is_multiple_of(*factor);
    let (unit, factor) = SIZES.into_iter().find(fits).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / factor)
}

fn split(text: &str, is_first: impl Fn(u8) -> bool) -> (&str, &str) {
    let at = text
        .bytes()
        .position(|b| !is_first(b))
        .unwrap_or(text.len());
    text.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn durations_round_trip(seconds in 0..DURATION_MAX.as_secs(), nanos in 0..1_000_000_000u32) {
            let d = Duration::new(seconds, nanos);
            prop_assert_eq!(parse_duration(&print_duration(d)), Ok(d));
        }

        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(parse_size(&print_size(bytes)), Ok(bytes));
        }

        #[test]
        fn nothing_panics(text in "\\PC*|[0-9]{0,40}[a-zA-Z]{0,3}[0-9]{0,3}[a-z]{0,2}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }

    #[test]
    fn as_people_write_them() {
        for (text, ms) in [
            ("200ms", 200),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1d", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for (text, bytes) in [
            ("512", 512),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("10mb", 10_000_000),
            ("1B", 1),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert_eq!(print_duration(Duration::from_secs(5400)), "1h30m");
        assert_eq!(print_size(1 << 20), "1MiB");
        assert_eq!(print_size(10_000_000), "10MB");
        assert_eq!(print_size(1025), "1025B");
    }

    #[test]
    fn what_is_wrong_and_what_to_write() {
        let duration = |text| {
            parse_duration(text).map_or_else(|e| format!("{e}; {}", e.hint()), print_duration)
        };
        assert_eq!(
            duration("10"),
            "`10` has no unit; write `10s` for seconds, `10ms` for milliseconds"
        );
        assert_eq!(
            duration("5 m"),
            "`5 m` is not a number with a unit; write whole numbers with units, as in `200ms`, `10s`, `5m`, `1h` or `1m30s`"
        );
        assert_eq!(
            duration("1.5s"),
            "`1.5s` is not a number with a unit; write whole numbers with units, as in `200ms`, `10s`, `5m`, `1h` or `1m30s`"
        );
        assert_eq!(
            duration("10sec"),
            "`sec` is not a unit of time; the units are d, h, m, s, ms, us and ns"
        );
        assert_eq!(
            duration("30s1m"),
            "`m` stands behind a smaller or equal unit; write the greater unit first and each once, as in `1m30s`"
        );
        assert_eq!(
            duration("99999999999999999999999999999999999999999h"),
            "it is longer than ten years; use a shorter time"
        );
        let size =
            |text| parse_size(text).map_or_else(|e| format!("{e}; {}", e.hint()), print_size);
        assert_eq!(
            size("64K"),
            "`K` could mean two sizes; write `64KiB` (powers of 1,024) or `64kB` (of 1,000)"
        );
        assert_eq!(
            size("1Mbit"),
            "`Mbit` is not a unit of size; the units are B, KiB, MiB, GiB and kB, MB, GB"
        );
        assert_eq!(
            size("big"),
            "it does not begin with a number; write a size as in `64KiB`, `10MB` or `512`"
        );
        assert_eq!(
            size("99999999999GiB"),
            "it is too large; use a smaller size"
        );
    }
}
