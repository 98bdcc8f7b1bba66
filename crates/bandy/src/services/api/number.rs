//! Numbers as people write them, added without a surprise: whole numbers and decimals exactly, others as near as a
//! double comes.

use std::fmt;

/// The most digits of a number that is kept exactly. Two of them add up within an `i128`.
const DIGITS: usize = 37;

/// A number between -10^37 and 10^37.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// `units` / 10^`scale`.
    Exact { units: i128, scale: u32 },
    /// One with more digits than are kept, or as small as 1e-300.
    Near(f64),
}

/// Why a text is no [`Number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    NoNumber,
    TooLarge,
}

impl Wrong {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Wrong::NoNumber => "is not a number such as 5, -3 or 1.5",
            Wrong::TooLarge => "is not between -10^37 and 10^37",
        }
    }
}

impl Number {
    pub(super) const ZERO: Number = Number::Exact { units: 0, scale: 0 };
    /// The bound of each number, for the schema.
    pub(super) const MAX: f64 = 1e37;

    /// A JSON number; a plus in front is taken too.
    pub(super) fn parse(text: &str) -> Result<Number, Wrong> {
        let (is_negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let (mut units, mut digits, mut scale) = (0_i128, 0, 0_i64);
        let (mut written, mut point, mut exponent) = (0, false, None);
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    written += 1;
                    scale += i64::from(point);
                    digits += usize::from(digits > 0 || *byte != b'0');
                    if digits <= DIGITS {
                        units = units * 10 + i128::from(byte - b'0');
                    }
                }
                b'.' if !point && written > 0 => (point, written) = (true, 0),
                b'e' | b'E' if written > 0 => {
                    exponent = Some(parse_exponent(rest.get(at + 1..).unwrap_or_default())?);
                    break;
                }
                _ => return Err(Wrong::NoNumber),
            }
        }
        if written == 0 {
            return Err(Wrong::NoNumber);
        }
        let units = if is_negative { -units } else { units };
        let scale = scale.saturating_sub(exponent.unwrap_or(0));
        if digits <= DIGITS
            && let Some(exact) = Number::exact(units, scale)
        {
            return Ok(exact);
        }
        match text.parse::<f64>() {
            Ok(near) if near.abs() <= Number::MAX && (point || exponent.is_some()) => {
                Ok(Number::Near(near))
            }
            Ok(_) => Err(Wrong::TooLarge),
            Err(_) => Err(Wrong::NoNumber),
        }
    }

    fn exact(units: i128, scale: i64) -> Option<Number> {
        if units == 0 {
            return Some(Number::ZERO);
        }
        match u32::try_from(scale) {
            Ok(scale) if scale as usize <= DIGITS => Some(Number::Exact { units, scale }),
            Ok(_) => None,
            Err(_) => {
                let up = u32::try_from(scale.checked_neg()?).ok()?;
                let units = units.checked_mul(10_i128.checked_pow(up)?)?;
                let is_within = units.unsigned_abs() <= 10_u128.pow(DIGITS as u32);
                is_within.then_some(Number::Exact { units, scale: 0 })
            }
        }
    }

    /// The sum, or `None` where it is larger than can be said.
    pub(super) fn plus(self, other: Number) -> Option<Number> {
        let (Number::Exact { units: a, scale: m }, Number::Exact { units: b, scale: n }) =
            (self, other)
        else {
            return near(self.to_f64() + other.to_f64());
        };
        let scale = m.max(n);
        let sum = || {
            let a = a.checked_mul(10_i128.checked_pow(scale - m)?)?;
            let b = b.checked_mul(10_i128.checked_pow(scale - n)?)?;
            a.checked_add(b)
        };
        match sum() {
            Some(units) => Some(Number::Exact { units, scale }),
            None if scale == 0 => None,
            None => near(self.to_f64() + other.to_f64()),
        }
    }

    pub(super) fn to_f64(self) -> f64 {
        match self {
            Number::Exact { units, scale } => units as f64 / 10_f64.powi(scale as i32),
            Number::Near(near) => near,
        }
    }
}

fn near(sum: f64) -> Option<Number> {
    sum.is_finite().then_some(Number::Near(sum))
}

fn parse_exponent(text: &[u8]) -> Result<i64, Wrong> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Wrong::NoNumber);
    }
    let value = digits.iter().fold(0_i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Ok(value.saturating_mul(sign))
}

/// As JSON writes it.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Number::Exact { units, scale: 0 } => units.fmt(f),
            Number::Exact {
                mut units,
                mut scale,
            } => {
                while scale > 0 && units % 10 == 0 {
                    (units, scale) = (units / 10, scale - 1);
                }
                if scale == 0 {
                    return units.fmt(f);
                }
                let one = 10_u128.pow(scale);
                let (whole, part) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
                let sign = if units < 0 { "-" } else { "" };
                write!(f, "{sign}{whole}.{part:0>width$}", width = scale as usize)
            }
            Number::Near(near) => match serde_json::Number::from_f64(near) {
                Some(number) => number.fmt(f),
                None => near.fmt(f),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let [a, b] = [a, b].map(|text| Number::parse(text).expect(text));
        a.plus(b).expect("a sum").to_string()
    }

    #[test]
    fn sums_are_exact() {
        for (a, b, expected) in [
            ("5", "3", "8"),
            ("-5", "3", "-2"),
            ("+5", "-5", "0"),
            ("0.1", "0.2", "0.3"),
            ("1.5", "1.5", "3"),
            ("-0.05", "0", "-0.05"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("1e3", "1E-3", "1000.001"),
            ("-0", "0", "0"),
            (
                "9999999999999999999999999999999999999",
                "9999999999999999999999999999999999999",
                "19999999999999999999999999999999999998",
            ),
            ("1e-300", "1e-300", "2e-300"),
            ("1e37", "0.5", "10000000000000000000000000000000000000.5"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_from_what_is_too_large() {
        for text in [
            "", "-", "+", ".", "5.", ".5", "1e", "1e+", "five", "0x10", " 5", "5 ", "1_000", "NaN",
            "inf", "--5", "1.2.3", "٣",
        ] {
            assert_eq!(Number::parse(text), Err(Wrong::NoNumber), "{text:?}");
        }
        for text in [
            "100000000000000000000000000000000000000",
            "-1e38",
            "1e400",
            "1e99999999999999999999999",
        ] {
            assert_eq!(Number::parse(text), Err(Wrong::TooLarge), "{text:?}");
        }
        assert_eq!(
            Number::parse("1e-99999999999999999999"),
            Ok(Number::Near(0.0))
        );
    }
}
