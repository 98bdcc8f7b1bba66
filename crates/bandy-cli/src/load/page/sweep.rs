//! The stages of a sweep beside each other.

use bandy::load::report::Latency;

use super::{Html, ms_text, spectrum};
use crate::load::Measured;
use crate::load::plot::{Plot, Scale, escape};
use crate::load::show::{count, ms};

/// The stages beside each other.
pub(super) fn sweep(out: &mut Html, measured: &[Measured]) {
    let words = match measured.iter().any(|one| one.report.model == "closed") {
        true => {
            "Closed model: what the server can do with so many at once. The tails are not what users see."
        }
        false => "Open model: a latency counts from when its request was due, as users see it.",
    };
    out.put(format_args!("<div class=\"verdict\">{words}</div>\n"));
    curve(
        out,
        &measured
            .iter()
            .map(|one| Stage::of(&one.label, &one.report))
            .collect::<Vec<_>>(),
    );
    out.put(format_args!(
        "<figure><h3>Stages</h3><div class=\"scroll\"><table><tr><th></th><th>rate /s</th><th>p50 ms</th><th>p90 ms</th><th>p99 ms</th><th>p99.9 ms</th><th>max ms</th><th>errors</th></tr>\n"
    ));
    for one in measured {
        let errors = one.outcome.error_part() * 100.0;
        let doubt = if one.report.valid { "" } else { " (invalid)" };
        out.put(format_args!(
            "<tr><td>{}{doubt}</td><td>{}</td>",
            escape(&one.label),
            count(one.report.rate)
        ));
        let latency = one.report.latency_ms;
        let picks: [fn(&Latency) -> f64; 5] =
            [|l| l.p50, |l| l.p90, |l| l.p99, |l| l.p999, |l| l.max];
        for pick in picks {
            out.put(format_args!(
                "<td>{}</td>",
                latency.as_ref().map_or("–".to_owned(), |l| ms(pick(l)))
            ));
        }
        let class = if errors > 0.0 { " class=\"bad\"" } else { "" };
        out.put(format_args!("<td{class}>{errors:.2} %</td></tr>\n"));
    }
    out.put(format_args!("</table></div></figure>\n"));
    let runs: Vec<_> = measured
        .iter()
        .map(|one| (one.label.clone(), one))
        .collect();
    spectrum(out, &runs);
}

/// A point of a throughput-latency curve.
struct Stage<'a> {
    label: &'a str,
    rate: f64,
    p50: Option<f64>,
    p99: Option<f64>,
}

impl<'a> Stage<'a> {
    fn of(label: &'a str, report: &bandy::load::Report) -> Stage<'a> {
        Stage {
            label,
            rate: report.rate,
            p50: report.latency_ms.as_ref().map(|l| l.p50),
            p99: report.latency_ms.as_ref().map(|l| l.p99),
        }
    }
}

/// What latency a rate costs.
fn curve(out: &mut Html, stages: &[Stage<'_>]) {
    let most = stages.iter().map(|s| s.rate).fold(1.0_f64, f64::max) * 1.12;
    let y = Scale::log(stages.iter().flat_map(|s| [s.p50, s.p99]).flatten());
    let mut plot = Plot::new(
        "Throughput and latency",
        340.0,
        (Scale::Linear { max: most }, &count),
        (y, &ms_text),
    );
    let line = |pick: fn(&Stage<'_>) -> Option<f64>| -> Vec<(f64, Option<f64>)> {
        stages.iter().map(|s| (s.rate, pick(s))).collect()
    };
    plot.line("a", &line(|s| s.p50));
    plot.line("b", &line(|s| s.p99));
    for stage in stages {
        if let Some(p50) = stage.p50 {
            plot.point("a", stage.rate, p50, "");
        }
        if let Some(p99) = stage.p99 {
            plot.point("b", stage.rate, p99, stage.label);
        }
    }
    out.figure(
        "Throughput and latency",
        "Each point is a stage. Where the line turns upwards, more load brings no more answers, only waiting.",
        &[("a", "median".to_owned()), ("b", "99th percentile".to_owned())],
        &plot.finish("good answers a second", ""),
    );
}
