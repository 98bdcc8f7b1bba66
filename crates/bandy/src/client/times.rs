//! When each part of a conversation began, and how long it took.

use std::time::{Duration, Instant};

use crate::net::Phases;

/// A part of the conversation, on the clock that starts with the asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// From the start of the asking.
    pub start: Duration,
    /// How long.
    pub took: Duration,
}

/// When each part began and how long it took. Sending and receiving may overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The parts of connecting, one after the other.
    pub phases: Phases,
    /// From the connection to the last byte said.
    pub send: Option<Span>,
    /// From then on, or from the connection on if the answer was faster, to the first byte of the answer.
    pub wait: Option<Span>,
    /// From there to the end of the conversation.
    pub receive: Option<Span>,
    /// All of it, closing not counted.
    pub total: Duration,
}

impl Times {
    pub(super) fn connected(began: Instant, phases: Phases) -> Times {
        Times {
            phases,
            total: began.elapsed(),
            ..Times::default()
        }
    }

    /// Every part that took place, by name, in the order of their beginnings.
    pub fn parts(&self) -> Vec<(&'static str, Span)> {
        let Phases {
            resolve,
            connect,
            tls,
            upgrade,
        } = self.phases;
        let mut start = Duration::ZERO;
        let connecting = [
            ("resolve", resolve),
            ("connect", connect),
            ("TLS", tls),
            ("upgrade", upgrade),
        ];
        let connecting = connecting.into_iter().filter_map(|(name, took)| {
            let span = Span { start, took: took? };
            start += span.took;
            Some((name, span))
        });
        let mut parts: Vec<_> = connecting.collect();
        let talking = [
            ("send", self.send),
            ("wait", self.wait),
            ("receive", self.receive),
        ];
        parts.extend(
            talking
                .into_iter()
                .filter_map(|(name, span)| Some((name, span?))),
        );
        parts
    }
}

/// Takes the times of a conversation that has begun.
#[derive(Debug)]
pub(super) struct Watch {
    connected: Instant,
    said: Option<Instant>,
    first: Option<Instant>,
}

impl Watch {
    pub(super) fn start(now: Instant) -> Watch {
        Watch {
            connected: now,
            said: None,
            first: None,
        }
    }

    /// All is said.
    pub(super) fn said(&mut self, now: Instant) {
        self.said.get_or_insert(now);
    }

    /// Something came.
    pub(super) fn received(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// The conversation is over.
    pub(super) fn stop(&self, times: &mut Times, now: Instant) {
        // What connecting took is `total` so far.
        let origin = times.total;
        let span = |from: Instant, to: Instant| {
            Some(Span {
                start: origin + from.duration_since(self.connected),
                took: to.duration_since(from),
            })
        };
        let first = self.first.unwrap_or(now);
        let asked = self.said.filter(|said| *said <= first);
        times.send = span(self.connected, self.said.unwrap_or(now));
        times.wait = span(asked.unwrap_or(self.connected), first);
        times.receive = self.first.and_then(|first| span(first, now));
        times.total = origin + now.duration_since(self.connected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_overtakes_the_question_was_waited_for_from_the_start() {
        let ms = Duration::from_millis;
        let begun = Instant::now();
        let mut watch = Watch::start(begun);
        watch.received(begun + ms(2));
        watch.said(begun + ms(10));
        let mut times = Times {
            total: ms(5),
            ..Times::default()
        };
        watch.stop(&mut times, begun + ms(12));
        let span = |start, took| {
            Some(Span {
                start: ms(start),
                took: ms(took),
            })
        };
        assert_eq!(times.send, span(5, 10));
        assert_eq!(times.wait, span(5, 2));
        assert_eq!(times.receive, span(7, 10));
        assert_eq!(times.total, ms(17));
    }
}
