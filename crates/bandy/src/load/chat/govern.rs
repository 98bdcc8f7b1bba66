//! The event loop of a chat's members: everybody comes in, messages are given out as they are due, and at the end what
//! is on its way is waited for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::Room;
use super::account::Attended;
use super::board::{self, Board};
use super::member::{Part as MemberPart, attend};
use crate::error::{Error, Kind, Result, Side};
use crate::load::outcome::Generator;
use crate::load::pace::{Arrivals, Pace, Rate, Schedule, share};
use crate::load::run::{Common, Part, SWEEP, Told, cpu_time, nobody, run_queue};
use crate::load::talk::Line;
use crate::load::timer::Timer;

/// Members of one event loop that come in at a time: a crowd at the door is another test than this one.
const AT_THE_DOOR: usize = 32;

pub(in crate::load) async fn govern(
    common: &Arc<Common>,
    room: &Room,
    index: usize,
    loops: usize,
    tell: &SyncSender<Told>,
) -> Result<Part> {
    let plan = &common.plan;
    let members = share(plan.connections as u64, index, loops) as usize;
    let schedule = match &plan.pace {
        Pace::Open { rate, arrivals } => {
            Schedule::new(rate, *arrivals, index, loops, plan.stop.requests)
        }
        // Nobody waits for an answer before somebody else speaks.
        Pace::Closed => Schedule::new(
            &Rate::constant(1.0),
            Arrivals::Constant,
            index,
            loops,
            plan.stop.requests,
        ),
    };
    let name = (common.run, index as u16);
    board::put(Board::new(name, schedule, members, plan.slice()));
    let mut timer =
        Timer::new().map_err(|e| Error::new(Kind::Io, Side::Local, "making a timer").because(e))?;
    let part = Arc::new(MemberPart {
        line: Line {
            to: plan.to.clone(),
            dialer: common.dialer.clone(),
        },
        room: room.clone(),
        timeout: plan.timeout,
        shared: common.chat.clone(),
        door: Semaphore::new(AT_THE_DOOR),
    });
    for seat in 0..members {
        let common = common.clone();
        tokio::spawn(attend(seat, part.clone(), move |tried| common.tried(tried)));
    }
    std::future::poll_fn(|cx| come_in(common, members, &mut timer, cx)).await;
    common.ready.wait().await;
    if common.stopped.load(Relaxed) {
        return Err(Error::new(Kind::Other, Side::Local, "starting a run")
            .because("it was stopped before everybody was in the room"));
    }
    if common.connected.load(Relaxed) == 0
        && let Some(failure) = common.first_failure()
    {
        return Err(nobody(plan, &failure));
    }

    let origin = *common.origin.get_or_init(Instant::now);
    let (cpu, waited) = (cpu_time(), run_queue());
    board::with(|board| board.begin(origin));
    let mut turn = Turn {
        common,
        index,
        tell,
        origin,
        sweep: 0,
        told: 0,
        drain: None,
        is_resolved: false,
    };
    let is_cut = std::future::poll_fn(|cx| turn.poll(&mut timer, cx)).await;
    let wall = board::with(|board| board.now());
    let generator = Generator {
        loops: 1,
        wall: Duration::from_nanos(wall),
        cpu: cpu_time().saturating_sub(cpu),
        waited: run_queue().saturating_sub(waited),
        busiest: 0.0,
    };
    let missing = || Error::new(Kind::Other, Side::Local, "running an event loop");
    let mut board = board::take().ok_or_else(missing)?;
    // What was waited for in vain belongs to no rate.
    let ended = turn.drain.map_or(wall, |drain| drain.ended.max(board.last));
    board.recorder.turn(ended);
    let attended = Attended::of(&mut board, is_cut);
    Ok(Part {
        recorder: board.recorder,
        ended,
        generator: generator.rated(),
        chat: Some(attended),
    })
}

/// Until all have joined, or tried.
fn come_in(common: &Common, members: usize, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<()> {
    let are_all = board::with(|board| {
        board.governor = Some(cx.waker().clone());
        board.tried >= members
    });
    match are_all || common.stopped.load(Relaxed) {
        true => Poll::Ready(()),
        false => match timer.poll_until(Instant::now() + SWEEP, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        },
    }
}

/// A run as it goes.
struct Turn<'a> {
    common: &'a Common,
    index: usize,
    tell: &'a SyncSender<Told>,
    origin: Instant,
    /// When it is looked at next.
    sweep: u64,
    told: usize,
    /// Nothing is given out any more.
    drain: Option<Drain>,
    is_resolved: bool,
}

#[derive(Debug, Clone, Copy)]
struct Drain {
    ended: u64,
    until: u64,
}

impl Turn<'_> {
    /// Ready when it is over: whether it was cut off.
    fn poll(&mut self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<bool> {
        let stop = self.common.plan.stop;
        let end = stop.after.map(|after| after.as_nanos() as u64);
        loop {
            let (now, next) = board::with(|board| {
                board.governor = Some(cx.waker().clone());
                let now = board.now();
                if self.drain.is_none() {
                    board.deal(now, end);
                }
                (now, board.schedule.peek())
            });
            let is_stopped = self.common.stopped.load(Relaxed);
            let is_done = end.is_some_and(|end| now >= end) || next.is_none() || is_stopped;
            if is_done && self.drain.is_none() {
                let patience = self.common.plan.timeout.as_nanos() as u64;
                let ended = end.map_or(now, |end| end.min(now));
                self.drain = Some(Drain {
                    ended,
                    until: now.saturating_add(patience),
                });
            }
            if now >= self.sweep {
                self.sweep = now + SWEEP.as_nanos() as u64;
                self.look(now);
            }
            if let Some(drain) = self.drain
                && (is_stopped || now >= drain.until || self.is_settled())
            {
                board::with(Board::finish);
                return Poll::Ready(is_stopped);
            }
            let due = next.filter(|_| self.drain.is_none());
            let times = [due, Some(self.sweep), end.filter(|end| *end > now)];
            let next = times.into_iter().flatten().min().unwrap_or(self.sweep);
            match timer.poll_until(self.origin + Duration::from_nanos(next), cx) {
                Poll::Ready(()) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether there is nothing more to wait for: every message of every loop has its answer, and everybody here has
    /// heard all that are in the log.
    fn is_settled(&mut self) -> bool {
        let chat = &self.common.chat;
        if !self.is_resolved && board::with(|board| board.is_resolved()) {
            self.is_resolved = true;
            chat.resolved.fetch_add(1, Relaxed);
        }
        let loops = self.common.loops;
        chat.resolved.load(Relaxed) >= loops
            && board::with(|board| board.all_heard(chat.logged.load(Relaxed)))
    }

    fn look(&mut self, now: u64) {
        board::with(|board| {
            board.recorder.turn(now);
            let told = Told {
                lane: self.index,
                slices: board
                    .recorder
                    .over
                    .get(self.told..)
                    .unwrap_or_default()
                    .to_vec(),
                requests: board.recorder.tally.requests,
                elapsed: Duration::from_nanos(now),
            };
            // Nobody may listen, and nobody is waited for.
            if self.tell.try_send(told).is_ok() {
                self.told = board.recorder.over.len();
            }
        });
    }
}
