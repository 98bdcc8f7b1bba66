//! A report as one HTML file: styles and plots are in it, nothing is fetched, and no script is needed.

use std::fmt::Write;

use bandy::load::expect::Checked;
use bandy::load::record::{Latencies, bucket_start};
use bandy::load::report::{Latency, milliseconds};

use super::Measured;
use super::plot::{Part, Plot, Scale, bars, escape};
use super::show::count;
use sweep::sweep;
use tables::{numbers, tables};

mod sweep;
mod tables;

/// Colours of lines, in the order in which they are given out.
const COLOURS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The page of these runs.
pub fn page(measured: &[Measured], checked: &[Checked]) -> String {
    let Some(first) = measured.first() else {
        return String::new();
    };
    let report = &first.report;
    let mut out = Html::begin(&format!("{} under load", report.target));
    out.put(format_args!(
        "<header><div class=\"eyebrow\">bandy load · {} · {} · {} model</div><h1>{}</h1></header>\n",
        escape(&report.started.replace(['T', 'Z'], " ")), escape(&report.protocol), report.model, escape(&report.target)
    ));
    match measured {
        [one] => {
            verdict(&mut out, one);
            expectations(&mut out, checked);
            single(&mut out, one);
        }
        several => {
            sweep(&mut out, several);
            expectations(&mut out, checked);
            for one in several {
                out.put(format_args!("<h2>{}</h2>\n", escape(&one.label)));
                verdict(&mut out, one);
                single(&mut out, one);
            }
        }
    }
    out.put(format_args!("<h2>How it was measured</h2>\n"));
    if let Some(command) = &report.command {
        out.put(format_args!(
            "<pre><code>{}</code></pre>\n",
            escape(command)
        ));
    }
    if let Some(machine) = &report.machine {
        out.put(format_args!("<p class=\"dim\">{}</p>\n", escape(machine)));
    }
    out.end()
}

/// A page that is being written.
pub struct Html(String);

impl Html {
    /// With this title.
    pub fn begin(title: &str) -> Html {
        Html(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
            escape(title),
            include_str!("page.css")
        ))
    }

    pub fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(text);
    }

    /// A plot with its title and what it shows.
    pub fn figure(&mut self, title: &str, hint: &str, legend: &[(&str, String)], svg: &str) {
        self.put(format_args!(
            "<figure>\n<h3>{}</h3>\n<p class=\"hint\">{}</p>\n",
            escape(title),
            escape(hint)
        ));
        if !legend.is_empty() {
            self.0.push_str("<div class=\"legend\">");
            for (class, name) in legend {
                self.put(format_args!(
                    "<span><i class=\"{class}\"></i>{}</span>",
                    escape(name)
                ));
            }
            self.0.push_str("</div>\n");
        }
        self.put(format_args!("<div class=\"plot\">{svg}</div></figure>\n"));
    }

    /// The whole of it.
    pub fn end(mut self) -> String {
        self.put(format_args!(
            "<footer>bandy {}</footer>\n</main>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION")
        ));
        self.0
    }
}

fn verdict(out: &mut Html, one: &Measured) {
    let report = &one.report;
    for why in &report.invalid_because {
        out.put(format_args!(
            "<div class=\"verdict bad\"><b class=\"bad\">Invalid</b>: {}.</div>\n",
            escape(why)
        ));
    }
    if let Some(chat) = &report.chat {
        let (is_good, words) = super::chat::verdict(chat);
        let class = if is_good { "good" } else { "bad" };
        out.put(format_args!(
            "<div class=\"verdict {class}\"><b class=\"{class}\">{}</b></div>\n",
            escape(&words)
        ));
    }
    let words = match report.model.as_str() {
        _ if report.chat.is_some() => {
            "A latency counts from when a message was due until a member heard it. Each message is a delivery to each member."
        }
        "closed" => {
            "Closed model: what the server can do. Each connection waits for its answer before it asks again, so the tail is not what users see."
        }
        _ => "Open model: a latency counts from when its request was due, as users see it.",
    };
    out.put(format_args!("<div class=\"verdict\">{words}</div>\n"));
    for note in report
        .notes
        .iter()
        .skip(usize::from(report.model == "closed"))
    {
        out.put(format_args!(
            "<p class=\"dim\">Note: {}.</p>\n",
            escape(note)
        ));
    }
}

