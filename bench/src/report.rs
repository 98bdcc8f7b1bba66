//! What was measured, whole: as text, as Markdown, and as JSON with every sample.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::bulk::Bulk;
use crate::durable::{self, Durable};
use crate::generators::Found;
use crate::goals;
use crate::http::{self, Wish};
use crate::idle::Idle;
use crate::machine;
use crate::sample::{Sample, median};
use crate::stable::Stable;
use crate::subject::{Server, Subject};
use crate::{tables, tcp, udp};

/// One setting of one kind of traffic: what a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Tcp(tcp::Setting),
    Udp(udp::Setting),
    Http(http::Setting),
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
    pub const ALL_HTTP: [Work; 6] = [
        Work::http(Wish::Sum, 50),
        Work::http(Wish::Sum, 500),
        Work::http(Wish::SumOverH2, 10),
        Work::http(Wish::File(1 << 10), 50),
        Work::http(Wish::File(1 << 20), 50),
        Work::http(Wish::Profile, 50),
    ];

    const fn http(wish: Wish, connections: usize) -> Work {
        Work::Http(http::Setting { wish, connections })
    }

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
            Work::Http(setting) => setting.title(),
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Work::Tcp(setting) => setting.connections,
            Work::Udp(setting) => setting.sockets,
            Work::Http(setting) => setting.connections,
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

    /// `of` may know nothing (None): what nobody knows has no median.
    pub fn median<T: Into<Option<f64>>>(&self, of: impl Fn(&Sample) -> T) -> Option<f64> {
        let samples = self.rounds.iter().flatten();
        median(samples.filter_map(|sample| of(sample).into()))
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
    /// A round each.
    pub durable: Vec<Result<Durable, String>>,
    pub idle_http: Vec<Once<Idle>>,
    pub generators: Option<Found>,
}

impl Report {
    pub fn new(
        stable: &Stable,
        versions: Vec<(&'static str, String)>,
        rounds: usize,
        seconds: f64,
        quick: bool,
    ) -> Report {
        Report {
            date: OffsetDateTime::now_utc().date().to_string(),
            machine: machine::description(),
            cores_apart: stable.cores_are_apart(),
            versions,
            rounds,
            seconds,
            quick,
            tables: Vec::new(),
            idle: Vec::new(),
            bulk: Vec::new(),
            durable: Vec::new(),
            idle_http: Vec::new(),
            generators: None,
        }
    }

    pub fn failures(&self) -> Vec<&str> {
        let rows = self
            .tables
            .iter()
            .flat_map(|table| &table.rows)
            .flat_map(|row| &row.failures);
        let idle = self.idle.iter().chain(&self.idle_http);
        let idle = idle.filter_map(|once| once.outcome.as_ref().err());
        let durable = self.durable.iter().filter_map(|round| round.as_ref().err());
        let bulk = self
            .bulk
            .iter()
            .filter_map(|once| once.outcome.as_ref().err());
        rows.chain(idle)
            .chain(bulk)
            .chain(durable)
            .chain(self.generators.iter().flat_map(|found| &found.failures))
            .map(String::as_str)
            .collect()
    }

    /// A machine that does something else meanwhile measures that too.
    fn disturbance(&self) -> Option<String> {
        let rows = self.tables.iter().flat_map(|table| &table.rows);
        let durable = self.durable.iter().flatten().map(|round| &round.sample);
        let others: Vec<f64> = rows
            .flat_map(|row| row.rounds.iter().flatten())
            .chain(durable)
            .map(|sample| sample.others)
            .collect();
        let turns = others.len();
        let disturbed = others.iter().filter(|&&cores| cores > 0.1).count();
        let worst = others.iter().copied().fold(0.0, f64::max);
        let usual = median(others)?;
        let verdict = if disturbed * 5 <= turns {
            "a quiet machine"
        } else {
            "**a busy machine: measure again**"
        };
        Some(format!(
            "Everything else used {usual:.2} cores (median; {worst:.2} at worst), and more than 0.1 in {disturbed} of {turns} turns: {verdict}."
        ))
    }

    /// Tables, then goals.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(disturbance) = self.disturbance() {
            text += &format!("\n{disturbance}\n");
        }
        let measured = self.tables.iter().filter(|table| !table.rows.is_empty());
        for table in measured {
            text += &format!("\n## {}\n\n{}", table.work.title(), tables::rounds(table));
        }
        if !self.idle.is_empty() {
            text += &format!("\n## Idle connections\n\n{}", tables::idle(&self.idle));
        }
        if !self.bulk.is_empty() {
            text += &format!("\n## One long stream\n\n{}", tables::bulk(&self.bulk));
        }
        if !self.durable.is_empty() {
            text += &format!(
                "\n## Durable writes, {} clients\n\n{}",
                durable::CLIENTS,
                tables::durable(&self.durable)
            );
        }
        if !self.idle_http.is_empty() {
            text += &format!(
                "\n## Idle HTTP/1.1 connections\n\n{}",
                tables::idle(&self.idle_http)
            );
        }
        if let Some(found) = &self.generators {
            text += &found.text();
        }
        if self.measured_bandy() {
            text += &format!("\n## Goals\n\n{}", tables::goals(&goals::all(self)));
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
             - Machine: {}; {cores}.\n- {} rounds, every subject in each; {} s a turn after {:.1} s of warm-up ({:.1} s over HTTP); medians, and \
             medians of ratios paired by round.\n- A ratio is Bandy / peer: below 1 Bandy needs less.\n",
            self.date,
            self.machine,
            self.rounds,
            self.seconds,
            crate::WARM_UP.as_secs_f64(),
            http::WARM_UP.as_secs_f64(),
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
            "durable": self.durable.iter().map(|round| round.as_ref().ok()).collect::<Vec<_>>(),
            "idle_http": self.idle_http.iter().map(once_json).collect::<Vec<_>>(),
            "goals": goals::all(self).iter().map(|goal| json!({ "goal": goal, "met": goal.verdict() == "met" })).collect::<Vec<_>>(),
            "generators": self.generators,
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
            .chain(self.idle_http.iter().map(|once| once.subject))
            .chain(self.bulk.iter().map(|once| once.subject));
        !self.durable.is_empty()
            || in_tables
                .chain(once)
                .any(|subject| subject.server == Server::Bandy)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
