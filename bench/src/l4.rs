//! Streams through a balancer: what passing a message on costs, and what a MiB of bulk.
//!
//! The backend is the C echo, on the generator's core; the balancer has the other one to itself. Every balancer takes its turn in
//! every round (A B A B ...), afresh, and a ratio is the median of the rounds' own ratios. CPU is counted over the balancer's
//! whole process tree, in both directions of both connections.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::goals::{Goal, Unit};
use crate::idle::{self, Speech};
use crate::machine::{self, Interrupt, Placement};
use crate::page::Page;
use crate::running::{Ready, Running};
use crate::sample::{Window, median, paired_ratio};
use crate::stable::{Stable, write};
use crate::subject::{Role, Server, Subject};
use crate::tables::{aligned, number};
use crate::{bulk, tables, tcp};

/// What both of the others are told.
const BUFFERS: &str = "buffers of 64 KiB";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Balancer {
    Bandy,
    Haproxy,
    /// With `option splice-auto`, which is not its default.
    HaproxySplice,
    Nginx,
}

impl Balancer {
    const ALL: [Balancer; 4] = [
        Balancer::Bandy,
        Balancer::Haproxy,
        Balancer::HaproxySplice,
        Balancer::Nginx,
    ];

    fn name(self) -> &'static str {
        match self {
            Balancer::Bandy => "bandy",
            Balancer::Haproxy => "haproxy",
            Balancer::HaproxySplice => "haproxy-splice",
            Balancer::Nginx => "nginx-stream",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Balancer::Bandy => true,
            Balancer::Haproxy | Balancer::HaproxySplice => machine::is_installed("haproxy", "-v"),
            Balancer::Nginx => machine::is_installed("nginx", "-v"),
        }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Messages(tcp::Setting),
    /// So many bytes there and back, through one connection.
    Bulk(u64),
    /// So many connections that say nothing any more.
    Idle(usize),
}

impl Work {
    fn title(self) -> String {
        match self {
            Work::Messages(setting) => {
                format!("{} B, {} connections", setting.bytes, setting.connections)
            }
            Work::Bulk(bytes) => format!("bulk, {} MiB each way", bytes >> 20),
            Work::Idle(connections) => format!("{connections} idle connections"),
        }
    }

    /// What it is called on the command line.
    fn name(self) -> &'static str {
        match self {
            Work::Messages(tcp::Setting { bytes: 1024.., .. }) => "16k",
            Work::Messages(tcp::Setting {
                connections: 1_000..,
                ..
            }) => "64b-1000",
            Work::Messages(_) => "64b-50",
            Work::Bulk(_) => "bulk",
            Work::Idle(_) => "idle",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Work::Messages(_) => "us CPU/message",
            Work::Bulk(_) => "us CPU/MiB",
            Work::Idle(_) => "KiB/connection",
        }
    }
}

/// What one turn gave: the cost, and how much went through in a second.
#[derive(Clone, Copy)]
struct Turn {
    cost: f64,
    rate: f64,
    /// How much of a core it had.
    busy: Option<f64>,
    p99_us: Option<f64>,
}

/// A balancer's rounds; `None` where one failed.
type Turns = Vec<(Balancer, Vec<Option<Turn>>)>;

pub struct L4<'a> {
    pub stable: &'a Stable,
    pub rounds: usize,
    pub window: Window,
    pub is_quick: bool,
    /// Only these balancers, and these rows; all where there is none.
    pub only: &'a [String],
    pub rows: &'a [String],
    pub interrupt: &'a Interrupt,
}

