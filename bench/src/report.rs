//! What was measured, and how it is shown: aligned Markdown, which reads as well in a terminal, and JSON with every sample.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::bulk::Bulk;
use crate::goals::{self, Goal, Unit, mebibytes};
use crate::idle::Idle;
use crate::machine;
use crate::sample::{Sample, median};
use crate::subject::{Server, Stable, Subject};
use crate::{tcp, udp};

/// One setting of one kind of traffic: what a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Tcp(tcp::Setting),
    Udp(udp::Setting),
}

impl Work {
    pub const ALL_TCP: [Work; 4] = [
        Work::Tcp(tcp::Setting {
            connections: 50,
            bytes: 64,
        }),
        Work::Tcp(tcp::Setting {
            connections: 1_000,
            bytes: 64,
        }),
        Work::Tcp(tcp::Setting {
            connections: 50,
            bytes: 64 << 10,
        }),
        Work::Tcp(tcp::Setting {
            connections: 1_000,
            bytes: 64 << 10,
        }),
    ];
    pub const ALL_UDP: [Work; 2] = [
        Work::Udp(udp::Setting {
            sockets: 50,
            in_flight: 1,
        }),
        Work::Udp(udp::Setting {
            sockets: 50,
            in_flight: 16,
        }),
    ];

    pub fn title(self) -> String {
        match self {
            Work::Tcp(tcp::Setting {
                connections,
                bytes: bytes @ ..1024,
            }) => format!("TCP echo {bytes} B, {connections} connections"),
            Work::Tcp(tcp::Setting { connections, bytes }) => {
                format!("TCP echo {} KiB, {connections} connections", bytes >> 10)
            }
            Work::Udp(udp::Setting { sockets, in_flight }) => {
                format!(
                    "UDP echo {} B, {sockets} sockets, {in_flight} in flight each",
                    udp::BYTES
                )
            }
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Work::Tcp(setting) => setting.connections,
            Work::Udp(setting) => setting.sockets,
        }
    }
}

pub struct Table {
    pub work: Work,
    pub rows: Vec<Row>,
}

/// One subject's rounds; None where one failed.
pub struct Row {
    pub subject: Subject,
    pub rounds: Vec<Option<Sample>>,
    failures: Vec<String>,
}

impl Row {
    pub fn new(subject: Subject) -> Row {
        Row {
            subject,
            rounds: Vec::new(),
            failures: Vec::new(),
        }
    }

    pub fn add(&mut self, outcome: Result<Sample, String>) {
        match outcome {
            Ok(sample) => self.rounds.push(Some(sample)),
            Err(failure) => {
                self.rounds.push(None);
                self.failures.push(failure);
            }
        }
    }

    fn median(&self, of: fn(&Sample) -> f64) -> Option<f64> {
        median(self.rounds.iter().flatten().map(of))
    }
}

/// What is measured once per server.
pub struct Once<T> {
    pub subject: Subject,
    pub outcome: Result<T, String>,
}

pub struct Report {
    date: String,
    machine: String,
    cores_apart: bool,
    versions: Vec<(&'static str, String)>,
    rounds: usize,
    seconds: f64,
    quick: bool,
    pub tables: Vec<Table>,
    pub idle: Vec<Once<Idle>>,
    pub bulk: Vec<Once<Bulk>>,
}

impl Report {
    pub fn new(stable: &Stable, rounds: usize, seconds: f64, quick: bool) -> Report {
        Report {
            date: OffsetDateTime::now_utc().date().to_string(),
            machine: machine::description(),
            cores_apart: stable.cores_are_apart(),
            versions: stable.versions(),
            rounds,
            seconds,
            quick,
            tables: Vec::new(),
            idle: Vec::new(),
            bulk: Vec::new(),
        }
    }

    pub fn failures(&self) -> Vec<&str> {
        let rows = self
            .tables
            .iter()
            .flat_map(|table| &table.rows)
            .flat_map(|row| &row.failures);
        let idle = self
            .idle
            .iter()
            .filter_map(|once| once.outcome.as_ref().err());
        let bulk = self
            .bulk
            .iter()
            .filter_map(|once| once.outcome.as_ref().err());
        rows.chain(idle).chain(bulk).map(String::as_str).collect()
    }

