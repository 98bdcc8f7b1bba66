//! A conversation on a connection, from the first word to the last.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use super::answers::Answers;
use super::exchange::{Exchange, Turn};
use super::script::{Prompter, Script};
use super::times::Watch;
use super::{Ended, Event, Outcome, QUIET, Rules, SILENCE, Sink};
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::net::Conn;
use crate::net::conn::LINGER;

/// How long a stream's peer may take to close too once we have what we wanted. A close that meets unread bytes is a
/// reset, and could overtake what we said last.
const STREAM_LINGER: Duration = Duration::from_millis(300);

/// Converses, and closes. `outcome` is filled in.
pub(super) async fn converse(
    conn: Conn,
    script: Script,
    rules: &Rules,
    sink: &mut impl Sink,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    outcome: &mut Outcome,
) {
    let carries = conn.carries();
    let mut talk = Talk {
        rules,
        carries,
        answers: Answers::new(carries, rules.answers),
        prompter: Prompter::new(script, carries, rules.newline),
        exchange: Exchange::new(conn),
        watch: Watch::start(std::time::Instant::now()),
        is_said: false,
        sent_messages: 0,
        first: Vec::new(),
        sent_bytes: 0,
        received_bytes: 0,
        cut: None,
        sink,
    };
    let ended = match talk.run(&mut stop).await {
        Ok(ended) | Err(ended) => ended,
    };
    talk.watch
        .stop(&mut outcome.times, std::time::Instant::now());
    outcome.sent_bytes = talk.sent_bytes;
    outcome.received_bytes = talk.received_bytes;
    outcome.answers = talk.answers.came();
    outcome.unsaid = !talk.is_everything_said();
    let linger = match (&ended, carries) {
        (Ended::Failed(_) | Ended::Interrupted | Ended::Unheard, _) => Duration::ZERO,
        (_, Carries::Message) => LINGER + STREAM_LINGER,
        _ => STREAM_LINGER,
    };
    outcome.ended = ended;
    if !linger.is_zero() {
        tokio::select! {
            _ = timeout(linger, talk.exchange.into_conn().close()) => {}
            () = stop => {}
        }
    }
}

/// A conversation that goes on.
struct Talk<'a, S> {
    rules: &'a Rules,
    carries: Carries,
    answers: Answers,
    prompter: Prompter,
    exchange: Exchange,
    watch: Watch,
    /// The input's end was reached.
    is_said: bool,
    sent_messages: usize,
    /// The first bytes that came, enough to know a TLS alert by.
    first: Vec<u8>,
    sent_bytes: u64,
    received_bytes: u64,
    /// The peer reset the connection while we wrote. What it said before may still be read.
    cut: Option<Error>,
    sink: &'a mut S,
}

/// `Err` ends the conversation.
type Step<T = ()> = Result<T, Ended>;

