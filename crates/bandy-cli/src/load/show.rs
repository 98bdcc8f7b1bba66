//! What a run came to, for people: the verdict first.

use std::fmt::Write;
use std::io::stdout;
use std::path::Path;

use bandy::load::expect::Checked;
use bandy::load::report::Latency;

use super::Measured;
use crate::report::takes_colour;

/// Everything that is told of the runs.
pub fn text(measured: &[Measured], checked: &[Checked], page: Option<&Path>) -> String {
    let paint = Paint::of(takes_colour(&stdout()));
    let mut out = String::new();
    match measured {
        [one] => single(&mut out, one, &paint),
        several => sweep(&mut out, several, &paint),
    }
    if !checked.is_empty() {
        out.push('\n');
    }
    for one in checked {
        let (mark, colour) = match one.is_met {
            true => ("met    ", paint.good),
            false => ("NOT MET", paint.bad),
        };
        put(
            &mut out,
            format_args!(
                "  {colour}{mark}{}  {}   it is {}\n",
                paint.off, one.expect, one.measured
            ),
        );
    }
    if let Some(page) = page {
        put(
            &mut out,
            format_args!("\n  the report is in {}\n", page.display()),
        );
    }
    out
}

/// Colours, or nothing.
struct Paint {
    good: &'static str,
    bad: &'static str,
    bold: &'static str,
    dim: &'static str,
    off: &'static str,
}

