//! Thresholds: `p99<50ms`, `errors<0.1%`, `rate>=1000`.

use std::fmt;
use std::str::FromStr;

use super::early::SoFar;
use super::outcome::Outcome;
use super::record::Latencies;

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
    /// Of a chat: what a member heard out of order, or again.
    Misordered,
    Duplicates,
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
                "{why}: write p50, p90, p99, p99.9, p99.99, max or mean with a time (p99<50ms), errors with a percentage or a number (errors<0.1%), or rate with a number (rate>1000); of a chat also misordered and duplicates (misordered<1)"
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
            "misordered" => (What::Misordered, number(value)),
            "duplicates" => (What::Duplicates, number(value)),
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

/// What a run, or what there is of it, is held against thresholds by.
#[derive(Debug, Default)]
pub(super) struct Measures {
    /// The headline.
    pub(super) latency: Option<Latencies>,
    pub(super) error_part: f64,
    pub(super) failed: u64,
    pub(super) rate: f64,
    /// Of a chat: out of order, and again.
    pub(super) faults: Option<(u64, u64)>,
}

impl Expect {
    /// Holds a run against it. Without a single answer no latency is met.
    pub fn check(&self, outcome: &Outcome) -> Checked {
        let requests = outcome.requests();
        let chat = outcome.chat.as_ref();
        self.hold(&Measures {
            latency: Some(outcome.latency.clone()),
            error_part: outcome.error_part(),
            failed: requests.failed + requests.timed_out,
            rate: outcome.rate(),
            faults: chat.map(|chat| (chat.misordered, chat.duplicates)),
        })
    }

    /// Whether only a chat has it.
    pub fn is_of_chat(&self) -> bool {
        matches!(self.what, What::Misordered | What::Duplicates)
    }

    /// Holds what there is of a run so far against it; latencies are known to within some percent. `None` as long as
    /// there is too little to tell by, and for what can still become another: what has to be more than something, but for
    /// rates. A rate is held by what it is going to be in the end, as the last seconds and the plan have it.
    pub fn check_early(&self, so_far: &SoFar<'_>) -> Option<Checked> {
        let is_more = matches!(self.order, Order::More | Order::MoreOrEqual);
        let (ended, beyond) = match self.what {
            What::Rate => {
                let rates = so_far.rates()?;
                let checked = rates.map(|rate| {
                    self.hold(&Measures {
                        rate,
                        ..Measures::default()
                    })
                });
                // Only where neither is enough it is lost.
                let [first, second] = checked;
                return Some(match first.is_met {
                    true => first,
                    false => second,
                });
            }
            What::Misordered | What::Duplicates => return None,
            _ if is_more => return None,
            // The longest and the number of errors only grow.
            What::Quantile(1.0) => (so_far.done(), 1),
            What::Errors => return Some(self.hold(&so_far.measures())),
            // The shortest may still come.
            What::Quantile(0.0) => return None,
            What::Quantile(quantile) => (so_far.done(), beyond(quantile)),
            What::Mean => (so_far.done(), FEW),
            What::ErrorPart => (so_far.done() + so_far.failed, FEW),
        };
        (ended >= beyond).then(|| self.hold(&so_far.measures()))
    }

    fn hold(&self, measures: &Measures) -> Checked {
        let latency = measures.latency.as_ref();
        let latency = latency.filter(|latency| !latency.is_empty());
        let measured = match self.what {
            What::Quantile(quantile) => latency.map(|latency| match quantile {
                0.0 => latency.min() as f64,
                quantile => latency.value_at_quantile(quantile) as f64,
            }),
            What::Mean => latency.map(Latencies::mean),
            What::ErrorPart => Some(measures.error_part),
            What::Errors => Some(measures.failed as f64),
            What::Rate => Some(measures.rate),
            What::Misordered => measures.faults.map(|(misordered, _)| misordered as f64),
            What::Duplicates => measures.faults.map(|(_, duplicates)| duplicates as f64),
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
                (None, What::Misordered | What::Duplicates) => "no chat".to_owned(),
                (None, _) => "no answers".to_owned(),
                (Some(part), What::ErrorPart) => format!("{:.3}%", part * 100.0),
                (Some(count), What::Errors | What::Misordered | What::Duplicates) => {
                    format!("{count:.0}")
                }
                (Some(rate), What::Rate) => format!("{rate:.1}/s"),
                (Some(nanos), _) => format!("{:.3}ms", nanos / 1e6),
            },
        }
    }
}

/// Fewer say nothing of a mean or a percentage.
const FEW: u64 = 100;

/// As many as are needed for ten of them to be beyond this quantile.
fn beyond(quantile: f64) -> u64 {
    (10.0 / (1.0 - quantile).max(1e-9)).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::record::latencies;

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
            ("misordered<1", true),
            ("duplicates<1", false),
        ] {
            let expect: Expect = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            let measures = Measures {
                latency: Some(latency.clone()),
                error_part: 0.05,
                failed: 5,
                rate: 1000.0,
                faults: Some((0, 3)),
            };
            assert_eq!(expect.hold(&measures).is_met, is_met, "{text}");
        }
        for text in ["p99<1s", "misordered<1"] {
            let none = text.parse::<Expect>().expect("a threshold");
            assert!(!none.hold(&Measures::default()).is_met, "{text}");
        }
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