fn expectations(out: &mut Html, checked: &[Checked]) {
    for one in checked {
        let (class, word) = match one.is_met {
            true => ("good", "Met"),
            false => ("bad", "Not met"),
        };
        out.put(format_args!(
            "<div class=\"verdict {class}\"><b class=\"{class}\">{word}</b>: <code>{}</code>, and it is {}</div>\n",
            escape(&one.expect.to_string()), escape(&one.measured)
        ));
    }
}

fn single(out: &mut Html, one: &Measured) {
    numbers(out, one);
    spectrum(out, &[(String::new(), one)]);
    heat(out, one);
    over_time(out, one);
    phases(out, one);
    tables(out, one);
}

/// A time with its unit.
pub fn ms_text(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{} s", trim(v / 1000.0)),
        v if v >= 1.0 => format!("{} ms", trim(v)),
        v => format!("{} µs", trim(v * 1000.0)),
    }
}

fn trim(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Latency by percentile, on an axis where each further nine has as much room.
fn spectrum(out: &mut Html, runs: &[(String, &Measured)]) {
    let mut lines: Vec<(&str, String, &Latencies)> = Vec::new();
    for (i, (name, one)) in runs.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        lines.push((colour, name.clone(), &one.outcome.latency));
        if let (1, Some(open)) = (runs.len(), &one.outcome.open) {
            let names = match one.report.chat {
                Some(_) => ["due to heard", "sent to heard"],
                None => [
                    "due to done: as users see it",
                    "sent to done: what a closed model would see",
                ],
            };
            lines[0].1 = names[0].to_owned();
            lines.push(("b", names[1].to_owned(), &open.service));
            lines.push(("e", "due to sent".to_owned(), &open.lag));
        }
    }
    let most = lines.iter().map(|(_, _, l)| l.len()).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    // As many nines as there are requests to tell of.
    let nines = (most as f64).log10().clamp(1.0, 6.0);
    let at = |latencies: &Latencies, x: f64| {
        let quantile = 1.0 - 10_f64.powf(-x);
        milliseconds(latencies.value_at_quantile(quantile)).max(0.001)
    };
    let points = |latencies: &Latencies| -> Vec<(f64, Option<f64>)> {
        let own = (latencies.len() as f64).log10().clamp(0.0, nines);
        (0..=200)
            .map(|i| own * f64::from(i) / 200.0)
            .map(|x| (x, Some(at(latencies, x))))
            .collect()
    };
    let drawn: Vec<_> = lines
        .iter()
        .map(|(class, _, latencies)| (*class, points(latencies)))
        .collect();
    // How late requests left may be next to nothing, and would squeeze what matters.
    let y = Scale::log(
        drawn
            .iter()
            .filter(|(class, _)| runs.len() > 1 || *class != "e")
            .flat_map(|(_, points)| points.iter().filter_map(|(_, y)| *y)),
    );
    let ticks: Vec<f64> = [0.0, 0.5_f64, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999]
        .iter()
        .map(|p| -(1.0 - p).log10())
        .filter(|x| *x <= nines + 1e-9)
        .collect();
    let name = |x: f64| {
        let percent = (1.0 - 10_f64.powf(-x)) * 100.0;
        let digits = (x.round() as usize).saturating_sub(2);
        format!("{percent:.digits$} %")
    };
    let mut plot = Plot::with_ticks(
        "Latency by percentile",
        330.0,
        (
            Scale::Between {
                min: 0.0,
                max: nines,
            },
            &ticks,
            &name,
        ),
        (y, &ms_text),
    );
    for (class, points) in &drawn {
        plot.line(class, points);
    }
    let legend: Vec<(&str, String)> = match lines.len() {
        1 => Vec::new(),
        _ => lines
            .iter()
            .map(|(class, name, _)| (*class, name.clone()))
            .collect(),
    };
    out.figure(
        "Latency by percentile",
        "How long all but the slowest took. Each step to the right leaves out ten times fewer: the tail has as much room as the rest.",
        &legend,
        &plot.finish(
            match runs.first() {
                Some((_, one)) if one.report.chat.is_some() => {
                    "of the deliveries were faster than this"
                }
                _ => "of the requests were faster than this",
            },
            "",
        ),
    );
}

