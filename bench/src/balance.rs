//! Balancers: one request to one backend behind each of them, beside HAProxy, nginx and Caddy.
//!
//! The balancer has the server's core, wrk and the backend have the other; in the rows on both cores all of them share both. The
//! backend is nginx, which answers from memory, so what is left is the balancer's. All take turns in every round, afresh.

mod site;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::site::{Balancer, Site};
use crate::goals::{Goal, Unit};
use crate::idle::{self, Idle};
use crate::machine::{Cores, Interrupt, Placement};
use crate::page::Page;
use crate::sample::{Counting, Sample, median, paired_ratio};
use crate::tables::{aligned, number};
use crate::{http, tables, wrk};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Setting {
    /// What it is called on the command line.
    name: &'static str,
    title: &'static str,
    path: &'static str,
    bytes: usize,
    connections: usize,
    is_secure: bool,
    placement: Placement,
}

const SMALL: Setting = Setting {
    name: "1k-50",
    title: "1 KiB, 50 connections",
    path: "/1k",
    bytes: 1 << 10,
    connections: 50,
    is_secure: false,
    placement: Placement::OneCore,
};

const SETTINGS: [Setting; 6] = [
    SMALL,
    Setting {
        name: "1k-500",
        title: "1 KiB, 500 connections",
        connections: 500,
        ..SMALL
    },
    Setting {
        name: "100k",
        title: "100 KiB, 50 connections",
        path: "/100k",
        bytes: 100 << 10,
        ..SMALL
    },
    Setting {
        name: "tls",
        title: "1 KiB, 50 connections, TLS in front",
        is_secure: true,
        ..SMALL
    },
    Setting {
        name: "both-50",
        title: "1 KiB, 50 connections, both cores",
        placement: Placement::AllCores,
        ..SMALL
    },
    Setting {
        name: "both-500",
        title: "1 KiB, 500 connections, both cores",
        connections: 500,
        placement: Placement::AllCores,
        ..SMALL
    },
];

/// The row that is not a setting: what idle connections cost.
const IDLE: &str = "idle";
const IDLE_TITLE: &str = "Idle connections";
const IDLE_CONNECTIONS: usize = 10_000;

/// What is to be measured.
pub struct Balance<'a> {
    pub cores: &'a Cores,
    pub bandy: PathBuf,
    /// How many files a process may open.
    pub files: u64,
    /// Only these balancers, and these rows; all where there is none.
    pub only: &'a [String],
    pub rows: &'a [String],
    pub rounds: usize,
    pub time: Duration,
    pub interrupt: &'a Interrupt,
}

/// A setting's rounds, a balancer each; `None` where one failed.
struct Table {
    setting: Setting,
    rows: Vec<(Balancer, Vec<Option<Sample>>)>,
    /// Of TLS: what each agreed on.
    agreed: Vec<String>,
}

