//! CHATHISTORY: what was said before.

use time::OffsetDateTime;

use super::client::Client;
use super::events::{place, time};
use super::out::Marks;
use super::rooms::sayable;
use super::welcome::HISTORY;
use crate::services::chat::model::{
    Answer, Command, Entry, History, Id, Millis, Place, Range, Refused, RoomName, Target, What,
};
use crate::wire::irc::capability::Capability;
use crate::wire::irc::history::{At, Fault, Question, Wanted, server_time};
use crate::wire::irc::{Message, names};

/// Pages that are looked through at most for messages among what else is in a log.
const PAGES: usize = 20;

/// Which way entries are looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Older,
    Newer,
}

/// A part of a room's history.
struct Found {
    room: RoomName,
    epoch: u64,
    /// With their places, in order.
    entries: Vec<(u64, Entry)>,
}

impl Client {
    pub(super) async fn chathistory(&mut self, message: &Message<'_>) {
        if !self.out.has(Capability::ChatHistory) {
            return self.unknown(message.command);
        }
        match Question::parse(message.params()) {
            Ok(Question::Messages {
                target,
                wanted,
                limit,
            }) => {
                let subcommand = message.param(0).unwrap_or("*").to_ascii_uppercase();
                self.messages(&subcommand, target, &wanted, limit.min(HISTORY))
                    .await;
            }
            Ok(Question::Targets { from, to, limit }) => {
                self.targets(millis(from), millis(to), limit.min(HISTORY))
                    .await;
            }
            Err(fault) => {
                let (code, about, text) = match fault {
                    Fault::Unknown(name) => ("UNKNOWN_COMMAND", name, "Unknown subcommand"),
                    Fault::Missing(name) => ("NEED_MORE_PARAMS", name, "Missing parameters"),
                    Fault::Invalid(name) => ("INVALID_PARAMS", name, "Invalid parameters"),
                };
                self.out.fail("CHATHISTORY", code, &[sayable(about)], text);
            }
        }
    }

    async fn messages(&mut self, subcommand: &str, target: &str, wanted: &Wanted, limit: usize) {
        let of = match names::channel(target).map(RoomName::parse) {
            Some(Ok(room)) => Target::Room(room),
            _ => Target::Nick(target.to_owned()),
        };
        let found = match self.found(&of, wanted, limit).await {
            Ok(found) => found,
            Err(_) => {
                let context = [subcommand, sayable(target)];
                let text = "Messages could not be retrieved";
                return self
                    .out
                    .fail("CHATHISTORY", "INVALID_TARGET", &context, text);
            }
        };
        let Found {
            room,
            epoch,
            entries,
        } = found;
        if let Some((one, other)) = room.people() {
            let other = if one == self.me.person { other } else { one };
            self.remember_nick(other, target);
        }
        let all = self.out.has(Capability::EventPlayback);
        let batch = self.out.begin_batch("chathistory", &[sayable(target)]);
        for (seq, entry) in entries {
            let room = room.clone();
            self.tell_entry(&Id { room, epoch, seq }, &entry, Some(&batch), all);
        }
        self.out.end_batch(&batch);
    }

