//! Streams through a balancer: what passing a message on costs, and what a MiB of bulk.
//!
//! The backend is the C echo, on the generator's core; the balancer has the other one to itself. Every balancer takes its turn in
//! every round (A B A B ...), afresh, and a ratio is the median of the rounds' own ratios. CPU is counted over the balancer's
//! whole process tree, in both directions of both connections.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::idle::{self, Speech};
use crate::machine::{self, Interrupt, Placement};
use crate::running::{Ready, Running};
use crate::sample::{Window, median};
use crate::stable::{Stable, write};
use crate::subject::{Role, Server, Subject};
use crate::{bulk, tcp};

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

    fn version(self) -> String {
        match self {
            Balancer::Bandy => String::new(),
            Balancer::Haproxy | Balancer::HaproxySplice => {
                machine::version("haproxy", &["-v"], "HAProxy version")
            }
            Balancer::Nginx => machine::version("nginx", &["-v"], ""),
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

    fn unit(self) -> &'static str {
        match self {
            Work::Messages(_) => "us CPU/message",
            Work::Bulk(_) => "us CPU/MiB",
            Work::Idle(_) => "KiB/connection",
        }
    }

    /// The most that ours may be of HAProxy's.
    fn goal(self) -> Option<f64> {
        match self {
            Work::Messages(_) => Some(0.9),
            Work::Bulk(_) => Some(0.5),
            Work::Idle(_) => None,
        }
    }
}

/// What one turn gave: the cost, and how much went through in a second.
#[derive(Clone, Copy)]
struct Turn {
    cost: f64,
    rate: f64,
    p99_us: Option<f64>,
}

pub struct L4<'a> {
    pub stable: &'a Stable,
    pub rounds: usize,
    pub window: Window,
    pub is_quick: bool,
    pub only: &'a [String],
    pub interrupt: &'a Interrupt,
}

impl L4<'_> {
    /// Every work, as Markdown; and whether nothing failed.
    pub fn run(&self) -> Result<(String, bool)> {
        let message = |connections, bytes| Work::Messages(tcp::Setting { connections, bytes });
        let bulk = if self.is_quick { 64 << 20 } else { 2 << 30 };
        let works = [
            message(50, 64),
            message(1_000, 64),
            message(50, 16 << 10),
            Work::Bulk(bulk),
            Work::Idle(if self.is_quick { 500 } else { 4_000 }),
        ];
        let mut text = "## Streams through a balancer\n\n".to_owned();
        let balancers: Vec<Balancer> = Balancer::ALL
            .into_iter()
            .filter(|b| self.only.is_empty() || self.only.iter().any(|name| name == b.name()))
            .collect();
        for balancer in &balancers {
            let what = match balancer.is_installed() {
                true => balancer.version(),
                false => "not installed".to_owned(),
            };
            if !what.is_empty() {
                let _ = writeln!(text, "- {}: {what}", balancer.name());
            }
        }
        let mut is_whole = true;
        for work in works {
            let mut turns: Vec<(Balancer, Vec<Option<Turn>>)> = balancers
                .iter()
                .filter(|balancer| balancer.is_installed())
                .map(|balancer| (*balancer, Vec::new()))
                .collect();
            for round in 1..=self.rounds {
                for (balancer, turns) in &mut turns {
                    let name = balancer.name();
                    let heading =
                        format!("{}, round {round}/{}, {name}", work.title(), self.rounds);
                    let turn = self.turn(*balancer, work);
                    self.interrupt.check()?;
                    match &turn {
                        Ok(turn) => eprintln!("{heading}: {:.2} {}", turn.cost, work.unit()),
                        Err(error) => {
                            is_whole = false;
                            eprintln!("{heading}: failed: {error:#}");
                        }
                    }
                    turns.push(turn.ok());
                }
            }
            text.push_str(&table(work, &turns));
        }
        Ok((text, is_whole))
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
                    p99_us: None,
                })
            }
            Work::Idle(connections) => {
                let idle = idle::measure(&server, Speech::Echo, connections, self.interrupt)?;
                Ok(Turn {
                    cost: idle.answered / 1024.0,
                    rate: connections as f64,
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

fn table(work: Work, turns: &[(Balancer, Vec<Option<Turn>>)]) -> String {
    let mut text = format!("\n### {}\n\n", work.title());
    let rate = match work {
        Work::Messages(_) => "messages/s",
        Work::Bulk(_) => "MiB/s",
        Work::Idle(_) => "connections",
    };
    let _ = writeln!(
        text,
        "| balancer | {} | bandy's of it | {rate} | p99 us |\n|---|---:|---:|---:|---:|",
        work.unit()
    );
    let ours = turns.iter().find(|(b, _)| *b == Balancer::Bandy);
    for (balancer, all) in turns {
        let of = |what: fn(&Turn) -> f64| median(all.iter().flatten().map(what));
        let ratio = ours.and_then(|(_, ours)| {
            let pairs = ours.iter().zip(all);
            median(pairs.filter_map(|(our, other)| Some(our.as_ref()?.cost / other.as_ref()?.cost)))
        });
        let shown = |value: Option<f64>, digits: usize| match value {
            Some(value) => format!("{value:.digits$}"),
            None => "-".to_owned(),
        };
        let p99 = median(all.iter().flatten().filter_map(|turn| turn.p99_us));
        let mut verdict = shown(ratio, 2);
        if let (Balancer::Haproxy, Some(goal), Some(ratio)) = (*balancer, work.goal(), ratio) {
            let met = if ratio <= goal { "met" } else { "NOT met" };
            let _ = write!(verdict, " (goal {goal}: {met})");
        }
        let _ = writeln!(
            text,
            "| {} | {} | {verdict} | {} | {} |",
            balancer.name(),
            shown(of(|turn| turn.cost), 2),
            shown(of(|turn| turn.rate), 0),
            shown(p99, 0),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_whether_the_goal_is_met() {
        let turn = |cost| {
            Some(Turn {
                cost,
                rate: 1.0,
                p99_us: None,
            })
        };
        let work = Work::Bulk(1 << 20);
        let turns = [
            (Balancer::Bandy, vec![turn(1.0), turn(2.0), None]),
            (Balancer::Haproxy, vec![turn(4.0), turn(4.0), turn(9.0)]),
        ];
        let text = table(work, &turns);
        assert!(text.contains("| bandy | 1.50 | 1.00 | 1 | - |"), "{text}");
        let verdict = "| haproxy | 4.00 | 0.38 (goal 0.5: met) | 1 | - |";
        assert!(text.contains(verdict), "{text}");
    }
}