impl Balance<'_> {
    /// The names of all rows.
    pub fn row_names() -> impl Iterator<Item = &'static str> {
        SETTINGS.iter().map(|setting| setting.name).chain([IDLE])
    }

    /// Measures, and says so in Markdown; and whether nothing failed.
    pub fn run(self) -> Result<(String, bool)> {
        let is_wanted = |list: &[String], name| list.is_empty() || list.iter().any(|n| n == name);
        let subjects: Vec<Balancer> = Balancer::ALL
            .into_iter()
            .filter(|b| is_wanted(self.only, b.name()) && b.is_installed())
            .collect();
        let (cores, bandy) = (self.cores, self.bandy.clone());
        let site = Site::make(cores, bandy, self.files)?;
        let mut page = Page::new("Requests through a balancer", site.versions());
        page.rounds(self.rounds, self.time, cores.apart);
        let (mut failures, mut measured) = (Vec::new(), Vec::new());
        for setting in SETTINGS
            .into_iter()
            .filter(|s| is_wanted(self.rows, s.name))
        {
            let table = self.table(&site, setting, &subjects, &mut failures)?;
            page.section(setting.title, &table.text());
            measured.push(table);
        }
        let mut idle = Vec::new();
        if is_wanted(self.rows, IDLE) {
            idle = self.idle(&site, &subjects, &mut failures)?;
            let title = format!(
                "{IDLE_TITLE}, {} of them, bytes each",
                self.idle_connections()
            );
            page.section(&title, &idle_table(&idle));
        }
        let mut goals: Vec<Goal> = measured.iter().flat_map(Table::goals).collect();
        goals.extend(idle_goals(&idle));
        page.section("Goals", &tables::goals(&goals));
        page.failures(&failures);
        Ok((page.text(), failures.is_empty()))
    }

    fn table(
        &self,
        site: &Site<'_>,
        setting: Setting,
        subjects: &[Balancer],
        failures: &mut Vec<String>,
    ) -> Result<Table> {
        let backend = site.backend(setting)?;
        let mut table = Table {
            setting,
            rows: subjects.iter().map(|s| (*s, Vec::new())).collect(),
            agreed: Vec::new(),
        };
        for round in 1..=self.rounds {
            for (subject, samples) in &mut table.rows {
                let turn = self.turn(site, *subject, backend.address.port(), setting);
                self.interrupt.check()?;
                let (title, name, of) = (setting.title, subject.name(), self.rounds);
                let heading = format!("{title}, round {round}/{of}, {name}");
                samples.push(match turn {
                    Ok((sample, agreed)) => {
                        let Sample { per_second, cpu_us, busy, .. } = &sample;
                        eprintln!("{heading}: {per_second:.0}/s, {cpu_us:.2} us CPU each, {busy:.2} of a core");
                        let agreed = agreed.map(|agreed| format!("{name}: {agreed}"));
                        table.agreed.extend(agreed.filter(|_| round == 1));
                        Some(sample)
                    }
                    Err(error) => {
                        eprintln!("{heading}: failed: {error:#}");
                        failures.push(format!("{heading}: {error:#}"));
                        None
                    }
                });
            }
        }
        Ok(table)
    }

    /// What it took, and for TLS what was agreed on.
    fn turn(
        &self,
        site: &Site<'_>,
        subject: Balancer,
        backend: u16,
        setting: Setting,
    ) -> Result<(Sample, Option<String>)> {
        let server = site.start(subject, backend, setting)?;
        let agreed = match setting.is_secure {
            true => Some(site::agreed(server.address)?),
            false => None,
        };
        let scheme = if setting.is_secure { "https" } else { "http" };
        let url = format!("{scheme}://{}{}", server.address, setting.path);
        let request = wrk::Request {
            url: &url,
            fields: &[],
            script: None,
        };
        let run = |time| wrk::run(&request, setting.connections, time, self.interrupt);
        // wrk goes where the backend is.
        let place = match setting.placement {
            Placement::AllCores => Placement::AllCores,
            Placement::OneCore | Placement::Generators => Placement::Generators,
        };
        site.cores.on(place, || run(http::WARM_UP))??;
        let counting = Counting::open(server.pid())?;
        let load = site.cores.on(place, || run(self.time))??;
        let sample = counting.close_over(&load)?;
        let least = load.requests as f64 * setting.bytes as f64 * 0.99;
        ensure!(
            load.bytes as f64 >= least,
            "counting answers: bodies are missing"
        );
        Ok((sample, agreed))
    }

    /// Each has a file in this program and one in the balancer.
    fn idle_connections(&self) -> usize {
        IDLE_CONNECTIONS.min(self.files.saturating_sub(500) as usize)
    }

    fn idle(
        &self,
        site: &Site<'_>,
        subjects: &[Balancer],
        failures: &mut Vec<String>,
    ) -> Result<Vec<(Balancer, Idle)>> {
        let backend = site.backend(SMALL)?;
        let mut all = Vec::new();
        for subject in subjects {
            let running = site.start(*subject, backend.address.port(), SMALL)?;
            let connections = self.idle_connections();
            let measured = idle::measure(&running, idle::Speech::Http, connections, self.interrupt)
                .with_context(|| format!("idle connections, {}", subject.name()));
            self.interrupt.check()?;
            match measured {
                Ok(idle) => {
                    let name = subject.name();
                    eprintln!(
                        "idle, {name}: {:.0} and {:.0} bytes",
                        idle.opened, idle.answered
                    );
                    all.push((*subject, idle));
                }
                Err(error) => {
                    eprintln!("{error:#}");
                    failures.push(format!("{error:#}"));
                }
            }
        }
        Ok(all)
    }
}

