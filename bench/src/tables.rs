//! The tables: aligned Markdown, which reads as well in a terminal.

use crate::bulk::Bulk;
use crate::durable::Durable;
use crate::goals::{self, Goal, Unit, mebibytes};
use crate::idle::Idle;
use crate::report::{Once, Table, Work};
use crate::sample::median;
use crate::subject::Server;

/// What every subject did in its rounds.
pub fn rounds(table: &Table) -> String {
    let udp = matches!(table.work, Work::Udp(_));
    let (rate, cost) = match table.work {
        Work::Http(_) => ("requests/s", "CPU us/request"),
        _ => ("messages/s", "CPU us/message"),
    };
    let mut header = vec![
        "subject",
        rate,
        cost,
        "of a core",
        "p50 us",
        "p99 us",
        "CPU ratio",
        "p99 ratio",
    ];
    if udp {
        header.push("lost");
    }
    let rows = table.rows.iter().map(|row| {
        let ratio = |ratio: Option<f64>| {
            if row.subject.server == Server::Bandy {
                "1".to_owned()
            } else {
                number(ratio, 2)
            }
        };
        let mut cells = vec![
            row.subject.label(),
            number(row.median(|sample| sample.per_second), 0),
            number(row.median(|sample| sample.cpu_us), 2),
            number(row.median(|sample| sample.busy), 2),
            number(row.median(|sample| sample.p50_us), 0),
            number(row.median(|sample| sample.p99_us), 0),
            ratio(goals::cpu_ratio(table, row.subject)),
            ratio(goals::p99_ratio(table, row.subject)),
        ];
        if udp {
            cells.push(format!(
                "{} %",
                number(row.median(|sample| sample.lost * 100.0), 2)
            ));
        }
        cells
    });
    aligned(&header, rows.collect())
}

pub fn idle(all: &[Once<Idle>]) -> String {
    let header = [
        "subject",
        "connections",
        "base MiB",
        "bytes each, opened",
        "bytes each, answered once",
    ];
    let rows = all.iter().filter_map(|once| {
        let idle = once.outcome.as_ref().ok()?;
        Some(vec![
            once.subject.label(),
            idle.connections.to_string(),
            number(Some(mebibytes(idle.base_bytes)), 1),
            number(Some(idle.opened), 0),
            number(Some(idle.answered), 0),
        ])
    });
    aligned(&header, rows.collect())
}

pub fn bulk(all: &[Once<Bulk>]) -> String {
    let header = [
        "subject",
        "GiB",
        "MiB/s each way",
        "CPU s/GiB",
        "peak MiB after 1 MiB",
        "peak MiB at the end",
        "bytes",
    ];
    let rows = all.iter().filter_map(|once| {
        let bulk = once.outcome.as_ref().ok()?;
        let gib = mebibytes(bulk.bytes) / 1024.0;
        Some(vec![
            once.subject.label(),
            number(Some(gib), 2),
            number(Some(bulk.mib_per_second()), 0),
            number(Some(bulk.cpu_seconds / gib), 2),
            number(Some(mebibytes(bulk.peak_before)), 1),
            number(Some(mebibytes(bulk.peak_after)), 1),
            "all right".to_owned(),
        ])
    });
    aligned(&header, rows.collect())
}

pub fn durable(rounds: &[Result<Durable, String>]) -> String {
    let header = [
        "subject",
        "acknowledged/s",
        "CPU us/write",
        "p50 us",
        "p99 us",
        "commits/s",
        "fsyncs/s of the disk alone",
    ];
    let of = |what: fn(&Durable) -> Option<f64>| median(rounds.iter().flatten().filter_map(what));
    let row = vec![
        Server::Bandy.name().to_owned(),
        number(of(|round| Some(round.sample.per_second)), 0),
        number(of(|round| Some(round.sample.cpu_us)), 2),
        number(of(|round| round.sample.p50_us), 0),
        number(of(|round| round.sample.p99_us), 0),
        number(of(|round| round.commits_per_second), 0),
        number(of(|round| Some(round.syncs_per_second)), 0),
    ];
    aligned(&header, vec![row])
}

pub fn goals(all: &[Goal]) -> String {
    let rows = all.iter().map(|goal| {
        let (decimals, unit) = match goal.unit {
            Unit::Ratio | Unit::RatioAtLeast => (2, "x"),
            Unit::Bytes => (0, " B"),
            Unit::Mebibytes => (1, " MiB"),
            Unit::Milliseconds => (1, " ms"),
            Unit::PerSecond => (0, "/s"),
        };
        let measured = goal.measured.map_or("-".to_owned(), |measured| {
            format!("{measured:.decimals$}{unit}")
        });
        vec![
            goal.what.clone(),
            format!("{} {:.decimals$}{unit}", goal.unit.relation(), goal.limit),
            measured,
            goal.verdict().to_owned(),
        ]
    });
    aligned(&["what", "goal", "measured", "verdict"], rows.collect())
}

pub fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A Markdown table whose columns line up: the first to the left, numbers to the right.
pub fn aligned(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].len())
                .chain([header[column].len(), 3])
                .max()
                .unwrap_or(0)
        })
        .collect();
    let line = |cells: &[&str]| -> String {
        let padded = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
        format!("|{}\n", padded.collect::<String>())
    };
    let rule = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| match column {
            0 => format!("-{}-|", "-".repeat(width)),
            _ => format!("-{}:|", "-".repeat(width)),
        });
    let mut text = line(header);
    text += &format!("|{}\n", rule.collect::<String>());
    for row in &rows {
        text += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let text = aligned(
            &["who", "n"],
            vec![
                vec!["a".into(), "1".into()],
                vec!["longer".into(), "12345".into()],
            ],
        );
        let expected = "\
| who    |     n |\n\
|--------|------:|\n\
| a      |     1 |\n\
| longer | 12345 |\n";
        assert_eq!(text, expected);
    }
}
