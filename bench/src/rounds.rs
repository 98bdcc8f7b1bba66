//! Whose turn it is: every subject in every round, one server running at a time.

use anyhow::Result;

use crate::durable::{self, Durable};
use crate::http::{self, Wish};
use crate::machine::Interrupt;
use crate::report::{Once, Row, Table, Work};
use crate::running::Running;
use crate::sample::{Sample, Window};
use crate::stable::Stable;
use crate::subject::{Role, Server, Subject};
use crate::{tcp, udp};

/// All that every measurement needs.
pub struct Bench<'a> {
    pub stable: Stable,
    pub only: &'a [String],
    pub rounds: usize,
    pub window: Window,
    pub interrupt: Interrupt,
}

impl Bench<'_> {
    pub fn tables(&self, works: &[Work]) -> Result<Vec<Table>> {
        works.iter().map(|&work| self.table(work)).collect()
    }

    /// All rounds of one setting. A subject that fails loses that round and says why; the others go on.
    fn table(&self, work: Work) -> Result<Table> {
        let mut rows: Vec<Row> = self.subjects(work).into_iter().map(Row::new).collect();
        for round in 1..=self.rounds {
            for row in &mut rows {
                let outcome = self.turn(row.subject, work);
                self.interrupt.check()?;
                let heading = format!(
                    "{}, round {round}/{}, {}",
                    work.title(),
                    self.rounds,
                    row.subject.label()
                );
                match &outcome {
                    Ok(sample) => eprintln!(
                        "{heading}: {:.0}/s, {:.2} us CPU each",
                        sample.per_second, sample.cpu_us
                    ),
                    Err(error) => eprintln!("{heading}: failed: {error:#}"),
                }
                row.add(outcome.map_err(|error| format!("{heading}: {error:#}")));
            }
        }
        Ok(Table { work, rows })
    }

    fn turn(&self, subject: Subject, work: Work) -> Result<Sample> {
        match work {
            Work::Tcp(setting) => {
                let server = self.stable.start(subject, Role::TcpEcho)?;
                tcp::measure(&server, setting, self.window, &self.interrupt)
            }
            Work::Udp(setting) => {
                let server = self.stable.start(subject, Role::UdpEcho)?;
                udp::measure(&server, setting, self.window, &self.interrupt)
            }
            Work::Http(setting) => {
                let server = self.stable.start(subject, setting.role())?;
                let (window, interrupt) = (self.window, &self.interrupt);
                http::measure(&server, subject.server, setting, window, interrupt)
            }
        }
    }

    /// All rounds of durable writes: Bandy's, each beside what the disk did just before.
    pub fn durable(&self) -> Result<Vec<Result<Durable, String>>> {
        let mut done = Vec::new();
        if !self.takes_part(Server::Bandy) {
            return Ok(done);
        }
        for round in 1..=self.rounds {
            let heading = format!("durable writes, round {round}/{}", self.rounds);
            let outcome = self.durable_turn();
            self.interrupt.check()?;
            match &outcome {
                Ok(durable) => eprintln!(
                    "{heading}: {:.0}/s, the disk alone {:.0}/s",
                    durable.sample.per_second, durable.syncs_per_second
                ),
                Err(error) => eprintln!("{heading}: failed: {error:#}"),
            }
            done.push(outcome.map_err(|error| format!("{heading}: {error:#}")));
        }
        Ok(done)
    }

    fn durable_turn(&self) -> Result<Durable> {
        let web = &self.stable.web;
        let syncs_per_second = durable::syncs_per_second(&web.files(), &self.interrupt)?;
        let server = self.stable.start(Server::Bandy.on_one_core(), Role::Api)?;
        durable::measure(
            &server,
            &web.store(),
            &web.script("records.lua"),
            syncs_per_second,
            self.window,
            &self.interrupt,
        )
    }

    /// One look at each server that is fit for it: memory does not vary with the round.
    pub fn once<T>(
        &self,
        what: &str,
        role: Role,
        measure: impl Fn(&Running) -> Result<T>,
        fit: impl Fn(Server) -> bool,
    ) -> Result<Vec<Once<T>>> {
        let mut done = Vec::new();
        for server in Server::ALL
            .into_iter()
            .filter(|&server| fit(server) && self.takes_part(server))
        {
            eprintln!("{what}: {}", server.name());
            let subject = server.on_one_core();
            let outcome = self
                .stable
                .start(subject, role)
                .and_then(|running| measure(&running));
            self.interrupt.check()?;
            let outcome =
                outcome.map_err(|error| format!("{what}, {}: {error:#}", subject.label()));
            if let Err(error) = &outcome {
                eprintln!("failed: {error}");
            }
            done.push(Once { subject, outcome });
        }
        Ok(done)
    }

    fn subjects(&self, work: Work) -> Vec<Subject> {
        let on_one: &[Server] = match work {
            Work::Tcp(_) => &[
                Server::Bandy,
                Server::CEpoll,
                Server::Asyncio,
                Server::AsyncioTuned,
                Server::Threaded,
                Server::TokioMt,
                Server::Socat,
                Server::Ncat,
            ],
            Work::Udp(_) => &[Server::Bandy, Server::CUdp, Server::TokioUdp],
            Work::Http(setting) => match setting.wish {
                Wish::Sum => &[
                    Server::Bandy,
                    Server::Nginx,
                    Server::Axum,
                    Server::Node,
                    Server::Flask,
                ],
                Wish::SumOverH2 => &[Server::Bandy, Server::Nginx, Server::Axum],
                Wish::File(_) => &[Server::Bandy, Server::Nginx, Server::NginxCache],
                Wish::Profile => &[Server::Bandy, Server::BandyProfile],
            },
        };
        // On all cores only for latency: there the generator competes with the server, and both of these with each other's habits.
        let on_all: &[Server] = match work {
            Work::Tcp(setting) if setting.bytes == 64 => &[Server::Bandy, Server::TokioMt],
            _ => &[],
        };
        let ones = on_one.iter().map(|server| server.on_one_core());
        let alls = on_all.iter().map(|server| server.on_all_cores());
        ones.chain(alls)
            .filter(|subject| self.takes_part(subject.server))
            .filter(|subject| work.connections() <= subject.server.connections_max())
            .collect()
    }

    fn takes_part(&self, server: Server) -> bool {
        self.stable.has(server)
            && (self.only.is_empty() || self.only.iter().any(|name| name == server.name()))
    }
}
