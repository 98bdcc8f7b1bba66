//! What is seen while a run goes on, on a terminal; and what ends it early.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::Duration;

use bandy::error::{Error, Kind, Side};
use bandy::load::record::Slice;
use bandy::load::tally::Requests;
use bandy::load::{Expect, Pace, Plan, Run, SoFar, Told};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::show::{count, ms, sparkline};
use crate::report;

/// Ctrl-C, noticed once.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for it from now on; the second one ends the program as the system does.
    ///
    /// # Errors
    /// What the system says.
    pub fn watch() -> Result<Interrupt, Error> {
        let came = Arc::new(AtomicBool::new(false));
        let tell = came.clone();
        let (ready, watching) = channel();
        let watch = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let Ok(mut signals) = signal(SignalKind::interrupt()) else {
                    return;
                };
                // From here on it is noticed, and not before.
                let _ = ready.send(());
                while signals.recv().await.is_some() {
                    if tell.swap(true, Relaxed) {
                        let pid = rustix::process::getpid();
                        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name("bandy-interrupt".to_owned())
            .spawn(watch)
            .map_err(|e| Error::new(Kind::Io, Side::Local, "starting a thread").because(e))?;
        // Without it Ctrl-C does what the system does by itself.
        let _ = watching.recv();
        Ok(Interrupt(came))
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// How a run is watched.
pub struct Watch<'a> {
    /// What it is called among others.
    pub label: Option<&'a str>,
    /// What ends it as soon as it is not met.
    pub expect: &'a [Expect],
    pub interrupt: &'a Interrupt,
}

/// How often what is seen is drawn anew.
const EVERY: Duration = Duration::from_millis(100);
/// A threshold is held against no less of a run than this.
const EARLIEST: Duration = Duration::from_secs(1);

/// Follows a run to its end.
pub fn follow(run: &mut Run, plan: &Plan, watch: &Watch<'_>) {
    let stopper = run.stopper();
    let mut seen = Seen::default();
    let screen = Screen::open(plan, watch.label);
    while let Ok(told) = run.next(EVERY) {
        if let Some(told) = told {
            seen.take(told);
        }
        if watch.interrupt.came() {
            stopper.stop();
        }
        if seen.elapsed >= EARLIEST && !seen.is_ended {
            let unmet = watch.expect.iter().find_map(|e| seen.unmet(plan, e));
            if let Some(text) = unmet {
                seen.is_ended = true;
                stopper.stop();
                report::note(&text);
            }
        }
        if let Some(screen) = &screen {
            screen.draw(&seen);
        }
    }
    if let Some(screen) = screen {
        screen.bar.finish_and_clear();
    }
}

/// What a run has told so far.
#[derive(Debug, Default)]
struct Seen {
    lanes: Vec<Requests>,
    slices: Vec<Slice>,
    elapsed: Duration,
    is_ended: bool,
}

impl Seen {
    fn take(&mut self, told: Told) {
        while self.lanes.len() <= told.lane {
            self.lanes.push(Requests::default());
        }
        if let Some(lane) = self.lanes.get_mut(told.lane) {
            *lane = told.requests;
        }
        self.elapsed = self.elapsed.max(told.elapsed);
        for slice in told.slices {
            while self.slices.len() <= slice.index {
                self.slices.push(Slice::new(self.slices.len()));
            }
            if let Some(all) = self.slices.get_mut(slice.index) {
                all.add(&slice);
            }
        }
    }

    fn sum(&self, pick: fn(&Requests) -> u64) -> u64 {
        self.lanes.iter().map(pick).sum()
    }

    /// Why a threshold is not met, as far as one can tell now.
    fn unmet(&self, plan: &Plan, expect: &Expect) -> Option<String> {
        let so_far = SoFar {
            plan,
            slices: &self.slices,
            failed: self.sum(|r| r.failed) + self.sum(|r| r.timed_out),
        };
        let checked = expect.check_early(&so_far)?;
        (!checked.is_met).then(|| {
            format!(
                "ended early: expected {expect}, and it is {}",
                checked.measured
            )
        })
    }
}

/// A few lines that are drawn over and over.
struct Screen {
    bar: ProgressBar,
    is_open: bool,
}

impl Screen {
    fn open(plan: &Plan, label: Option<&str>) -> Option<Screen> {
        if !stderr().is_terminal() {
            return None;
        }
        let length = plan.stop.after.map(|after| after.as_millis() as u64);
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(10));
        let template = match length {
            Some(_) => "{prefix}[{bar:40}] {msg}",
            None => "{prefix}{spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_prefix(label.map_or(String::new(), |label| format!("{label:<18} ")));
        Some(Screen {
            bar,
            is_open: matches!(plan.pace, Pace::Open { .. }),
        })
    }

    fn draw(&self, seen: &Seen) {
        let (done, bad) = (
            seen.sum(|r| r.done),
            seen.sum(|r| r.failed) + seen.sum(|r| r.timed_out),
        );
        // The latest slice that every loop has told.
        let recent = seen.slices.iter().rev().nth(1).or(seen.slices.last());
        let at = |quantile| {
            let nanos = recent.and_then(|slice| slice.quantile(quantile));
            nanos.map_or("-".to_owned(), |nanos| ms(nanos as f64 / 1e6))
        };
        let rate = done as f64 / seen.elapsed.as_secs_f64().max(0.001);
        let rates: Vec<Option<f64>> = seen.slices.iter().map(|s| Some(s.done as f64)).collect();
        let tails: Vec<Option<f64>> = seen
            .slices
            .iter()
            .map(|s| s.quantile(0.99).map(|n| n as f64))
            .collect();
        self.bar.set_position(seen.elapsed.as_millis() as u64);
        let waiting = match self.is_open {
            true => format!("   in flight {}", count(seen.sum(|r| r.in_flight) as f64)),
            false => String::new(),
        };
        self.bar.set_message(format!(
            "{:.1} s\n  rate     {:>12} /s   {}\n  latency  p50 {} ms, p99 {} ms   {}\n  requests {:>12} done, {} failed{waiting}",
            seen.elapsed.as_secs_f64(),
            count(rate.round()),
            sparkline(&rates),
            at(0.5),
            at(0.99),
            sparkline(&tails),
            count(done as f64),
            count(bad as f64),
        ));
    }
}
