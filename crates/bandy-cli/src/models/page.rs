//! The models beside each other, as a page.

use super::show::verdict;
use super::{ModelsArgs, Row};
use crate::load::machine;
use crate::load::page::{Html, ms_text};
use crate::load::plot::{Plot, Scale, escape};
use crate::load::show::{count, ms};

/// Colours of models, in the order in which they were asked for.
const COLOURS: [&str; 4] = ["b", "c", "a", "d"];

/// What is plotted: a title, what it shows, the number, and how it is written.
type Shown<'a> = (
    &'a str,
    &'a str,
    fn(&Row) -> Option<f64>,
    &'a dyn Fn(f64) -> String,
);

/// The page.
pub fn page(args: &ModelsArgs, rows: &[Row]) -> String {
    let mut out = Html::begin(&format!("{} under each model", args.service));
    out.put(format_args!(
        "<header><div class=\"eyebrow\">bandy models · {} round{} of {:.1} s · clients stay for {} requests</div><h1>{}: {}?</h1></header>\n<div class=\"verdict\">{}</div>\n",
        args.rounds, if args.rounds == 1 { "" } else { "s" }, args.duration.as_secs_f64(), args.stay,
        escape(&args.service), escape(&args.models.join(", ")), escape(&verdict(rows))
    ));
    let time = ms_text;
    let number = |value: f64| count(value);
    let shown: [Shown<'_>; 5] = [
        (
            "Answers a second",
            "More is better.",
            |row| Some(row.rate),
            &number,
        ),
        (
            "99th percentile of latency",
            "One in a hundred waited longer than this, connecting and waiting for a turn included. Less is better.",
            |row| row.p99_ms,
            &time,
        ),
        (
            "Processor time for each answer",
            "The server's, in microseconds. Less is better.",
            |row| row.cpu_us,
            &number,
        ),
        (
            "Memory",
            "The server's own at its highest, in MiB.",
            |row| row.memory_mib,
            &number,
        ),
        ("Threads", "At their most.", |row| row.threads, &number),
    ];
    for figure in &shown {
        plot(&mut out, args, rows, figure);
    }
    table(&mut out, rows);
    out.put(format_args!(
        "<h2>How it was measured</h2>\n<pre><code>{}</code></pre>\n<p class=\"dim\">{}</p>\n\
         <p class=\"dim\">Each model is a process of its own; what is shown are medians of the rounds, in which the models take turns. Closed model: each client waits for its answer before it asks again.</p>\n",
        escape(&machine::command_line()), escape(&machine::describe())
    ));
    out.end()
}

fn plot(out: &mut Html, args: &ModelsArgs, rows: &[Row], (title, hint, pick, text): &Shown<'_>) {
    let values = || rows.iter().filter_map(*pick);
    let most = values().fold(0.0_f64, f64::max);
    let is_wide = values().fold(f64::INFINITY, f64::min) * 20.0 < most;
    let y = match is_wide {
        true => Scale::log(values()),
        false => Scale::Linear {
            max: (most * 1.15).max(f64::MIN_POSITIVE),
        },
    };
    let clients: Vec<f64> = {
        let mut clients: Vec<usize> = rows.iter().map(|row| row.clients).collect();
        clients.sort_unstable();
        clients.dedup();
        clients.into_iter().map(|n| n as f64).collect()
    };
    let (Some(first), Some(last)) = (clients.first(), clients.last()) else {
        return;
    };
    let x = Scale::Log {
        min: first * 0.8,
        max: last * 1.25,
    };
    let mut plot = Plot::with_ticks(title, 280.0, (x, &clients, &count), (y, *text));
    let mut legend = Vec::new();
    let mut lines: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row.model.as_str(), row.transport))
        .collect();
    lines.dedup();
    for (model, transport) in lines {
        let at = args
            .models
            .iter()
            .position(|known| known == model)
            .unwrap_or(0);
        let colour = COLOURS[at % COLOURS.len()];
        let own = rows
            .iter()
            .filter(|row| row.model == model && row.transport == transport);
        let points: Vec<(f64, Option<f64>)> =
            own.map(|row| (row.clients as f64, pick(row))).collect();
        let dashed = if transport == "udp" { " dashed" } else { "" };
        plot.line(&format!("{colour}{dashed}"), &points);
        for (x, y) in points.iter().filter_map(|(x, y)| Some((*x, (*y)?))) {
            plot.point(colour, x, y, "");
        }
        let name = match transport {
            "udp" => format!("{model}, UDP (dashed)"),
            _ => model.to_owned(),
        };
        legend.push((colour, name));
    }
    out.figure(title, hint, &legend, &plot.finish("clients at once", ""));
}

fn table(out: &mut Html, rows: &[Row]) {
    out.put(format_args!(
        "<figure><h3>All of it</h3><div class=\"scroll\"><table><tr><th>model</th><th>over</th><th>clients</th><th>rate /s</th><th>p50 ms</th><th>p99 ms</th><th>CPU µs each</th><th>memory MiB</th><th>threads</th><th>errors</th></tr>\n"
    ));
    for row in rows {
        let show = |value: Option<f64>, digits: usize| {
            value.map_or("–".to_owned(), |v| format!("{v:.digits$}"))
        };
        out.put(format_args!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2} %</td></tr>\n",
            escape(&row.model), row.transport, row.clients, count(row.rate.round()),
            row.p50_ms.map_or("–".to_owned(), ms), row.p99_ms.map_or("–".to_owned(), ms),
            show(row.cpu_us, 1), show(row.memory_mib, 1), show(row.threads, 0), row.errors_percent
        ));
    }
    out.put(format_args!("</table></div></figure>\n"));
}