/// How many latencies there were of each size, over time.
fn heat(out: &mut Html, one: &Measured) {
    /// Buckets that make a row.
    const ROW: usize = 2;
    let slices = &one.outcome.slices;
    let slice_s = one.report.series.slice_s;
    let rows: Vec<Vec<u64>> = slices
        .iter()
        .map(|slice| {
            slice
                .latency
                .chunks(ROW)
                .map(|c| c.iter().map(|n| u64::from(*n)).sum())
                .collect()
        })
        .collect();
    let used = |row: usize| {
        rows.iter()
            .any(|column| column.get(row).is_some_and(|n| *n > 0))
    };
    let height = rows.first().map_or(0, Vec::len);
    let (Some(low), Some(high)) = (
        (0..height).find(|r| used(*r)),
        (0..height).rev().find(|r| used(*r)),
    ) else {
        return;
    };
    let start = |row: usize| (bucket_start(row * ROW) as f64 / 1e6).max(0.001);
    let y = Scale::log([start(low), start(high + 1)].into_iter());
    let x = Scale::Between {
        min: 0.0,
        max: one.report.duration_s.max(slice_s),
    };
    let mut plot = Plot::new("Latency over time", 330.0, (x, &seconds), (y, &ms_text));
    let most = rows.iter().flatten().copied().max().unwrap_or(1).max(1) as f64;
    for (i, column) in rows.iter().enumerate() {
        let from = i as f64 * slice_s;
        for (row, number) in column.iter().enumerate().filter(|(_, n)| **n > 0) {
            // By the logarithm, so that single requests are seen beside thousands.
            let part = ((*number as f64 + 1.0).ln() / (most + 1.0).ln()).powf(1.4);
            let title = format!(
                "{}: {} of {} to {}",
                seconds(from),
                count(*number as f64),
                ms_text(start(row)),
                ms_text(start(row + 1))
            );
            plot.cell(
                (from, from + slice_s),
                (start(row), start(row + 1)),
                part,
                &title,
            );
        }
    }
    let quantiles = |pick: &[Option<f64>]| -> Vec<(f64, Option<f64>)> {
        pick.iter()
            .enumerate()
            .map(|(i, v)| ((i as f64 + 0.5) * slice_s, *v))
            .collect()
    };
    plot.line("f thin", &quantiles(&one.report.series.p50_ms));
    plot.line("b thin", &quantiles(&one.report.series.p99_ms));
    out.figure(
        "Latency over time",
        "Each column is a slice of the run, each cell a latency: the stronger, the more requests took that long.",
        &[("f", "median".to_owned()), ("b", "99th percentile".to_owned())],
        &plot.finish("time", ""),
    );
}

fn seconds(value: f64) -> String {
    format!("{} s", trim(value))
}

