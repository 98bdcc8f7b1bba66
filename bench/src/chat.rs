//! Chat: a message to a full room, messages that are acknowledged when they are on disk, members who only listen.
//!
//! The server has one core, the generator the other. Every subject takes its turn in every round, afresh; a ratio is the median of
//! the rounds' own ratios.

mod appends;
mod crowd;
mod fanout;
mod idle;
mod report;
mod speech;
mod subject;

use anyhow::{Result, bail};

use self::fanout::FanOut;
use self::idle::Idle;
use self::report::Found;
use self::subject::Subject;
use crate::durable::Durable;
use crate::machine::Interrupt;
use crate::sample::Window;
use crate::stable::Stable;

/// As `--only` takes them, beside the subjects of the fan-out.
const APPENDS: &str = "appends";
const IDLE: &str = "idle";

pub struct Chat<'a> {
    pub stable: &'a Stable,
    pub rounds: usize,
    pub window: Window,
    pub is_quick: bool,
    /// So many connections there may be.
    pub connections: usize,
    pub only: &'a [String],
    pub interrupt: &'a Interrupt,
}

impl Chat<'_> {
    /// All of it, as Markdown; and whether nothing failed.
    pub fn run(&self) -> Result<(String, bool)> {
        let names = Subject::ALL.map(Subject::name);
        for name in self.only {
            if !names.contains(&name.as_str()) && ![APPENDS, IDLE].contains(&name.as_str()) {
                bail!(
                    "--only {name}: there is no such part; there are {}, {APPENDS}, {IDLE}",
                    names.join(", ")
                );
            }
        }
        let mut found = Found::new(self);
        let subjects: Vec<Subject> = Subject::ALL
            .into_iter()
            .filter(|subject| self.wants(subject.name()))
            .filter(|subject| match subject.missing() {
                Some(why) => {
                    eprintln!("{why}");
                    found.failures.push(why.to_owned());
                    false
                }
                None => true,
            })
            .collect();
        found.fan_out = subjects
            .into_iter()
            .map(|subject| (subject, Vec::new()))
            .collect();
        for round in 1..=self.rounds {
            for (subject, turns) in &mut found.fan_out {
                turns.push(self.fan_out(*subject, round, &mut found.failures)?);
            }
            if self.wants(APPENDS) {
                let turn = self.appends(round, &mut found.failures)?;
                found.appends.push(turn);
            }
        }
        if self.wants(IDLE) {
            found.idle = self.idle(&mut found.failures)?;
        }
        Ok((found.markdown(), found.failures.is_empty()))
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    fn fan_out(
        &self,
        subject: Subject,
        round: usize,
        failures: &mut Vec<String>,
    ) -> Result<Option<FanOut>> {
        let heading = format!("fan-out, round {round}/{}, {}", self.rounds, subject.name());
        let turn = fanout::measure(self.stable, subject, self.window, self.interrupt);
        self.said(&heading, turn, failures, |turn| {
            format!(
                "{:.0} deliveries/s, {:.0} each CPU second, generator {:.2} of a core, p99 {:.1} ms at half",
                turn.peak.per_second,
                turn.per_cpu_second(),
                turn.generator,
                turn.p99_ms().unwrap_or_default()
            )
        })
    }

    fn appends(&self, round: usize, failures: &mut Vec<String>) -> Result<Option<Durable>> {
        let heading = format!("durable messages, round {round}/{}", self.rounds);
        let turn = appends::measure(self.stable, self.window, self.interrupt);
        self.said(&heading, turn, failures, |turn| {
            format!(
                "{:.0}/s, the disk alone {:.0}/s",
                turn.sample.per_second, turn.syncs_per_second
            )
        })
    }

    fn idle(&self, failures: &mut Vec<String>) -> Result<Option<Idle>> {
        let members = if self.is_quick { 1_000 } else { 10_000 }.min(self.connections);
        let done = idle::measure(self.stable, members, self.interrupt);
        self.said("idle members", done, failures, |idle| {
            format!("{:.0} bytes each of {}", idle.each, idle.members)
        })
    }

    /// Says how it went; what failed is noted, and the others go on.
    fn said<T>(
        &self,
        heading: &str,
        outcome: Result<T>,
        failures: &mut Vec<String>,
        words: impl Fn(&T) -> String,
    ) -> Result<Option<T>> {
        self.interrupt.check()?;
        match outcome {
            Ok(done) => {
                eprintln!("{heading}: {}", words(&done));
                Ok(Some(done))
            }
            Err(error) => {
                eprintln!("{heading}: failed: {error:#}");
                failures.push(format!("{heading}: {error:#}"));
                Ok(None)
            }
        }
    }
}