impl L4<'_> {
    /// The names of all rows.
    pub fn row_names() -> impl Iterator<Item = &'static str> {
        L4::works(false).into_iter().map(Work::name)
    }

    fn works(is_quick: bool) -> [Work; 5] {
        let message = |connections, bytes| Work::Messages(tcp::Setting { connections, bytes });
        let bulk = if is_quick { 64 << 20 } else { 2 << 30 };
        [
            message(50, 64),
            message(1_000, 64),
            message(50, 16 << 10),
            Work::Bulk(bulk),
            Work::Idle(if is_quick { 500 } else { 4_000 }),
        ]
    }

    /// Measures, and says so in Markdown; and whether nothing failed.
    pub fn run(&self) -> Result<(String, bool)> {
        let is_wanted = |list: &[String], name| list.is_empty() || list.iter().any(|n| n == name);
        let balancers: Vec<Balancer> = Balancer::ALL
            .into_iter()
            .filter(|balancer| is_wanted(self.only, balancer.name()))
            .collect();
        let versions = balancers.iter().map(|b| {
            let version = match b.is_installed() {
                true => self.version(*b),
                false => "not installed".to_owned(),
            };
            (b.name(), version)
        });
        let mut page = Page::new("Streams through a balancer", versions.collect());
        page.rounds(
            self.rounds,
            self.window.count,
            self.stable.cores_are_apart(),
        );
        let mut failures = Vec::new();
        let mut goals = Vec::new();
        let works = L4::works(self.is_quick);
        for work in works
            .into_iter()
            .filter(|work| is_wanted(self.rows, work.name()))
        {
            let turns = self.turns(work, &balancers, &mut failures)?;
            page.section(&work.title(), &table(work, &turns));
            goals.extend(goal(work, &turns));
        }
        page.section("Goals", &tables::goals(&goals));
        page.failures(&failures);
        Ok((page.text(), failures.is_empty()))
    }

    fn version(&self, balancer: Balancer) -> String {
        match balancer {
            Balancer::Bandy => match self.stable.bandy_itself() {
                Ok(bandy) => {
                    machine::version(&bandy.get_program().to_string_lossy(), &["--version"], "")
                }
                Err(_) => "left out".to_owned(),
            },
            Balancer::Haproxy | Balancer::HaproxySplice => {
                let version = machine::version("haproxy", &["-v"], "HAProxy version");
                format!("{version}; {BUFFERS}")
            }
            Balancer::Nginx => format!("{}; {BUFFERS}", machine::version("nginx", &["-v"], "")),
        }
    }

    /// All rounds of a work.
    fn turns(
        &self,
        work: Work,
        balancers: &[Balancer],
        failures: &mut Vec<String>,
    ) -> Result<Turns> {
        let installed = balancers.iter().filter(|balancer| balancer.is_installed());
        let mut all: Turns = installed.map(|balancer| (*balancer, Vec::new())).collect();
        for round in 1..=self.rounds {
            for (balancer, turns) in &mut all {
                let name = balancer.name();
                let heading = format!("{}, round {round}/{}, {name}", work.title(), self.rounds);
                let turn = self.turn(*balancer, work);
                self.interrupt.check()?;
                match &turn {
                    Ok(turn) => eprintln!("{heading}: {:.2} {}", turn.cost, work.unit()),
                    Err(error) => {
                        eprintln!("{heading}: failed: {error:#}");
                        failures.push(format!("{heading}: {error:#}"));
                    }
                }
                turns.push(turn.ok());
            }
        }
        Ok(all)
    }

    fn turn(&self, balancer: Balancer, work: Work) -> Result<Turn> {
        let beside = Subject {
            server: Server::CEpoll,
            placement: Placement::Generators,
        };
        let backend = self.stable.start(beside, Role::TcpEcho)?;
        let server = self.start(balancer, backend.address.port())?;
        match work {
            Work::Messages(setting) => {
                let sample = tcp::measure(&server, setting, self.window, self.interrupt)?;
                Ok(Turn {
                    cost: sample.cpu_us,
                    rate: sample.per_second,
                    busy: Some(sample.busy),
                    p99_us: sample.p99_us,
                })
            }
            Work::Bulk(bytes) => {
                let done = bulk::measure(&server, bytes, self.interrupt)?;
                // There and back.
                let mib = 2.0 * bytes as f64 / f64::from(1 << 20);
                Ok(Turn {
                    cost: done.cpu_seconds * 1e6 / mib,
                    rate: mib / done.seconds,
                    busy: Some(done.cpu_seconds / done.seconds),
                    p99_us: None,
                })
            }
            Work::Idle(connections) => {
                let idle = idle::measure(&server, Speech::Echo, connections, self.interrupt)?;
                Ok(Turn {
                    cost: idle.answered / 1024.0,
                    rate: connections as f64,
                    busy: None,
                    p99_us: None,
                })
            }
        }
    }

    fn start(&self, balancer: Balancer, backend: u16) -> Result<Running> {
        self.stable
            .start_with(balancer.name(), Placement::OneCore, |dir, port| {
                Ok(match balancer {
                    Balancer::Bandy => {
                        let mut command = self.stable.bandy_itself()?;
                        command.args(["balance", "tcp://127.0.0.1:0", "--to"]);
                        command.arg(format!("tcp://127.0.0.1:{backend}"));
                        (command, Ready::SaysSo)
                    }
                    Balancer::Haproxy => (haproxy(dir, port, backend, "")?, Ready::AcceptsAt(port)),
                    Balancer::HaproxySplice => {
                        let option = "    option splice-auto";
                        (haproxy(dir, port, backend, option)?, Ready::AcceptsAt(port))
                    }
                    Balancer::Nginx => (nginx(dir, port, backend)?, Ready::AcceptsAt(port)),
                })
            })
    }
}