    /// What is asked for.
    async fn found(
        &mut self,
        of: &Target,
        wanted: &Wanted,
        limit: usize,
    ) -> Result<Found, Refused> {
        // Before the first and behind the last of a place.
        let before = |at: &At| match at {
            At::Message(id) => seq(id).map(Range::Before),
            At::Time(time) => Ok(Range::BeforeTime(millis(*time))),
        };
        let after = |at: &At| match at {
            At::Message(id) => seq(id).map(Range::After),
            At::Time(time) => Ok(Range::AfterTime(millis(*time))),
        };
        let found = match wanted {
            Wanted::Latest(None) => {
                self.walk(of, Way::Older, Range::Latest, limit, None)
                    .await?
            }
            Wanted::Latest(Some(at)) => {
                self.walk(of, Way::Older, Range::Latest, limit, Some(at))
                    .await?
            }
            Wanted::Before(at) => self.walk(of, Way::Older, before(at)?, limit, None).await?,
            Wanted::After(at) => self.walk(of, Way::Newer, after(at)?, limit, None).await?,
            Wanted::Around(at) => {
                let mut found = self
                    .walk(of, Way::Older, before(at)?, limit / 2, None)
                    .await?;
                let rest = limit.saturating_sub(found.entries.len());
                let from = match at {
                    At::Message(id) => Range::After(seq(id)?.saturating_sub(1)),
                    At::Time(time) => Range::AfterTime(millis(*time).saturating_sub(1)),
                };
                let newer = self.walk(of, Way::Newer, from, rest, None).await?;
                found.entries.extend(newer.entries);
                found
            }
            Wanted::Between(one, other) => match self.is_before(of, one, other).await? {
                true => {
                    self.walk(of, Way::Newer, after(one)?, limit, Some(other))
                        .await?
                }
                false => {
                    self.walk(of, Way::Older, before(one)?, limit, Some(other))
                        .await?
                }
            },
        };
        // A message of another room, or of another log of this one, is in no place here.
        let ats = match wanted {
            Wanted::Latest(at) => [at.as_ref(), None],
            Wanted::Before(at) | Wanted::After(at) | Wanted::Around(at) => [Some(at), None],
            Wanted::Between(one, other) => [Some(one), Some(other)],
        };
        for at in ats.into_iter().flatten() {
            if let At::Message(id) = at
                && place(id, &found.room).is_none_or(|place| place.epoch != found.epoch)
            {
                return Err(Refused::NoSuchEntry(0));
            }
        }
        Ok(found)
    }

    /// Whether one place is before another.
    async fn is_before(&mut self, of: &Target, one: &At, other: &At) -> Result<bool, Refused> {
        Ok(match (one, other) {
            (At::Message(one), At::Message(other)) => seq(one)? <= seq(other)?,
            (At::Time(one), At::Time(other)) => one <= other,
            (At::Message(id), At::Time(time)) => self.time_of(of, id).await? <= millis(*time),
            (At::Time(time), At::Message(id)) => millis(*time) <= self.time_of(of, id).await?,
        })
    }

    async fn time_of(&mut self, of: &Target, id: &str) -> Result<Millis, Refused> {
        let seq = seq(id)?;
        let page = self
            .page(of, Range::After(seq.saturating_sub(1)), 1)
            .await?;
        let entry = page.entries.first().filter(|(found, _)| *found == seq);
        entry
            .map(|(_, entry)| entry.time)
            .ok_or(Refused::NoSuchEntry(seq))
    }

    /// Up to `limit` entries that this client can be told, from `range` on in one direction, none of them at `end` or beyond.
    async fn walk(
        &mut self,
        of: &Target,
        way: Way,
        range: Range,
        limit: usize,
        end: Option<&At>,
    ) -> Result<Found, Refused> {
        let all = self.out.has(Capability::EventPlayback);
        let is_beyond = |seq: u64, entry: &Entry| {
            let (here, end) = match end {
                None => return false,
                Some(At::Message(id)) => (seq, self::seq(id).unwrap_or(0)),
                Some(At::Time(time)) => (entry.time, millis(*time)),
            };
            match way {
                Way::Older => here <= end,
                Way::Newer => here >= end,
            }
        };
        let mut range = range;
        // As they are found: of older ones the newest is first.
        let mut found: Vec<(u64, Entry)> = Vec::new();
        let mut is_over = limit == 0;
        let mut pages = 0;
        let (room, epoch) = loop {
            pages += 1;
            // Most of a log is messages.
            let page = self.page(of, range, limit.clamp(20, HISTORY) + 10).await?;
            let History {
                room,
                epoch,
                mut entries,
                has_more,
                ..
            } = *page;
            if way == Way::Older {
                entries.reverse();
            }
            let edge = entries.last().map(|(seq, _)| *seq);
            for (seq, entry) in entries {
                if is_over || found.len() >= limit || is_beyond(seq, &entry) {
                    is_over = true;
                    break;
                }
                if matches!(entry.what, What::Said { .. }) || all && is_told(&entry.what) {
                    found.push((seq, entry));
                }
            }
            match edge {
                Some(edge) if has_more && !is_over && pages < PAGES => {
                    range = match way {
                        Way::Older => Range::Before(edge),
                        Way::Newer => Range::After(edge),
                    };
                }
                _ => break (room, epoch),
            }
        };
        if way == Way::Older {
            found.reverse();
        }
        Ok(Found {
            room,
            epoch,
            entries: found,
        })
    }