    /// Tables, then goals.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text += &format!("\n## {}\n\n{}", table.work.title(), echo_table(table));
        }
        if !self.idle.is_empty() {
            text += &format!("\n## Idle connections\n\n{}", idle_table(&self.idle));
        }
        if !self.bulk.is_empty() {
            text += &format!("\n## One long stream\n\n{}", bulk_table(&self.bulk));
        }
        if self.measured_bandy() {
            text += &format!("\n## Goals\n\n{}", goals_table(&goals::all(self)));
        }
        let failures = self.failures();
        if !failures.is_empty() {
            text += "\n## Failed\n\n";
            failures
                .iter()
                .for_each(|failure| text += &format!("- {failure}\n"));
        }
        text
    }

    pub fn markdown(&self) -> String {
        let cores = if self.cores_apart {
            "server on one core, generator on another"
        } else {
            "server and generator on one core, by turns"
        };
        let quick = if self.quick {
            " (a quick run: not to be quoted)"
        } else {
            ""
        };
        let mut text = format!(
            "# Bandy beside its peers\n\nWritten by `bandy-bench` on {}{quick}; README.md says what is measured and how far to trust it.\n\n\
             - Machine: {}; {cores}.\n- {} rounds, every subject in each; {} s a turn after {:.1} s of warm-up; medians, and \
             medians of ratios paired by round.\n- A ratio is Bandy / peer: below 1 Bandy needs less.\n",
            self.date,
            self.machine,
            self.rounds,
            self.seconds,
            crate::WARM_UP.as_secs_f64(),
        );
        for (name, version) in &self.versions {
            text += &format!("- {name}: {version}.\n");
        }
        text + &self.text()
    }

    pub fn json(&self) -> Value {
        let tables: Vec<Value> = self.tables.iter().map(table_json).collect();
        json!({
            "date": self.date,
            "machine": self.machine,
            "cores_apart": self.cores_apart,
            "versions": self.versions.iter().map(|(name, version)| json!({ "name": name, "version": version })).collect::<Vec<_>>(),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "tables": tables,
            "idle": self.idle.iter().map(once_json).collect::<Vec<_>>(),
            "bulk": self.bulk.iter().map(once_json).collect::<Vec<_>>(),
            "goals": goals::all(self).iter().map(|goal| json!({ "goal": goal, "met": goal.verdict() == "met" })).collect::<Vec<_>>(),
            "failures": self.failures(),
        })
    }

    fn measured_bandy(&self) -> bool {
        let in_tables = self
            .tables
            .iter()
            .flat_map(|table| &table.rows)
            .map(|row| row.subject);
        let once = self
            .idle
            .iter()
            .map(|once| once.subject)
            .chain(self.bulk.iter().map(|once| once.subject));
        in_tables
            .chain(once)
            .any(|subject| subject.server == Server::Bandy)
    }
}

fn echo_table(table: &Table) -> String {
    let udp = matches!(table.work, Work::Udp(_));
    let mut header = vec![
        "subject",
        "messages/s",
        "CPU us/message",
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

fn idle_table(all: &[Once<Idle>]) -> String {
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

fn bulk_table(all: &[Once<Bulk>]) -> String {
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

fn goals_table(all: &[Goal]) -> String {
    let rows = all.iter().map(|goal| {
        let (decimals, unit) = match goal.unit {
            Unit::Ratio => (2, "x"),
            Unit::Bytes => (0, " B"),
            Unit::Mebibytes => (1, " MiB"),
        };
        let measured = goal.measured.map_or("-".to_owned(), |measured| {
            format!("{measured:.decimals$}{unit}")
        });
        vec![
            goal.what.clone(),
            format!("<= {:.decimals$}{unit}", goal.limit),
            measured,
            goal.verdict().to_owned(),
        ]
    });
    aligned(&["what", "goal", "measured", "verdict"], rows.collect())
}

fn table_json(table: &Table) -> Value {
    let rows: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject.label(),
                "cpu_ratio": goals::cpu_ratio(table, row.subject),
                "p99_ratio": goals::p99_ratio(table, row.subject),
                "rounds": row.rounds,
            })
        })
        .collect();
    json!({ "title": table.work.title(), "rows": rows })
}

fn once_json<T: serde::Serialize>(once: &Once<T>) -> Value {
    json!({ "subject": once.subject.label(), "measured": once.outcome.as_ref().ok() })
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A Markdown table whose columns line up: the first to the left, numbers to the right.
fn aligned(header: &[&str], rows: Vec<Vec<String>>) -> String {
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

    #[test]
    fn titles_name_the_setting() {
        assert_eq!(Work::ALL_TCP[1].title(), "TCP echo 64 B, 1000 connections");
        assert_eq!(Work::ALL_TCP[2].title(), "TCP echo 64 KiB, 50 connections");
        assert_eq!(
            Work::ALL_UDP[1].title(),
            "UDP echo 64 B, 50 sockets, 16 in flight each"
        );
    }
}