impl<S: Sink> Talk<'_, S> {
    async fn run(&mut self, stop: &mut Pin<&mut impl Future<Output = ()>>) -> Step<Ended> {
        let connected = Event::Connected(self.exchange.conn());
        self.sink.event(connected).map_err(unheard)?;
        let mut sink_ready = false;
        // Since when the peer is waited for; `None` while it is not its turn.
        let mut waiting: Option<Instant> = None;
        let mut silent_since = Instant::now();
        loop {
            if let Some(ended) = self.goal() {
                return Ok(ended);
            }
            waiting = match self.is_peers_turn() && sink_ready {
                true => waiting.or_else(|| Some(Instant::now())),
                false => None,
            };
            let deadline = waiting.zip(self.patience()).map(|(since, t)| since + t);
            let silence = (self.rules.answers.is_some() && self.answers.is_begun() && sink_ready)
                .then(|| silent_since + SILENCE);
            let wants_input = !self.is_said && self.exchange.is_idle();
            let may_write = sink_ready || !self.sink.watches_sent();
            tokio::select! {
                ready = self.sink.ready(), if !sink_ready => {
                    ready.map_err(unheard)?;
                    sink_ready = true;
                }
                said = self.prompter.next(), if wants_input => {
                    match said.map_err(Ended::Failed)? {
                        Some(bytes) => self.exchange.say(bytes),
                        None => self.end_of_input()?,
                    }
                }
                turn = self.exchange.turn(sink_ready, may_write) => {
                    if matches!(turn, Ok(Turn::Read(_))) {
                        silent_since = Instant::now();
                        sink_ready = false;
                    } else if matches!(turn, Ok(Turn::Wrote(_))) && self.sink.watches_sent() {
                        sink_ready = false;
                    }
                    waiting = None;
                    self.take(turn)?;
                }
                () = at(silence) => {
                    self.answers.silence();
                    self.tell(Event::Silence)?;
                }
                () = at(deadline) => return Err(self.too_slow()),
                () = stop.as_mut() => return Ok(Ended::Interrupted),
            }
        }
    }

    /// Whether the conversation has what it wants.
    fn goal(&self) -> Option<Ended> {
        let is_out = self.is_said && (self.exchange.is_idle() || self.exchange.is_closed());
        match self.rules.answers {
            Some(0) => return is_out.then_some(Ended::Said),
            Some(_) => return self.answers.are_complete().then_some(Ended::Answers),
            None if !is_out || self.rules.half_open => return None,
            None => {}
        }
        let wanted = match self.carries {
            Carries::Stream | Carries::Request => return None,
            Carries::Datagram => 1,
            Carries::Message => self.sent_messages.max(1),
        };
        (self.answers.came() >= wanted).then_some(Ended::Answers)
    }

    /// Whether the next move is the peer's: to take what we say, or to answer.
    fn is_peers_turn(&self) -> bool {
        let is_writing = !self.exchange.is_idle() && !self.exchange.is_closed();
        let is_asked = self.rules.answers.is_some_and(|n| n > 0) && self.sent_bytes > 0;
        is_writing || self.is_said || is_asked
    }

    /// How long the peer may take for its move.
    fn patience(&self) -> Option<Duration> {
        match self.rules.timeout {
            None if self.is_a_persons_goodbye() => Some(QUIET),
            timeout => timeout,
        }
    }

    /// Where nothing tells the peer that no more is asked, its silence has to do.
    fn is_a_persons_goodbye(&self) -> bool {
        self.rules.interactive
            && self.is_said
            && self.carries != Carries::Stream
            && !self.rules.half_open
    }

    fn too_slow(&self) -> Ended {
        if self.is_a_persons_goodbye() {
            return Ended::Said;
        }
        let peer = self.exchange.conn().peer();
        let waited = self.patience().unwrap_or_default();
        let is_writing = !self.exchange.is_idle() && !self.exchange.is_closed();
        let (act, why) = match is_writing {
            true => (
                format!("writing to {peer}"),
                format!("it took nothing for {waited:?}"),
            ),
            false => (
                format!("waiting for {peer}"),
                format!("nothing came for {waited:?}"),
            ),
        };
        let hint = match (self.received_bytes, is_writing) {
            (0, _) | (_, true) => "--timeout waits longer",
            _ => "--answers N ends after N answers, --timeout waits longer",
        };
        let error = Error::new(Kind::TimedOut, Side::Upstream, act);
        Ended::Failed(error.because(why).hint(hint))
    }

    fn end_of_input(&mut self) -> Step {
        self.is_said = true;
        if self.carries == Carries::Datagram && self.sent_messages == 0 {
            // A datagram server hears of a client only by what it sends.
            if self.rules.interactive || self.rules.answers == Some(0) {
                return Err(Ended::Said);
            }
            let act = format!("asking {}", self.exchange.conn().endpoint());
            let error = Error::new(Kind::Usage, Side::Local, act)
                .because("the input is empty, and without a datagram nobody can answer")
                .hint("give an item, or `\"\"` for an empty datagram");
            return Err(Ended::Failed(error));
        }
        if self.rules.half_open {
            self.watch.said(std::time::Instant::now());
        } else {
            self.exchange.finish();
            if self.exchange.is_closed() {
                self.watch.said(std::time::Instant::now());
            }
        }
        Ok(())
    }

    fn take(&mut self, turn: Result<Turn>) -> Step {
        match turn {
            Ok(Turn::Wrote(said)) => {
                self.sent_bytes += said.len() as u64;
                if self.carries != Carries::Stream {
                    self.sent_messages += 1;
                }
                self.tell(Event::Sent(&said))
            }
            Ok(Turn::Flushed) => Ok(()),
            Ok(Turn::Finished) => {
                self.watch.said(std::time::Instant::now());
                Ok(())
            }
            Ok(Turn::Refused { is_reset, cause }) => {
                self.cut = is_reset.then_some(cause);
                Ok(())
            }
            Ok(Turn::Read(came)) => self.received(came),
            Ok(Turn::Ended) => {
                let cut = self.cut.take();
                Err(self.peer_ended(cut))
            }
            Err(e) if e.kind() == Kind::Closed => Err(self.peer_ended(Some(e))),
            // A datagram socket hears of it only by sending.
            Err(e) if e.kind() == Kind::NotConnected => {
                Err(Ended::Failed(e.hint("is a server listening there?")))
            }
            Err(e) => Err(Ended::Failed(e)),
        }
    }

    fn received(&mut self, mut came: Bytes) -> Step {
        self.watch.received(std::time::Instant::now());
        came.truncate(self.answers.feed(&came));
        let room = ALERT_BYTES + 1 - self.first.len();
        self.first.extend_from_slice(&came[..came.len().min(room)]);
        self.received_bytes += came.len() as u64;
        match self.rules.answers {
            Some(0) => Ok(()),
            _ => self.tell(Event::Received(&came)),
        }
    }

    /// The peer said its last, properly or, for `cut`'s reason, not.
    fn peer_ended(&mut self, cut: Option<Error>) -> Ended {
        self.answers.end();
        let endpoint = self.exchange.conn().endpoint();
        let act = || format!("asking {endpoint}");
        if self.carries == Carries::Stream
            && !endpoint.scheme().is_secure()
            && is_alert(&self.first)
        {
            let error = Error::new(Kind::Tls, Side::Upstream, act())
                .because("the answer is a TLS alert: the server speaks TLS")
                .hint("ask it at tls:// or wss://");
            return Ended::Failed(error);
        }
        if self.answers.are_complete() {
            return match self.rules.answers {
                Some(0) => self.gone_before_all_was_said(cut),
                _ => Ended::Answers,
            };
        }
        if let Some(wanted) = self.rules.answers {
            let came = self.answers.came();
            let error = Error::new(Kind::Closed, Side::Upstream, act()).because(format!(
                "the peer {} after {came} of {wanted} answers",
                how(&cut)
            ));
            return Ended::Short(error);
        }
        if self.answers.came() == 0 && !self.rules.interactive {
            let error = Error::new(Kind::Closed, Side::Upstream, act())
                .because(format!("the peer {} without an answer", how(&cut)))
                .hint("is that the scheme spoken there? --answers 0 expects no answer");
            return Ended::Empty(error);
        }
        match cut {
            Some(e) => Ended::Failed(e.hint("what came may be cut short")),
            None => Ended::PeerClosed,
        }
    }

    fn gone_before_all_was_said(&self, cut: Option<Error>) -> Ended {
        match cut {
            Some(e) if !self.is_everything_said() => Ended::Failed(e),
            _ => Ended::PeerClosed,
        }
    }

    fn is_everything_said(&self) -> bool {
        let is_out = self.exchange.is_idle() || (self.is_said && self.exchange.is_closed());
        is_out && self.cut.is_none() && !self.prompter.has_more()
    }

    fn tell(&mut self, event: Event<'_>) -> Step {
        self.sink.event(event).map_err(unheard)
    }
}

/// A TLS record with an alert in it, and nothing else: what a TLS server says to who speaks plain text (RFC 8446,
/// sections 5.1 and 6).
fn is_alert(first: &[u8]) -> bool {
    matches!(first, [21, 3, _, 0, 2, 1 | 2, _])
}

const ALERT_BYTES: usize = 7;

fn how(cut: &Option<Error>) -> &'static str {
    match cut {
        Some(_) => "broke off",
        None => "closed",
    }
}

fn unheard(cause: io::Error) -> Ended {
    match cause.kind() {
        io::ErrorKind::BrokenPipe => Ended::Unheard,
        _ => Ended::Failed(Error::new(Kind::Io, Side::Local, "writing the answer").because(cause)),
    }
}

/// Waits until then; for ever, if there is no such time.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
