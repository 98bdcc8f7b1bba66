//! What was found, as Markdown: tables, and the goals beside them.

use time::OffsetDateTime;

use super::appends::SENDERS;
use super::fanout::{FEW, FanOut, MEMBERS, SENDERS as SPEAKERS};
use super::idle::Idle;
use super::subject::Subject;
use super::{Chat, speech};
use crate::durable::Durable;
use crate::goals::{Goal, Unit, mebibytes};
use crate::machine;
use crate::sample::{Sample, median, paired_ratio};
use crate::tables::{self, aligned, number};

pub struct Found {
    head: String,
    pub fan_out: Vec<(Subject, Vec<Option<FanOut>>)>,
    pub appends: Vec<Option<Durable>>,
    pub idle: Option<Idle>,
    pub failures: Vec<String>,
}

impl Found {
    pub fn new(chat: &Chat<'_>) -> Found {
        let quick = if chat.is_quick {
            " (a quick run: not to be quoted)"
        } else {
            ""
        };
        let cores = if chat.stable.cores_are_apart() {
            "server on one core, generator on another"
        } else {
            "server and generator on one core, by turns"
        };
        let mut head = format!(
            "# Chat beside its peers\n\nWritten by `bandy-bench chat` on {}{quick}; README.md says what is measured and how far to trust it.\n\n\
             - Machine: {}; {cores}.\n- {} rounds, every subject in each; {} s a turn after {:.1} s of warm-up; medians, and medians of ratios paired by \
             round.\n- A ratio is bandy / peer: below 1 bandy needs less.\n",
            OffsetDateTime::now_utc().date(),
            machine::description(),
            chat.rounds,
            chat.window.count.as_secs_f64(),
            chat.window.warm_up.as_secs_f64(),
        );
        let peers = Subject::ALL.into_iter().filter(|peer| !peer.is_bandy());
        let versions = peers.filter_map(|peer| Some((peer.name(), peer.version()?)));
        for (name, version) in chat
            .stable
            .versions(false, false)
            .into_iter()
            .chain(versions)
        {
            head += &format!("- {name}: {version}.\n");
        }
        Found {
            head,
            fan_out: Vec::new(),
            appends: Vec::new(),
            idle: None,
            failures: Vec::new(),
        }
    }

    pub fn markdown(&self) -> String {
        let mut text = self.head.clone();
        if let Some(disturbance) = self.disturbance() {
            text += &format!("\n{disturbance}\n");
        }
        if !self.fan_out.is_empty() {
            text += &format!(
                "\n## Fan-out: one room, {MEMBERS} members, texts of {} bytes\n\n\
                 At the peak {SPEAKERS} senders have a message underway each, and say the next when everybody has heard it; few are \
                 {FEW}; the 50th and 99th percentile are at half of each one's own peak.\n\n{}",
                speech::TEXT,
                self.fan_out_table()
            );
        }
        if !self.appends.is_empty() {
            text += &format!(
                "\n## Durable messages, {SENDERS} senders, a room each\n\n{}",
                self.appends_table()
            );
        }
        if let Some(idle) = &self.idle {
            let row = vec![
                Subject::Bandy.name().to_owned(),
                idle.members.to_string(),
                number(Some(mebibytes(idle.base_bytes)), 1),
                number(Some(idle.each), 0),
            ];
            let header = ["subject", "members", "base MiB", "bytes each"];
            text += &format!(
                "\n## Idle members of one room\n\n{}",
                aligned(&header, vec![row])
            );
        }
        text += &format!("\n## Goals\n\n{}", tables::goals(&self.goals()));
        if !self.failures.is_empty() {
            text += "\n## Failed\n\n";
            for failure in &self.failures {
                text += &format!("- {failure}\n");
            }
        }
        text
    }

    fn fan_out_table(&self) -> String {
        let header = [
            "subject",
            "deliveries/s",
            "deliveries/CPU s",
            "CPU ns each",
            "of a core",
            "generator's",
            "p50 ms",
            "p99 ms",
            "CPU ratio",
            "few: CPU ns each",
            "few: CPU ratio",
        ];
        let row = |(subject, turns): &(Subject, Vec<Option<FanOut>>)| {
            let of = |what: &dyn Fn(&FanOut) -> Option<f64>| {
                median(turns.iter().flatten().filter_map(what))
            };
            let ratio = |of: fn(&FanOut) -> &Sample| match subject {
                Subject::Bandy => "1".to_owned(),
                peer => number(self.ratio(Subject::Bandy, *peer, of), 2),
            };
            vec![
                format!("{} ({})", subject.name(), subject.about()),
                number(of(&|turn| Some(turn.peak.per_second)), 0),
                number(of(&|turn| Some(turn.per_cpu_second())), 0),
                number(of(&|turn| Some(turn.peak.cpu_us * 1e3)), 0),
                number(of(&|turn| Some(turn.peak.busy)), 2),
                number(of(&|turn| Some(turn.generator)), 2),
                number(of(&|turn| turn.half.p50_us.map(|us| us / 1e3)), 2),
                number(of(&|turn| turn.p99_ms()), 2),
                ratio(|turn| &turn.peak),
                number(of(&|turn| Some(turn.few.cpu_us * 1e3)), 0),
                ratio(|turn| &turn.few),
            ]
        };
        aligned(&header, self.fan_out.iter().map(row).collect())
    }