    async fn page(
        &mut self,
        of: &Target,
        range: Range,
        limit: usize,
    ) -> Result<Box<History>, Refused> {
        let of = of.clone();
        match self.ask(Command::History { of, range, limit }).await? {
            Answer::History(history) => Ok(history),
            _ => Err(Refused::Over),
        }
    }

    /// With whom there were messages between two moments: rooms that one is in, and conversations.
    async fn targets(&mut self, one: Millis, other: Millis, limit: usize) {
        let (from, to) = (one.min(other), one.max(other));
        let mut found: Vec<(Millis, String)> = Vec::new();
        let mut rooms: Vec<RoomName> = self.rooms.iter().cloned().collect();
        if let Ok(Answer::Unread(unread)) = self.ask(Command::Unread).await {
            rooms.extend(unread.into_iter().map(|unread| unread.room));
        }
        let spoken_with = self.nicks.keys();
        rooms.extend(spoken_with.map(|person| RoomName::direct(&self.me.person, person)));
        rooms.sort();
        rooms.dedup();
        for room in rooms {
            let (of, shown) = match room.people() {
                Some((a, b)) => {
                    let other = if a == self.me.person { b } else { a };
                    let nick = self
                        .nicks
                        .get(&other)
                        .cloned()
                        .unwrap_or_else(|| other.as_str().to_owned());
                    (Target::Nick(nick.clone()), nick)
                }
                None => (Target::Room(room.clone()), format!("#{room}")),
            };
            let wanted = Wanted::Latest(None);
            if let Ok(latest) = self.found(&of, &wanted, 1).await
                && let Some((_, entry)) = latest.entries.first()
                && (from..=to).contains(&entry.time)
            {
                found.push((entry.time, shown));
            }
        }
        found.sort();
        let batch = self.out.begin_batch("draft/chathistory-targets", &[]);
        for (at, shown) in found.into_iter().take(limit) {
            let Some(at) = time(at).and_then(server_time) else {
                continue;
            };
            let marks = Marks {
                batch: Some(&batch),
                ..Marks::default()
            };
            let server = self.out.server().to_owned();
            self.out.line(&marks, Some(&server), "CHATHISTORY", |line| {
                line.params(["TARGETS", &shown, &at]).end()
            });
        }
        self.out.end_batch(&batch);
    }
}

/// What a client that wants more than messages can be told of what is in a log.
fn is_told(what: &What) -> bool {
    matches!(
        what,
        What::Topic { .. } | What::Kicked { .. } | What::Set(_)
    ) || matches!(what, What::Banned { .. } | What::Unbanned { .. })
        || matches!(what, What::Muted { .. } | What::Unmuted { .. })
}

/// The place in whatever log it is; which one is looked at when the log is known.
fn seq(msgid: &str) -> Result<u64, Refused> {
    let place = msgid
        .split_once('@')
        .and_then(|(place, _)| place.parse::<Place>().ok());
    place.map(|place| place.seq).ok_or(Refused::NoSuchEntry(0))
}

fn millis(at: OffsetDateTime) -> Millis {
    Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
}
