//! What became of every request. The totals reconcile by construction: a request is begun once and ends once.

use std::borrow::Cow;

/// Where each request that was scheduled is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// All that were due: the sum of the others.
    pub scheduled: u64,
    /// Answered, and the answer is none of failure.
    pub done: u64,
    /// Ended without such an answer; [`Tally::causes`] says why.
    pub failed: u64,
    /// Without an answer in time.
    pub timed_out: u64,
    /// Sent or being sent when the run ended.
    pub in_flight: u64,
    /// Due, and not begun before the run ended.
    pub never_sent: u64,
}

impl Requests {
    /// Whether each of them is somewhere, once.
    pub fn reconcile(&self) -> bool {
        let parts = [
            self.done,
            self.failed,
            self.timed_out,
            self.in_flight,
            self.never_sent,
        ];
        parts.iter().sum::<u64>() == self.scheduled
    }
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A name did not resolve.
    Resolve,
    /// No connection came about.
    Connect,
    /// The TLS handshake or record layer failed, or the certificate is not trusted.
    Tls,
    /// The server reset the connection.
    Reset,
    /// The server closed the connection before the answer was whole.
    Closed,
    /// What came is not of the protocol.
    Protocol,
    /// No answer in time. Counted as timed out, not as failed.
    Timeout,
    /// The answer's status is 400 to 499.
    Status4xx,
    /// The answer's status is 500 or more.
    Status5xx,
    /// The answer is not what the script expects, or lacks what it takes from it.
    Unexpected,
    /// This machine said no: no more ports, files or memory.
    Local,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 11] = [
        Cause::Resolve,
        Cause::Connect,
        Cause::Tls,
        Cause::Reset,
        Cause::Closed,
        Cause::Protocol,
        Cause::Timeout,
        Cause::Status4xx,
        Cause::Status5xx,
        Cause::Unexpected,
        Cause::Local,
    ];

    /// As reports name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Resolve => "resolve",
            Cause::Connect => "connect",
            Cause::Tls => "tls",
            Cause::Reset => "reset",
            Cause::Closed => "closed",
            Cause::Protocol => "protocol",
            Cause::Timeout => "timeout",
            Cause::Status4xx => "status_4xx",
            Cause::Status5xx => "status_5xx",
            Cause::Unexpected => "unexpected",
            Cause::Local => "local",
        }
    }
}

/// Everything that is counted of a run, or of a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Where each request is.
    pub requests: Requests,
    /// In the order of [`Cause::ALL`].
    pub causes: [u64; Cause::ALL.len()],
    /// What the first of each cause said.
    pub examples: [Option<String>; Cause::ALL.len()],
    /// Answers with a status of 1xx to 5xx, at 1 to 5; at 0 what is beyond.
    pub status: [u64; 6],
    /// Bytes that went out, framing included, TLS not.
    pub sent_bytes: u64,
    /// Bytes that came in, likewise.
    pub received_bytes: u64,
    /// Connections that came about.
    pub connected: u64,
    /// Attempts that did not.
    pub not_connected: u64,
    /// TLS handshakes among them.
    pub handshakes: u64,
}

/// How a request ended that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With a good answer.
    Done,
    /// Without; the text is an example for people.
    Failed(Cause, Cow<'static, str>),
    /// The run ended first.
    Cut,
}

impl Tally {
    /// A request is begun.
    pub fn begin(&mut self) {
        self.requests.scheduled += 1;
        self.requests.in_flight += 1;
    }

    /// One that was begun ends. Cut off, it stays in flight.
    pub fn end(&mut self, end: End) {
        match end {
            End::Cut => return,
            End::Done => self.requests.done += 1,
            End::Failed(cause, example) => {
                match cause {
                    Cause::Timeout => self.requests.timed_out += 1,
                    _ => self.requests.failed += 1,
                }
                if let Some(count) = self.causes.get_mut(cause as usize) {
                    *count += 1;
                }
                if let Some(first) = self.examples.get_mut(cause as usize) {
                    first.get_or_insert_with(|| example.into_owned());
                }
            }
        }
        self.requests.in_flight = self.requests.in_flight.saturating_sub(1);
    }

    /// So many were due and are not begun.
    pub fn leave(&mut self, count: u64) {
        self.requests.scheduled += count;
        self.requests.never_sent += count;
    }

    /// An answer came with this status, good or not.
    pub fn answered(&mut self, status: u16) {
        let class = usize::from(status / 100);
        let class = if class < self.status.len() { class } else { 0 };
        if let Some(count) = self.status.get_mut(class) {
            *count += 1;
        }
    }

    /// How many of a cause there are.
    pub fn of(&self, cause: Cause) -> u64 {
        self.causes.get(cause as usize).copied().unwrap_or_default()
    }

    /// Adds another part of the same run.
    pub fn add(&mut self, other: Tally) {
        let (to, from) = (&mut self.requests, other.requests);
        to.scheduled += from.scheduled;
        to.done += from.done;
        to.failed += from.failed;
        to.timed_out += from.timed_out;
        to.in_flight += from.in_flight;
        to.never_sent += from.never_sent;
        let add = |to: &mut [u64], from: &[u64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.causes, &other.causes);
        add(&mut self.status, &other.status);
        for (to, from) in self.examples.iter_mut().zip(other.examples) {
            if to.is_none() {
                *to = from;
            }
        }
        self.sent_bytes += other.sent_bytes;
        self.received_bytes += other.received_bytes;
        self.connected += other.connected;
        self.not_connected += other.not_connected;
        self.handshakes += other.handshakes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn causes_are_where_their_number_says() {
        for (i, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, i);
        }
    }

    fn end() -> impl Strategy<Value = End> {
        prop_oneof![
            Just(End::Done),
            Just(End::Cut),
            prop::sample::select(Cause::ALL.to_vec()).prop_map(|c| End::Failed(c, "why".into())),
        ]
    }

    proptest! {
        /// Whatever happens to whom in whatever order, and however it is divided among loops.
        #[test]
        fn the_totals_reconcile(
            ends in prop::collection::vec((end(), any::<bool>(), 0_usize..3), 0..100), left in 0_u64..50,
        ) {
            let mut parts = [Tally::default(), Tally::default(), Tally::default()];
            for (end, begins_early, part) in &ends {
                if *begins_early { parts[*part].begin(); parts[*part].end(end.clone()); }
            }
            for (end, begins_early, part) in &ends {
                if !*begins_early { parts[*part].begin(); parts[*part].end(end.clone()); }
            }
            parts[0].leave(left);
            let mut whole = Tally::default();
            for part in parts {
                prop_assert!(part.requests.reconcile());
                whole.add(part);
            }
            prop_assert!(whole.requests.reconcile());
            prop_assert_eq!(whole.requests.scheduled, ends.len() as u64 + left);
            prop_assert_eq!(whole.causes.iter().sum::<u64>(), whole.requests.failed + whole.requests.timed_out);
            let cut = ends.iter().filter(|(end, ..)| *end == End::Cut).count() as u64;
            prop_assert_eq!(whole.requests.in_flight, cut);
        }
    }
}