    fn appends_table(&self) -> String {
        let header = [
            "subject",
            "acknowledged/s",
            "CPU us/message",
            "p50 ms",
            "p99 ms",
            "commits/s",
            "fsyncs/s of the disk alone",
            "after kill -9",
        ];
        let of = |what: fn(&Durable) -> Option<f64>| {
            median(self.appends.iter().flatten().filter_map(what))
        };
        let row = vec![
            Subject::BandyDurable.name().to_owned(),
            number(of(|turn| Some(turn.sample.per_second)), 0),
            number(of(|turn| Some(turn.sample.cpu_us)), 1),
            number(of(|turn| turn.sample.p50_us.map(|us| us / 1e3)), 2),
            number(of(|turn| turn.sample.p99_us.map(|us| us / 1e3)), 2),
            number(of(|turn| turn.commits_per_second), 0),
            number(of(|turn| Some(turn.syncs_per_second)), 0),
            // A round in which something was lost has failed.
            "all there".to_owned(),
        ];
        aligned(&header, vec![row])
    }

    fn goals(&self) -> Vec<Goal> {
        let ratio = |ours: Subject, peer: Subject| Goal {
            what: format!(
                "fan-out, CPU per delivery: {} / {}",
                ours.name(),
                peer.name()
            ),
            limit: 1.0,
            unit: Unit::Ratio,
            measured: self.ratio(ours, peer, |turn| &turn.peak),
        };
        let ours = self.turns(Subject::Bandy).unwrap_or_default();
        vec![
            ratio(Subject::Bandy, Subject::Ngircd),
            ratio(Subject::BandyIrc, Subject::Ngircd),
            ratio(Subject::Bandy, Subject::Redis),
            Goal {
                what: "fan-out, p99 of a delivery at half of the peak".to_owned(),
                limit: 50.0,
                unit: Unit::Milliseconds,
                measured: median(ours.iter().flatten().filter_map(FanOut::p99_ms)),
            },
            Goal {
                what: format!("durable messages, {SENDERS} senders, acknowledged"),
                limit: 5_000.0,
                unit: Unit::PerSecond,
                measured: median(
                    self.appends
                        .iter()
                        .flatten()
                        .map(|turn| turn.sample.per_second),
                ),
            },
            Goal {
                what: "an idle member of 10,000".to_owned(),
                limit: 16.0 * 1024.0,
                unit: Unit::Bytes,
                measured: self
                    .idle
                    .as_ref()
                    .filter(|idle| idle.members == 10_000)
                    .map(|idle| idle.each),
            },
        ]
    }

    fn turns(&self, subject: Subject) -> Option<&[Option<FanOut>]> {
        let (_, turns) = self.fan_out.iter().find(|(one, _)| *one == subject)?;
        Some(turns)
    }

    /// CPU for a delivery over a peer's, paired by round.
    fn ratio(&self, ours: Subject, peer: Subject, of: fn(&FanOut) -> &Sample) -> Option<f64> {
        let costs = |subject| -> Option<Vec<Option<f64>>> {
            let turns = self.turns(subject)?.iter();
            Some(
                turns
                    .map(|turn| turn.as_ref().map(|turn| of(turn).cpu_us))
                    .collect(),
            )
        };
        paired_ratio(&costs(ours)?, &costs(peer)?)
    }

    /// A machine that does something else meanwhile measures that too.
    fn disturbance(&self) -> Option<String> {
        let fan_out = self
            .fan_out
            .iter()
            .flat_map(|(_, turns)| turns.iter().flatten());
        let samples = fan_out
            .flat_map(|turn| [&turn.few, &turn.peak, &turn.half])
            .chain(self.appends.iter().flatten().map(|turn| &turn.sample));
        let others: Vec<f64> = samples.map(|sample: &Sample| sample.others).collect();
        let worst = others.iter().copied().fold(0.0, f64::max);
        let usual = median(others)?;
        let verdict = if usual <= 0.1 {
            "a quiet machine"
        } else {
            "**a busy machine: measure again**"
        };
        Some(format!(
            "Everything else used {usual:.2} cores (median; {worst:.2} at worst): {verdict}."
        ))
    }
}