impl Paint {
    fn of(takes_colour: bool) -> Paint {
        match takes_colour {
            true => Paint {
                good: "\x1b[32m",
                bad: "\x1b[1;31m",
                bold: "\x1b[1m",
                dim: "\x1b[2m",
                off: "\x1b[0m",
            },
            false => Paint {
                good: "",
                bad: "",
                bold: "",
                dim: "",
                off: "",
            },
        }
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn single(out: &mut String, one: &Measured, paint: &Paint) {
    let report = &one.report;
    verdict(out, one, paint);
    put(
        out,
        format_args!(
            "  {}{} · {} · {} · {:.1} s{}\n\n",
            paint.dim,
            report.target,
            report.protocol,
            match &report.chat {
                Some(chat) => format!("{} members in {}", count(chat.members as f64), chat.room),
                None => format!("{} at once", report.concurrency),
            },
            report.duration_s,
            paint.off
        ),
    );
    put(
        out,
        format_args!(
            "  {:<12}{}{} /s{}   {}\n",
            match report.chat {
                Some(_) => "deliveries",
                None => "rate",
            },
            paint.bold,
            count(report.rate),
            paint.off,
            sparkline(
                &report
                    .series
                    .done
                    .iter()
                    .map(|n| Some(*n as f64))
                    .collect::<Vec<_>>()
            ),
        ),
    );
    latency(out, one, paint);
    if let Some(chat) = &report.chat {
        put(out, format_args!("\n{}", super::chat::messages(chat)));
    }
    requests(out, one, paint);
    if let Some(chat) = &report.chat {
        put(out, format_args!("{}", super::chat::faulty(chat)));
    }
    transport(out, one);
    for note in report.notes.iter().filter(|_| report.model == "open") {
        put(out, format_args!("\n  note: {note}\n"));
    }
    for note in report
        .notes
        .iter()
        .skip(1)
        .filter(|_| report.model == "closed")
    {
        put(out, format_args!("\n  note: {note}\n"));
    }
}

/// The first line: what these numbers are, and whether to believe them.
fn verdict(out: &mut String, one: &Measured, paint: &Paint) {
    let report = &one.report;
    for why in &report.invalid_because {
        put(
            out,
            format_args!("{}INVALID{}: {why}\n", paint.bad, paint.off),
        );
    }
    if let Some(chat) = &report.chat {
        let (is_good, words) = super::chat::verdict(chat);
        let colour = if is_good { paint.good } else { paint.bad };
        put(out, format_args!("{colour}{words}{}\n", paint.off));
    }
    let line = match report.model.as_str() {
        _ if report.chat.is_some() => {
            "Latency counts from when a message was due until a member heard it."
        }
        "closed" => {
            "Closed model: what the server can do. The tail is not what users see; --rate measures that."
        }
        _ => "Open model: latency counts from when each request was due, as users see it.",
    };
    put(out, format_args!("{}{line}{}\n", paint.bold, paint.off));
}

fn latency(out: &mut String, one: &Measured, paint: &Paint) {
    let report = &one.report;
    let p99: Vec<Option<f64>> = report.series.p99_ms.clone();
    let Some(headline) = report.latency_ms else {
        put(
            out,
            format_args!(
                "  {:<12}{}{}{}\n",
                "latency",
                paint.bad,
                match report.chat {
                    Some(_) => "nobody heard anything",
                    None => "no request was answered well",
                },
                paint.off
            ),
        );
        return;
    };
    put(
        out,
        format_args!("  {:<12}p99 over time   {}\n\n", "latency", sparkline(&p99)),
    );
    put(
        out,
        format_args!(
            "  {}{:<20}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{}\n",
            paint.dim, "ms", "min", "p50", "p90", "p99", "p99.9", "p99.99", "max", paint.off
        ),
    );
    let mut row = |name: &str, latency: Option<Latency>| {
        let Some(l) = latency else { return };
        put(
            out,
            format_args!(
                "  {name:<20}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}\n",
                ms(l.min),
                ms(l.p50),
                ms(l.p90),
                ms(l.p99),
                ms(l.p999),
                ms(l.p9999),
                ms(l.max)
            ),
        );
    };
    match report.service_ms {
        Some(_) => {
            let ends = match report.chat {
                Some(_) => ["due to heard", "sent to heard"],
                None => ["due to done", "sent to done"],
            };
            row(ends[0], Some(headline));
            row(ends[1], report.service_ms);
            row("due to sent", report.lag_ms);
        }
        None => row("sent to done", Some(headline)),
    }
    if let Some(chat) = &report.chat {
        row("due to in the log", chat.answered_ms);
    }
    row("failed requests", report.failed_ms);
    row("connecting", report.connect_ms);
    row("TLS handshake", report.tls_ms);
    for (name, times) in &report.server_ms {
        row(&format!("server: {name}"), Some(*times));
    }
}

fn requests(out: &mut String, one: &Measured, paint: &Paint) {
    let report = &one.report;
    let requests = &report.requests;
    put(
        out,
        format_args!(
            "{}  {:<12}{} due = {} done",
            if report.chat.is_some() { "" } else { "\n" },
            match report.chat {
                Some(_) => "deliveries",
                None => "requests",
            },
            count(requests.scheduled as f64),
            count(requests.done as f64)
        ),
    );
    for (count_of, name) in [
        (requests.failed, "failed"),
        (requests.timed_out, "timed out"),
    ] {
        let (on, off) = match count_of {
            0 => ("", ""),
            _ => (paint.bad, paint.off),
        };
        put(
            out,
            format_args!(" + {on}{} {name}{off}", count(count_of as f64)),
        );
    }
    put(
        out,
        format_args!(
            " + {} in flight at the end + {} never sent\n",
            count(requests.in_flight as f64),
            count(requests.never_sent as f64)
        ),
    );
    for (cause, number) in report.errors.iter().filter(|(_, number)| **number > 0) {
        let example = report.examples.get(cause).map_or("", String::as_str);
        put(
            out,
            format_args!(
                "  {:<12}{}{} {cause}{}   {}\n",
                "errors",
                paint.bad,
                count(*number as f64),
                paint.off,
                crate::ask::visible::show(example.as_bytes())
            ),
        );
    }
    let classes: Vec<String> = report
        .status
        .iter()
        .filter(|(_, number)| **number > 0)
        .map(|(class, number)| format!("{} of {class}", count(*number as f64)))
        .collect();
    if !classes.is_empty() {
        put(
            out,
            format_args!("  {:<12}{}\n", "status", classes.join(", ")),
        );
    }
}

fn transport(out: &mut String, one: &Measured) {
    let report = &one.report;
    let (bytes, connections) = (&report.bytes, &report.connections);
    let per_second = |n: u64| bytes_text(n as f64 / report.duration_s.max(1e-9));
    put(
        out,
        format_args!(
            "  {:<12}{} out ({}/s), {} in ({}/s)\n",
            "bytes",
            bytes_text(bytes.sent as f64),
            per_second(bytes.sent),
            bytes_text(bytes.received as f64),
            per_second(bytes.received)
        ),
    );
    put(
        out,
        format_args!(
            "  {:<12}{} made",
            "connections",
            count(connections.opened as f64)
        ),
    );
    if connections.failed > 0 {
        put(
            out,
            format_args!(", {} failed", count(connections.failed as f64)),
        );
    }
    if connections.tls_handshakes > 0 {
        put(
            out,
            format_args!(
                ", {} TLS handshakes",
                count(connections.tls_handshakes as f64)
            ),
        );
    }
    let generator = &report.generator;
    put(
        out,
        format_args!(
            "\n  {:<12}{:.1} us of processor a {}, on {} event {}\n",
            "generator",
            generator.cpu_us_per_request,
            match report.chat {
                Some(_) => "delivery",
                None => "request",
            },
            generator.loops,
            if generator.loops == 1 {
                "loop"
            } else {
                "loops"
            }
        ),
    );
}

fn sweep(out: &mut String, measured: &[Measured], paint: &Paint) {
    let Some(best) = measured
        .iter()
        .filter(|one| one.report.valid)
        .max_by(|a, b| a.report.rate.total_cmp(&b.report.rate))
        .or(measured.first())
    else {
        return;
    };
    put(
        out,
        format_args!(
            "{}The most is {} /s, {} {}.{}",
            paint.bold,
            count(best.report.rate),
            match best.report.model.as_str() {
                "closed" => "with",
                _ => "asked at",
            },
            best.label,
            paint.off
        ),
    );
    let is_closed = measured.iter().any(|one| one.report.model == "closed");
    out.push_str(match is_closed {
        true => " Closed model: the tails are not what users see.\n",
        false => " Open model: latency counts from when each request was due.\n",
    });
    put(
        out,
        format_args!(
            "  {}{} · {}{}\n\n",
            paint.dim, best.report.target, best.report.protocol, paint.off
        ),
    );
    put(
        out,
        format_args!(
            "  {}{:<18}{:>11}{:>10}{:>10}{:>10}{:>10}{:>9}{}\n",
            paint.dim, "", "rate /s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "errors", paint.off
        ),
    );
    for one in measured {
        let report = &one.report;
        let at = |pick: fn(&Latency) -> f64| {
            report
                .latency_ms
                .as_ref()
                .map_or("-".to_owned(), |l| ms(pick(l)))
        };
        let mark = match report.valid {
            true => String::new(),
            false => format!(
                "  {}INVALID{}: {}",
                paint.bad,
                paint.off,
                report.invalid_because.join("; ")
            ),
        };
        put(
            out,
            format_args!(
                "  {:<18}{:>11}{:>10}{:>10}{:>10}{:>10}{:>8.2}%{mark}\n",
                one.label,
                count(report.rate),
                at(|l| l.p50),
                at(|l| l.p99),
                at(|l| l.p999),
                at(|l| l.max),
                one.outcome.error_part() * 100.0
            ),
        );
    }
}

/// A number with thousands apart.
pub fn count(number: f64) -> String {
    let text = match number {
        n if n.fract() == 0.0 || n >= 1000.0 => format!("{n:.0}"),
        n => format!("{n:.1}"),
    };
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    match rest {
        "" => out,
        rest => format!("{out}.{rest}"),
    }
}

/// Milliseconds with three digits that say something.
pub fn ms(value: f64) -> String {
    match value {
        v if v >= 100.0 => count(v.round()),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// Bytes as people read them.
pub fn bytes_text(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{value:.0} B"),
                unit => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Bars of text for a series; a gap where there is nothing.
pub fn sparkline(series: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const WIDTH: usize = 40;
    // The last slice is cut off.
    let series = match series.len() {
        0..3 => series,
        n => &series[..n - 1],
    };
    let each = series.len().div_ceil(WIDTH).max(1);
    let means: Vec<Option<f64>> = series
        .chunks(each)
        .map(|chunk| {
            let known: Vec<f64> = chunk.iter().flatten().copied().collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        })
        .collect();
    let most = means.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    means
        .iter()
        .map(|mean| match mean {
            None => ' ',
            Some(mean) if most > 0.0 => {
                let level = (mean / most * 7.0).round() as usize;
                BARS.get(level).copied().unwrap_or('█')
            }
            Some(_) => '▁',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(count(1_234_567.8), "1,234,568");
        assert_eq!(count(12.34), "12.3");
        assert_eq!(count(0.0), "0");
        assert_eq!(
            [0.1234, 1.234, 12.34, 123.4, 1234.0].map(ms),
            ["0.123", "1.23", "12.3", "123", "1,234"]
        );
        assert_eq!(bytes_text(1536.0), "1.5 KiB");
    }

    #[test]
    fn sparklines_have_their_highest_and_their_gaps() {
        let series = [Some(1.0), Some(8.0), None, Some(4.0), Some(0.0)];
        assert_eq!(sparkline(&series), "▂█ ▅");
        assert_eq!(sparkline(&[]), "");
        assert!(sparkline(&vec![Some(1.0); 500]).chars().count() <= 40);
    }
}
