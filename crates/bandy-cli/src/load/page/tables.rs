//! What a page says in numbers: the few that matter, every latency, every request.

use bandy::load::report::Latency;

use super::Html;
use crate::load::plot::{Part, bars, escape};
use crate::load::show::{bytes_text, count, ms};
use crate::load::{Measured, chat};

pub(super) fn numbers(out: &mut Html, one: &Measured) {
    let report = &one.report;
    let latency = |pick: fn(&Latency) -> f64| {
        report.latency_ms.as_ref().map_or("–".to_owned(), |l| {
            format!("{}<small> ms</small>", ms(pick(l)))
        })
    };
    let errors = one.outcome.error_part() * 100.0;
    let boxes = [
        (
            "",
            format!("{}<small> /s</small>", count(report.rate)),
            match report.chat {
                Some(_) => "deliveries",
                None => "good answers",
            },
        ),
        ("", latency(|l| l.p50), "median latency"),
        ("", latency(|l| l.p99), "99th percentile"),
        ("", latency(|l| l.p999), "99.9th percentile"),
        ("", latency(|l| l.max), "longest"),
        (
            if errors > 0.0 { "bad" } else { "" },
            format!(
                "{}<small> %</small>",
                if errors == 0.0 {
                    "0".to_owned()
                } else {
                    format!("{errors:.2}")
                }
            ),
            match report.chat {
                Some(_) => "not delivered",
                None => "failed or timed out",
            },
        ),
    ];
    out.put(format_args!("<div class=\"numbers\">"));
    for (class, value, name) in boxes {
        out.put(format_args!(
            "<div class=\"number {class}\"><b>{value}</b><span>{name}</span></div>"
        ));
    }
    out.put(format_args!("</div>\n"));
}

pub(super) fn tables(out: &mut Html, one: &Measured) {
    let report = &one.report;
    out.put(format_args!(
        "<figure><h3>Latencies</h3><div class=\"scroll\"><table><tr><th>ms</th><th>min</th><th>mean</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th><th>max</th></tr>\n"
    ));
    let mut rows = vec![
        (
            match (report.service_ms, &report.chat) {
                (_, Some(_)) => "due to heard".to_owned(),
                (Some(_), None) => "due to done".to_owned(),
                (None, None) => "sent to done".to_owned(),
            },
            report.latency_ms,
        ),
        (
            match report.chat {
                Some(_) => "sent to heard".to_owned(),
                None => "sent to done".to_owned(),
            },
            report.service_ms,
        ),
        ("due to sent".to_owned(), report.lag_ms),
        ("late by the generator".to_owned(), report.own_lag_ms),
        (
            "due to in the log".to_owned(),
            report.chat.as_ref().and_then(|chat| chat.answered_ms),
        ),
        ("failed requests".to_owned(), report.failed_ms),
        ("connecting".to_owned(), report.connect_ms),
        ("TLS handshake".to_owned(), report.tls_ms),
    ];
    rows.extend(
        report
            .server_ms
            .iter()
            .map(|(name, times)| (format!("server: {name}"), Some(*times))),
    );
    for (name, latency) in rows {
        let Some(l) = latency else { continue };
        out.put(format_args!("<tr><td>{}</td>", escape(&name)));
        for value in [l.min, l.mean, l.p50, l.p90, l.p99, l.p999, l.p9999, l.max] {
            out.put(format_args!("<td>{}</td>", ms(value)));
        }
        out.put(format_args!("</tr>\n"));
    }
    out.put(format_args!("</table></div></figure>\n"));

    let r = &report.requests;
    let parts: Vec<Part<'_>> = [
        ("a", r.done, "done"),
        ("worst", r.failed, "failed"),
        ("b", r.timed_out, "timed out"),
        ("c", r.in_flight, "in flight"),
        ("e", r.never_sent, "never sent"),
    ]
    .into_iter()
    .filter(|(_, n, _)| *n > 0)
    .map(|(class, n, name)| (class, n as f64, name.to_owned()))
    .collect();
    let (title, what) = match report.chat {
        Some(_) => ("Every delivery that was due", "deliveries"),
        None => ("Every request that was due", "requests"),
    };
    let svg = bars(title, &[(format!("{what} due"), parts)], &count);
    out.put(format_args!(
        "<figure><h3>{title}</h3>\n<div class=\"plot\">{svg}</div><div class=\"scroll\"><table>\n"
    ));
    let row = |out: &mut Html, name: &str, text: String| {
        out.put(format_args!(
            "<tr><td>{}</td><td class=\"text\">{text}</td></tr>\n",
            escape(name)
        ));
    };
    if let Some(chat) = &report.chat {
        let text = chat::messages(chat);
        let text = text.trim_start().trim_start_matches("messages");
        row(out, "messages", escape(text.trim()));
        for one in &chat.faulty {
            row(out, "member", escape(&chat::fault(one)));
        }
    }
    row(
        out,
        what,
        format!(
            "{} due = {} done + {} failed + {} timed out + {} in flight at the end + {} never sent",
            count(r.scheduled as f64),
            count(r.done as f64),
            count(r.failed as f64),
            count(r.timed_out as f64),
            count(r.in_flight as f64),
            count(r.never_sent as f64)
        ),
    );
    for (cause, number) in report.errors.iter().filter(|(_, n)| **n > 0) {
        let example = report.examples.get(cause).map_or("", String::as_str);
        row(
            out,
            cause,
            format!(
                "<b class=\"bad\">{}</b> <span class=\"dim\">{}</span>",
                count(*number as f64),
                escape(example)
            ),
        );
    }
    let classes: Vec<String> = report
        .status
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(class, n)| format!("{} of {class}", count(*n as f64)))
        .collect();
    if !classes.is_empty() {
        row(out, "status", classes.join(", "));
    }
    let per = |n: u64| bytes_text(n as f64 / report.duration_s.max(1e-9));
    row(
        out,
        "bytes",
        format!(
            "{} out ({}/s), {} in ({}/s)",
            bytes_text(report.bytes.sent as f64),
            per(report.bytes.sent),
            bytes_text(report.bytes.received as f64),
            per(report.bytes.received)
        ),
    );
    row(
        out,
        "connections",
        format!(
            "{} wanted, {} made, {} failed, {} TLS handshakes",
            report.connections.wanted,
            count(report.connections.opened as f64),
            count(report.connections.failed as f64),
            count(report.connections.tls_handshakes as f64)
        ),
    );
    row(
        out,
        "generator",
        format!(
            "{:.1} µs of processor a {}, {} event loop{}, the busiest at {:.0} %; waited for a processor {:.0} % of its time",
            report.generator.cpu_us_per_request,
            match report.chat {
                Some(_) => "delivery",
                None => "request",
            },
            report.generator.loops,
            if report.generator.loops == 1 { "" } else { "s" },
            report.generator.busiest_percent,
            report.generator.waited_percent
        ),
    );
    out.put(format_args!("</table></div></figure>\n"));
}