impl Table {
    fn of(&self, balancer: Balancer) -> Option<&[Option<Sample>]> {
        let mut rows = self.rows.iter();
        let (_, samples) = rows.find(|(subject, _)| *subject == balancer)?;
        Some(samples)
    }

    /// Bandy's of a peer's, paired by round.
    fn ratio(&self, peer: Balancer, of: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        let values = |samples: &[Option<Sample>]| -> Vec<Option<f64>> {
            samples.iter().map(|s| s.as_ref().and_then(&of)).collect()
        };
        paired_ratio(&values(self.of(Balancer::Bandy)?), &values(self.of(peer)?))
    }

    fn text(&self) -> String {
        let rows = self.rows.iter().map(|(subject, samples)| {
            let of = |value: fn(&Sample) -> Option<f64>| {
                median(samples.iter().flatten().filter_map(value))
            };
            vec![
                subject.name().to_owned(),
                number(of(|s| Some(s.per_second)), 0),
                number(of(|s| Some(s.cpu_us)), 2),
                number(of(|s| Some(s.busy)), 2),
                number(of(|s| s.p50_us), 0),
                number(of(|s| s.p99_us), 0),
                number(self.ratio(*subject, |s| Some(s.cpu_us)), 2),
                number(self.ratio(*subject, |s| Some(s.per_second)), 2),
                number(self.ratio(*subject, |s| s.p99_us), 2),
            ]
        });
        let header = [
            "balancer",
            "requests/s",
            "CPU us/request",
            "of a core",
            "p50 us",
            "p99 us",
            "CPU ratio",
            "rate ratio",
            "p99 ratio",
        ];
        let mut text = aligned(&header, rows.collect());
        if !self.agreed.is_empty() {
            text += &format!("\nAgreed on with {}.\n", self.agreed.join("; with "));
        }
        text
    }

    /// What Bandy set itself, beside HAProxy and nginx.
    fn goals(&self) -> Vec<Goal> {
        use Balancer::{Haproxy, Nginx};
        let cpu = |peer, limit| {
            let measured = self.ratio(peer, |s| Some(s.cpu_us));
            self.goal("CPU", peer, Unit::Ratio, limit, measured)
        };
        let throughput = |peer| {
            let measured = self.ratio(peer, |s| Some(s.per_second));
            self.goal("requests/s", peer, Unit::RatioAtLeast, 1.1, measured)
        };
        let p99 = |peer| {
            let measured = self.ratio(peer, |s| s.p99_us);
            self.goal("p99", peer, Unit::Ratio, 1.0, measured)
        };
        match self.setting.name {
            "100k" => vec![cpu(Haproxy, 0.75)],
            "tls" => vec![cpu(Haproxy, 0.9)],
            "both-50" | "both-500" => [Haproxy, Nginx]
                .into_iter()
                .flat_map(|peer| [throughput(peer), p99(peer)])
                .collect(),
            _ => vec![cpu(Haproxy, 0.85), cpu(Nginx, 0.85)],
        }
    }

    fn goal(
        &self,
        what: &str,
        peer: Balancer,
        unit: Unit,
        limit: f64,
        measured: Option<f64>,
    ) -> Goal {
        Goal {
            what: format!("{}: {what} / {}'s", self.setting.title, peer.name()),
            limit,
            unit,
            measured,
        }
    }
}

fn idle_table(idle: &[(Balancer, Idle)]) -> String {
    let rows = idle.iter().map(|(subject, idle)| {
        vec![
            subject.name().to_owned(),
            number(Some(idle.opened), 0),
            number(Some(idle.answered), 0),
        ]
    });
    aligned(&["balancer", "never spoke", "spoke once"], rows.collect())
}

fn idle_goals(idle: &[(Balancer, Idle)]) -> Vec<Goal> {
    let Some((_, bandy)) = idle.iter().find(|(b, _)| *b == Balancer::Bandy) else {
        return Vec::new();
    };
    let goal = |what: &str, measured| Goal {
        what: format!("{IDLE_TITLE}: that {what}"),
        limit: 2560.0,
        unit: Unit::Bytes,
        measured: Some(measured),
    };
    vec![
        goal("never spoke", bandy.opened),
        goal("spoke once", bandy.answered),
    ]
}
