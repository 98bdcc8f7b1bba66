//! The models beside each other, as a table for a terminal.

use std::fmt::Write;

use super::{ModelsArgs, Row};
use crate::load::show::{count, ms};

/// What is to be learnt of it, in a sentence.
pub fn verdict(rows: &[Row]) -> String {
    let most = rows.iter().map(|row| row.clients).max().unwrap_or(0);
    let last: Vec<&Row> = rows
        .iter()
        .filter(|row| row.clients == most && row.transport != "udp")
        .collect();
    let best = last.iter().max_by(|a, b| a.rate.total_cmp(&b.rate));
    let quick = last
        .iter()
        .filter(|row| row.p99_ms.is_some())
        .min_by(|a, b| {
            a.p99_ms
                .unwrap_or(f64::MAX)
                .total_cmp(&b.p99_ms.unwrap_or(f64::MAX))
        });
    let (Some(best), Some(quick)) = (best, quick) else {
        return "Nothing was answered.".to_owned();
    };
    let clients = match most {
        1 => "1 client".to_owned(),
        n => format!("{} clients", count(n as f64)),
    };
    let quickest = ms(quick.p99_ms.unwrap_or(0.0));
    match best.model == quick.model {
        true => format!(
            "With {clients}, {} answers the most ({} a second) and has the shortest tail (p99 {quickest} ms).",
            best.model,
            count(best.rate.round())
        ),
        false => format!(
            "With {clients}, {} answers the most ({} a second), and {} has the shortest tail (p99 {quickest} ms).",
            best.model,
            count(best.rate.round()),
            quick.model
        ),
    }
}

/// The verdict and the table.
pub fn text(args: &ModelsArgs, rows: &[Row]) -> String {
    let mut out = format!("{}\n", verdict(rows));
    // Writing to a String cannot fail.
    let mut put = |text: std::fmt::Arguments<'_>| {
        let _ = out.write_fmt(text);
    };
    put(format_args!(
        "  {} · {} round{} of {:.1} s · clients stay for {} requests\n\n",
        args.service,
        args.rounds,
        if args.rounds == 1 { "" } else { "s" },
        args.duration.as_secs_f64(),
        args.stay
    ));
    put(format_args!(
        "  {:<12}{:<6}{:>8}{:>12}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}\n",
        "model",
        "over",
        "clients",
        "rate /s",
        "p50 ms",
        "p99 ms",
        "CPU us",
        "MiB",
        "threads",
        "errors"
    ));
    for row in rows {
        let show =
            |value: Option<f64>, text: &dyn Fn(f64) -> String| value.map_or("-".to_owned(), text);
        put(format_args!(
            "  {:<12}{:<6}{:>8}{:>12}{:>10}{:>10}{:>10}{:>9}{:>9}{:>8.2}%\n",
            row.model,
            row.transport,
            row.clients,
            count(row.rate.round()),
            show(row.p50_ms, &ms),
            show(row.p99_ms, &ms),
            show(row.cpu_us, &|v| format!("{v:.1}")),
            show(row.memory_mib, &|v| format!("{v:.1}")),
            show(row.threads, &|v| format!("{v:.0}")),
            row.errors_percent,
        ));
    }
    if let Some(path) = &args.report {
        put(format_args!("\n  the report is in {}\n", path.display()));
    }
    out
}
