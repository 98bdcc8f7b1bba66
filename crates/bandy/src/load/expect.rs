//! Thresholds: `p99<50ms`, `errors<0.1%`, `rate>=1000`.

use std::fmt;
use std::str::FromStr;

use super::outcome::Outcome;
use super::record::{Latencies, Slice, bucket_start, latencies};

/// What a run is expected to reach.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    what: What,
    order: Order,
    /// Nanoseconds, a part of 1, or a number.
    bound: f64,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Quantile(f64),
    Mean,
    /// The part that failed, 0 to 1.
    ErrorPart,
    /// How many failed.
    Errors,
    Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

/// What is wrong with a threshold, and how they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongExpect(String);

impl fmt::Display for WrongExpect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongExpect {}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expect {
    type Err = WrongExpect;

    fn from_str(text: &str) -> Result<Expect, WrongExpect> {
        let wrong = |why: &str| {
            WrongExpect(format!(
                "{why}: write p50, p90, p99, p99.9, p99.99, max or mean with a time (p99<50ms), errors with a percentage or a number (errors<0.1%), or rate with a number (rate>1000)"
            ))
        };
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| wrong("it has no < or >"))?;
        let (name, rest) = text.split_at(at);
        let (order, value) = match () {
            () if rest.starts_with("<=") => (Order::LessOrEqual, rest.get(2..)),
            () if rest.starts_with(">=") => (Order::MoreOrEqual, rest.get(2..)),
            () if rest.starts_with('<') => (Order::Less, rest.get(1..)),
            () => (Order::More, rest.get(1..)),
        };
        let value = value.unwrap_or_default().trim();
        let number = |text: &str| {
            let number = text.parse::<f64>().ok();
            number.filter(|number| number.is_finite() && *number >= 0.0)
        };
        let (what, bound) = match name.trim() {
            "errors" => match value.strip_suffix('%') {
                Some(percent) => (What::ErrorPart, number(percent.trim()).map(|p| p / 100.0)),
                None => (What::Errors, number(value)),
            },
            "rate" => (What::Rate, number(value.trim_end_matches("/s"))),
            name => {
                let what = match name {
                    "max" => What::Quantile(1.0),
                    "min" => What::Quantile(0.0),
                    "mean" => What::Mean,
                    name => quantile(name).map(What::Quantile).ok_or_else(|| {
                        wrong(&format!(
                            "`{}` is nothing that is measured",
                            name.escape_debug()
                        ))
                    })?,
                };
                (what, nanos(value))
            }
        };
        let bound =
            bound.ok_or_else(|| wrong(&format!("`{}` does not fit it", value.escape_debug())))?;
        Ok(Expect {
            what,
            order,
            bound,
            text: text.to_owned(),
        })
    }
}

/// `p99`, `p99.9`, `p999`.
fn quantile(name: &str) -> Option<f64> {
    let digits = name.strip_prefix('p')?;
    let percent = match digits {
        "999" => 99.9,
        "9999" => 99.99,
        digits => digits.parse::<f64>().ok()?,
    };
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// `50ms`, `1.5s`, `200us`.
fn nanos(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_alphabetic() || c == 'µ')?;
    let (number, unit) = text.split_at(unit);
    let scale = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        _ => return None,
    };
    let number = number.trim().parse::<f64>().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number * scale)
}

/// A run held against a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The threshold.
    pub expect: Expect,
    /// Whether it is met.
    pub is_met: bool,
    /// What was measured, in words.
    pub measured: String,
}

impl Expect {
    /// Holds a run against it. Without a single answer no latency is met.
    pub fn check(&self, outcome: &Outcome) -> Checked {
        let requests = outcome.requests();
        let failed = requests.failed + requests.timed_out;
        self.hold(
            &outcome.latency,
            outcome.error_part(),
            failed,
            outcome.rate(),
        )
    }

    /// Holds what there is of a run so far against it: latencies to within some percent. `None` for what can still become
    /// another: a rate, and what has to be more than something.
    pub fn check_early(&self, so_far: &Slice, failed: u64) -> Option<Checked> {
        if self.what == What::Rate || matches!(self.order, Order::More | Order::MoreOrEqual) {
            return None;
        }
        let mut latency = latencies();
        for (bucket, count) in so_far.latency.iter().enumerate() {
            let middle = (bucket_start(bucket) + bucket_start(bucket + 1)) / 2;
            latency.saturating_record_n(middle, u64::from(*count));
        }
        if latency.is_empty() && !matches!(self.what, What::Errors | What::ErrorPart) {
            return None;
        }
        let all = so_far.done + failed;
        let part = match all {
            0 => 0.0,
            all => failed as f64 / all as f64,
        };
        Some(self.hold(&latency, part, failed, 0.0))
    }

    fn hold(&self, latency: &Latencies, error_part: f64, failed: u64, rate: f64) -> Checked {
        let of_answers = |nanos: f64| (!latency.is_empty()).then_some(nanos);
        let measured = match self.what {
            What::Quantile(quantile) => of_answers(match quantile {
                0.0 => latency.min() as f64,
                quantile => latency.value_at_quantile(quantile) as f64,
            }),
            What::Mean => of_answers(latency.mean()),
            What::ErrorPart => Some(error_part),
            What::Errors => Some(failed as f64),
            What::Rate => Some(rate),
        };
        let is_met = measured.is_some_and(|measured| match self.order {
            Order::Less => measured < self.bound,
            Order::LessOrEqual => measured <= self.bound,
            Order::More => measured > self.bound,
            Order::MoreOrEqual => measured >= self.bound,
        });
        Checked {
            expect: self.clone(),
            is_met,
            measured: match (measured, self.what) {
                (None, _) => "no answers".to_owned(),
                (Some(part), What::ErrorPart) => format!("{:.3}%", part * 100.0),
                (Some(count), What::Errors) => format!("{count:.0}"),
                (Some(rate), What::Rate) => format!("{rate:.1}/s"),
                (Some(nanos), _) => format!("{:.3}ms", nanos / 1e6),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_against_a_run() {
        let mut latency = latencies();
        for ms in 1..=100 {
            latency.saturating_record(ms * 1_000_000);
        }
        for (text, is_met) in [
            ("p50<51ms", true),
            ("p50<49ms", false),
            ("p99.9 <= 1s", true),
            ("p999>1s", false),
            ("max<99.5ms", false),
            ("mean>50ms", true),
            ("errors<0.1%", false),
            ("errors<=5", true),
            ("errors<5", false),
            ("rate>=1000", true),
            ("rate>1000/s", false),
        ] {
            let expect: Expect = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                expect.hold(&latency, 0.05, 5, 1000.0).is_met,
                is_met,
                "{text}"
            );
        }
        let none = "p99<1s".parse::<Expect>().expect("a threshold");
        assert!(!none.hold(&latencies(), 0.0, 0, 0.0).is_met);
    }

    #[test]
    fn what_is_no_threshold() {
        for wrong in [
            "",
            "p99",
            "p99=1ms",
            "p99<50",
            "p101<1s",
            "rate>fast",
            "errors<-1",
            "x<1ms",
            "p99<1y",
        ] {
            wrong.parse::<Expect>().expect_err(wrong);
        }
    }
}
