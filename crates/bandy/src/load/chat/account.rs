//! What a run of chat came to: every delivery is somewhere, once.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::board::{Board, Fate, Said, Seat, Shared};
use crate::load::outcome::Outcome;
use crate::load::record::{Latencies, latencies};
use crate::load::tally::{Cause, Requests};

/// A chat under load. Its deliveries are the [`Outcome`]'s requests; here is what else is known.
#[derive(Debug, Clone)]
pub struct Chat {
    /// The room.
    pub room: String,
    /// Members that were to be there.
    pub members: usize,
    /// Those that came in.
    pub joined: usize,
    /// What became of the messages: `done` are those in the room's log, `failed` were refused or lost with their
    /// sender's connection, `timed_out` were not answered.
    pub messages: Requests,
    /// From when a message was due until its sender knew that it is in the log.
    pub answered: Latencies,
    /// Deliveries that members who were there did not get in time.
    pub missed: u64,
    /// Entries that a member heard again.
    pub duplicates: u64,
    /// Entries that a member heard behind a later one, or at another place than others.
    pub misordered: u64,
    /// How many members missed, repeated or misordered something, or were not there all the time.
    pub faulty_members: usize,
    /// Of those: the worst, so many at most as `FAULTY_MAX`.
    pub faulty: Vec<Faulty>,
}

/// A member who did not hear everything once and in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faulty {
    /// Which one, from 1.
    pub member: usize,
    /// What the server called it; empty if it did not come in.
    pub nick: String,
    /// Deliveries that it did not get.
    pub missed: u64,
    /// What it heard again.
    pub duplicates: u64,
    /// What it heard out of order.
    pub misordered: u64,
    /// Why it was not there all the time.
    pub gone: Option<String>,
}

/// Members that are told of one by one.
pub const FAULTY_MAX: usize = 20;

/// What the members of one event loop came to.
#[derive(Debug)]
pub(in crate::load) struct Attended {
    lane: u16,
    seats: Vec<Seat>,
    said: Vec<Said>,
    unsaid: u64,
    answered: Latencies,
    refusal: Option<String>,
    /// The run was stopped: what was on its way then was not waited for.
    is_cut: bool,
}

impl Attended {
    pub(super) fn of(board: &mut Board, is_cut: bool) -> Attended {
        Attended {
            lane: board.lane,
            seats: std::mem::take(&mut board.seats),
            said: std::mem::take(&mut board.said),
            unsaid: board.unsaid,
            answered: std::mem::replace(&mut board.answered, latencies()),
            refusal: board.refusal.take(),
            is_cut,
        }
    }
}

/// What a message came to, when all is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    InLog,
    Refused,
    Lost,
    Unanswered,
    NeverSent,
}

/// Adds up what all event loops saw, into the outcome's requests: its deliveries.
pub(in crate::load) fn settle(
    outcome: &mut Outcome,
    room: &str,
    parts: Vec<Attended>,
    shared: &Shared,
) {
    let heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
    let heard: HashSet<u64> = heard.values().copied().collect();
    let came = |lane: u16, number: usize, said: &Said| {
        let id = u64::from(lane) << 32 | number as u64;
        match said.fate {
            // Without an answer it may be in the log all the same.
            _ if heard.contains(&id) => Came::InLog,
            Fate::Logged => Came::InLog,
            Fate::Refused => Came::Refused,
            Fate::Lost => Came::Lost,
            Fate::Sent => Came::Unanswered,
            Fate::Waiting => Came::NeverSent,
        }
    };
    let is_cut = parts.iter().any(|part| part.is_cut);
    let mut chat = Chat {
        room: room.to_owned(),
        members: outcome.plan.connections,
        joined: 0,
        messages: Requests::default(),
        answered: latencies(),
        missed: 0,
        duplicates: 0,
        misordered: 0,
        faulty_members: 0,
        faulty: Vec::new(),
    };
    let members = chat.members as u64;
    let tally = &mut outcome.tally;
    tally.requests = Requests::default();
    let fail = |tally: &mut crate::load::tally::Tally, cause: Cause, count, example: &str| {
        if count == 0 {
            return;
        }
        match cause {
            Cause::Timeout => tally.requests.timed_out += count,
            _ => tally.requests.failed += count,
        }
        if let Some(all) = tally.causes.get_mut(cause as usize) {
            *all += count;
        }
        if let Some(first) = tally.examples.get_mut(cause as usize) {
            first.get_or_insert_with(|| example.to_owned());
        }
    };
    for part in &parts {
        let all = part.said.iter().enumerate();
        let came: Vec<Came> = all.map(|(i, said)| came(part.lane, i, said)).collect();
        let count = |what: Came| came.iter().filter(|came| **came == what).count() as u64;
        let messages = &mut chat.messages;
        messages.scheduled += part.said.len() as u64 + part.unsaid;
        messages.done += count(Came::InLog);
        let never = count(Came::NeverSent) + part.unsaid;
        messages.never_sent += never;
        tally.requests.never_sent += never * members;
        let (refused, lost) = (count(Came::Refused), count(Came::Lost));
        messages.failed += refused + lost;
        let why = part.refusal.as_deref().unwrap_or_default();
        let why = format!("the chat refused a message: {why}");
        fail(tally, Cause::Unexpected, refused * members, &why);
        let why = "a message's sender lost its connection before the answer";
        fail(tally, Cause::Closed, lost * members, why);
        let open = count(Came::Unanswered);
        if is_cut {
            messages.in_flight += open;
            tally.requests.in_flight += open * members;
        } else {
            messages.timed_out += open;
            let why = "a message got no answer, and nobody heard it";
            fail(tally, Cause::Timeout, open * members, why);
        }
        // Of one shape, so they fit.
        let _ = chat.answered.add(&part.answered);
    }
    tally.requests.scheduled = chat.messages.scheduled * members;
    let mut faulty = Vec::new();
    let seats = parts.iter().flat_map(|part| &part.seats);
    for (at, seat) in seats.enumerate() {
        chat.joined += usize::from(seat.has_joined);
        let delivered = seat.ear.delivered.min(chat.messages.done);
        tally.requests.done += delivered;
        let missed = chat.messages.done - delivered;
        match &seat.gone {
            Some(failure) => fail(tally, failure.cause, missed, &failure.text),
            None if is_cut => tally.requests.in_flight += missed,
            None => {
                chat.missed += missed;
                let why = "a message was not delivered to a member that was there";
                fail(tally, Cause::Timeout, missed, why);
            }
        }
        chat.duplicates += seat.ear.duplicates;
        chat.misordered += seat.ear.misordered;
        let one = Faulty {
            member: at + 1,
            nick: seat.nick.clone(),
            missed: match is_cut {
                true => 0,
                false => missed,
            },
            duplicates: seat.ear.duplicates,
            misordered: seat.ear.misordered,
            gone: seat.gone.as_ref().map(|failure| failure.text.to_string()),
        };
        if one.missed + one.duplicates + one.misordered > 0 || one.gone.is_some() {
            faulty.push(one);
        }
    }
    chat.faulty_members = faulty.len();
    faulty.sort_by_key(|one| std::cmp::Reverse(one.missed + one.duplicates + one.misordered));
    faulty.truncate(FAULTY_MAX);
    chat.faulty = faulty;
    outcome.chat = Some(chat);
}