fn haproxy(dir: &Path, port: u16, backend: u16, option: &str) -> Result<Command> {
    let text = include_str!("../peers/l4-haproxy.cfg")
        .replace("@PORT@", &port.to_string())
        .replace("@BACKEND@", &backend.to_string())
        .replace("@OPTION@", option);
    let conf = dir.join("l4-haproxy.cfg");
    write(&conf, &text)?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(conf);
    Ok(command)
}

fn nginx(dir: &Path, port: u16, backend: u16) -> Result<Command> {
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = match Path::new(module).exists() {
        true => format!("load_module {module};"),
        // It is built in, or the start says that it is not.
        false => String::new(),
    };
    let is_root = rustix::process::geteuid().is_root();
    let text = include_str!("../peers/l4-nginx.conf")
        .replace("@MODULE@", &load)
        .replace("@USER@", if is_root { "user root;" } else { "" })
        .replace("@PREFIX@", &dir.to_string_lossy())
        .replace("@PORT@", &port.to_string())
        .replace("@BACKEND@", &backend.to_string());
    let conf = dir.join("l4-nginx.conf");
    write(&conf, &text)?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-p"]).arg(dir);
    command.arg("-c").arg(conf);
    Ok(command)
}

fn table(work: Work, turns: &Turns) -> String {
    let rate = match work {
        Work::Messages(_) => "messages/s",
        Work::Bulk(_) => "MiB/s",
        Work::Idle(_) => "connections",
    };
    let rows = turns.iter().map(|(balancer, all)| {
        let of = |what: fn(&Turn) -> Option<f64>| median(all.iter().flatten().filter_map(what));
        vec![
            balancer.name().to_owned(),
            number(of(|turn| Some(turn.cost)), 2),
            number(ratio(turns, *balancer), 2),
            number(of(|turn| Some(turn.rate)), 0),
            number(of(|turn| turn.busy), 2),
            number(of(|turn| turn.p99_us), 0),
        ]
    });
    let header = [
        "balancer",
        work.unit(),
        "ratio",
        rate,
        "of a core",
        "p99 us",
    ];
    aligned(&header, rows.collect())
}

/// What Bandy takes of what a peer takes, paired by round.
fn ratio(turns: &Turns, peer: Balancer) -> Option<f64> {
    let costs = |balancer| {
        let (_, turns) = turns.iter().find(|(b, _)| *b == balancer)?;
        let costs = turns.iter().map(|turn| turn.as_ref().map(|turn| turn.cost));
        Some(costs.collect::<Vec<_>>())
    };
    paired_ratio(&costs(Balancer::Bandy)?, &costs(peer)?)
}

fn goal(work: Work, turns: &Turns) -> Option<Goal> {
    let goal = |what: &str, limit, unit, measured| {
        let what = format!("{}: {what}", work.title());
        Some(Goal {
            what,
            limit,
            unit,
            measured,
        })
    };
    let of_haproxys = ratio(turns, Balancer::Haproxy);
    match work {
        Work::Messages(setting) if setting.bytes > 1024 => None,
        Work::Messages(_) => goal("CPU / haproxy's", 0.9, Unit::Ratio, of_haproxys),
        Work::Bulk(_) => goal("CPU / haproxy's", 0.5, Unit::Ratio, of_haproxys),
        Work::Idle(_) => {
            let bandy = turns.iter().find(|(b, _)| *b == Balancer::Bandy);
            let costs = bandy.into_iter().flat_map(|(_, turns)| turns).flatten();
            let bytes = median(costs.map(|turn| turn.cost * 1024.0));
            goal("bytes each", 2560.0, Unit::Bytes, bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_ratios_of_rounds() {
        let turn = |cost| {
            Some(Turn {
                cost,
                rate: 1.0,
                busy: None,
                p99_us: None,
            })
        };
        let work = Work::Bulk(1 << 20);
        let turns = vec![
            (Balancer::Bandy, vec![turn(1.0), turn(2.0), None]),
            (Balancer::Haproxy, vec![turn(4.0), turn(4.0), turn(9.0)]),
        ];
        let goal = goal(work, &turns).expect("bulk has a goal");
        assert_eq!((goal.measured, goal.verdict()), (Some(0.375), "met"));
        let text = table(work, &turns);
        assert!(text.contains("1.50 |  1.00 |"), "{text}");
    }
}