/// Rate and errors over time.
fn over_time(out: &mut Html, one: &Measured) {
    let series = &one.report.series;
    // The last slice may be shorter.
    let lasts = |i: usize| {
        let left = one.report.duration_s - i as f64 * series.slice_s;
        left.min(series.slice_s)
    };
    let rates = |counts: &[u64]| -> Vec<(f64, f64)> {
        counts
            .iter()
            .enumerate()
            .filter(|(i, _)| lasts(*i) > series.slice_s * 0.5)
            .map(|(i, n)| ((i as f64 + 0.5) * series.slice_s, *n as f64 / lasts(i)))
            .collect()
    };
    let (done, failed) = (rates(&series.done), rates(&series.failed));
    let most = done
        .iter()
        .chain(&failed)
        .map(|(_, rate)| *rate)
        .fold(1.0_f64, f64::max)
        * 1.1;
    let x = Scale::Between {
        min: 0.0,
        max: one.report.duration_s.max(series.slice_s),
    };
    let mut plot = Plot::new(
        "Rate over time",
        240.0,
        (x, &seconds),
        (Scale::Linear { max: most }, &count),
    );
    let line = |points: &[(f64, f64)]| -> Vec<(f64, Option<f64>)> {
        points.iter().map(|(x, y)| (*x, Some(*y))).collect()
    };
    plot.area("a", &done);
    plot.line("a", &line(&done));
    let (done_name, unit) = match one.report.chat {
        Some(_) => ("deliveries a second", "deliveries a second"),
        None => ("good answers a second", "requests a second"),
    };
    let mut legend = vec![("a", done_name.to_owned())];
    if series.failed.iter().any(|n| *n > 0) {
        plot.area("worst", &failed);
        plot.line("worst thin", &line(&failed));
        legend.push(("worst", "failed or timed out".to_owned()));
    }
    if let bandy::load::Pace::Open { rate, .. } = &one.outcome.plan.pace {
        // A message is as many deliveries as there are members.
        let each = one.report.chat.as_ref().map_or(1.0, |c| c.members as f64);
        let wanted: Vec<_> = (0..=100)
            .map(|i| one.report.duration_s * f64::from(i) / 100.0)
            .map(|x| (x, Some(rate.at((x - 1e-9).max(0.0)) * each)))
            .collect();
        plot.line("e thin dashed", &wanted);
        legend.push(("e", "due".to_owned()));
    }
    out.figure("Rate over time", "", &legend, &plot.finish("time", unit));
}

/// Where the time goes, on average: averages add up, percentiles do not.
fn phases(out: &mut Html, one: &Measured) {
    let report = &one.report;
    let mut rows: Vec<(String, Vec<Part<'_>>)> = Vec::new();
    let mean = |latency: Option<Latency>| latency.map(|l| l.mean);
    match (mean(report.lag_ms), mean(report.service_ms)) {
        (Some(lag), Some(service)) => rows.push((
            match report.chat {
                Some(_) => "a delivery".to_owned(),
                None => "a request".to_owned(),
            },
            vec![
                ("e", lag, "due to sent".to_owned()),
                (
                    "a",
                    service,
                    match report.chat {
                        Some(_) => "sent to heard".to_owned(),
                        None => "sent to done".to_owned(),
                    },
                ),
            ],
        )),
        _ => {
            if let Some(latency) = mean(report.latency_ms) {
                rows.push((
                    "a request".to_owned(),
                    vec![("a", latency, "sent to done".to_owned())],
                ));
            }
        }
    }
    // Accepting is once for a connection, and has the wait for its first request in it.
    let told = report.server_ms.iter();
    let mut said: Vec<_> = told.filter(|(name, _)| *name != "accept").collect();
    if !said.is_empty() {
        let order = |name: &str| {
            ["queue", "handler", "write"]
                .iter()
                .position(|n| *n == name)
                .unwrap_or(9)
        };
        said.sort_by_key(|(name, _)| order(name));
        let colours = ["e", "d", "c", "b"];
        let parts = said
            .iter()
            .enumerate()
            .map(|(i, (name, times))| (colours[i % 4], times.mean, (*name).clone()));
        rows.push(("of it, by the server".to_owned(), parts.collect()));
    }
    if let Some(connect) = mean(report.connect_ms) {
        rows.push((
            "connecting".to_owned(),
            vec![("c", connect, "connect".to_owned())],
        ));
    }
    if let Some(tls) = mean(report.tls_ms) {
        rows.push((
            "TLS handshake".to_owned(),
            vec![("d", tls, "handshake".to_owned())],
        ));
    }
    if !rows.is_empty() {
        let svg = bars("Where the time goes", &rows, &ms_text);
        let hint = "Means, which add up. Connections are made before the run, and again where one was lost.";
        out.figure("Where the time goes", hint, &[], &svg);
    }
}
