//! Looking back: history, search, how far somebody has read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hub::Shared;
use super::log;
use super::model::{
    Answer, Command, Entry, Event, History, Known, Millis, Range, Refused, RoomName, SessionId,
    Target, Unread, What, text,
};
use crate::error::{Kind, Result};
use crate::state::Store;

/// The most entries of one answer.
pub const LIMIT_MAX: usize = 1_000;
/// How many entries one search looks at.
const SEARCHED: u64 = 20_000;
/// The most rooms whose unread entries are told.
const UNREAD_MAX: usize = 1_000;

impl Shared {
    pub(super) async fn look_back(
        self: &Arc<Self>,
        session: SessionId,
        command: Command,
        known: &Known,
    ) -> Result<Result<Answer, Refused>> {
        let target = match &command {
            Command::History { of, .. } | Command::Search { of, .. } | Command::Read { of, .. } => {
                of
            }
            _ => return self.unread(session).await,
        };
        let room = match self.with(|world| world.may_read(session, target, known)) {
            Ok(room) => room,
            Err(refused) => return Ok(Err(refused)),
        };
        // Of conversations, only those that there are.
        if let Target::Room(name) = target
            && name.is_direct()
            && self.store_of(name).last(&log::log(name)).await? == 0
        {
            return Ok(Err(Refused::NoSuchRoom(name.clone())));
        }
        self.open_room(&room).await?;
        Ok(Ok(match command {
            Command::History { range, limit, .. } => {
                Answer::History(Box::new(self.history(room, range, limit).await?))
            }
            Command::Search {
                words,
                before,
                limit,
                ..
            } => {
                let words = words.to_lowercase();
                if words.trim().is_empty() {
                    return Ok(Err(Refused::Empty));
                }
                Answer::History(Box::new(self.search(room, &words, before, limit).await?))
            }
            Command::Read { seq, .. } => self.note_read(session, room, seq).await?,
            _ => Answer::Done,
        }))
    }

    /// One entry, as it is now.
    pub(super) async fn entry(&self, room: &RoomName, seq: u64) -> Result<Option<Entry>> {
        let Some(after) = seq.checked_sub(1) else {
            return Ok(None);
        };
        match log::read(&**self.store_of(room), room, after, seq).await {
            Ok(entries) => Ok(entries.into_iter().next().map(|(_, entry)| entry)),
            Err(e) if e.kind() == Kind::Gone => Ok(None),
            Err(e) => Err(e),
        }
    }

    async fn history(&self, room: RoomName, range: Range, limit: usize) -> Result<History> {
        let store = self.store_of(&room);
        let limit = limit.clamp(1, LIMIT_MAX) as u64;
        // What is not told yet comes by itself.
        let last = self.place(&room);
        let oldest = store
            .oldest(&log::log(&room))
            .await?
            .min(last.saturating_add(1));
        let before_all = oldest.saturating_sub(1);
        // Entries behind the first and up to the second, both as they would be without a limit.
        let (after, through, is_from_end) = match range {
            Range::Latest => (before_all, last, true),
            Range::LatestAfter(seq) => (seq, last, true),
            Range::Before(seq) => (before_all, seq.saturating_sub(1), true),
            Range::After(seq) => (seq, last, false),
            Range::Around(seq) => {
                let after = seq.saturating_sub(limit / 2 + 1);
                (after, after.saturating_add(limit), false)
            }
            Range::Between(a, b) if a <= b => (a, b.saturating_sub(1), false),
            Range::Between(a, b) => (b, a.saturating_sub(1), true),
            Range::BeforeTime(time) => (
                before_all,
                self.before(&room, oldest, last, time).await?,
                true,
            ),
            Range::AfterTime(time) => {
                let through = self
                    .before(&room, oldest, last, time.saturating_add(1))
                    .await?;
                (through, last, false)
            }
        };
        // Whoever goes on from an entry must find the one behind it.
        let is_exact = matches!(
            range,
            Range::After(_) | Range::LatestAfter(_) | Range::Between(..)
        );
        let is_lost = is_exact && (after < before_all || after > last);
        let after = after.max(before_all);
        let through = through.min(last).max(after);
        let (first, end) = match is_from_end {
            true => (after.max(through.saturating_sub(limit)), through),
            false => (after, through.min(after.saturating_add(limit))),
        };
        let entries = match log::read(&**store, &room, first, end).await {
            Ok(entries) => entries,
            // Trimmed between the look and the reading.
            Err(e) if e.kind() == Kind::Gone => Vec::new(),
            Err(e) => return Err(e),
        };
        let has_more = if is_from_end {
            first > after
        } else {
            end < through
        };
        Ok(History {
            epoch: self.epoch_of(&room).await?,
            room,
            entries,
            oldest,
            last,
            is_lost,
            has_more,
        })
    }

    /// The last entry from before a time.
    async fn before(&self, room: &RoomName, oldest: u64, last: u64, time: Millis) -> Result<u64> {
        let (mut low, mut high) = (oldest.saturating_sub(1), last);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            match self.entry(room, middle).await? {
                Some(entry) if entry.time < time => low = middle,
                _ => high = middle - 1,
            }
        }
        Ok(low)
    }

    async fn search(
        &self,
        room: RoomName,
        words: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<History> {
        let store: &Arc<dyn Store> = self.store_of(&room);
        let limit = limit.clamp(1, LIMIT_MAX);
        let last = self.place(&room);
        let oldest = store
            .oldest(&log::log(&room))
            .await?
            .min(last.saturating_add(1));
        let start = before.map_or(last, |seq| seq.saturating_sub(1).min(last));
        let floor = oldest.saturating_sub(1).max(start.saturating_sub(SEARCHED));
        let (mut end, mut found) = (start, Vec::new());
        while end > floor && found.len() < limit {
            let first = floor.max(end.saturating_sub(log::PAGE as u64));
            let entries = match log::read(&**store, &room, first, end).await {
                Ok(entries) => entries,
                Err(e) if e.kind() == Kind::Gone => break,
                Err(e) => return Err(e),
            };
            for (seq, entry) in entries.into_iter().rev() {
                if let What::Said { text: said, .. } = &entry.what
                    && found.len() < limit
                    && text::has_all(said, words)
                {
                    found.push((seq, entry));
                }
            }
            end = first;
        }
        Ok(History {
            epoch: self.epoch_of(&room).await?,
            room,
            entries: found,
            oldest,
            last,
            is_lost: false,
            has_more: end >= oldest,
        })
    }

    async fn note_read(&self, session: SessionId, room: RoomName, seq: u64) -> Result<Answer> {
        let seq = seq.min(self.place(&room));
        let Some(who) = self.with(|world| world.who(session)) else {
            return Ok(Answer::Done);
        };
        if who.account().is_some() {
            log::note_read(&**self.store_of(&room), &who.person, &room, seq).await?;
        }
        self.with(|world| world.tell_own(session, Event::Read { room, seq }));
        Ok(Answer::Done)
    }

    async fn unread(&self, session: SessionId) -> Result<Result<Answer, Refused>> {
        let Some(who) = self.with(|world| world.who(session)) else {
            return Ok(Err(Refused::Over));
        };
        let mut places: BTreeMap<RoomName, u64> = BTreeMap::new();
        for store in self.stores() {
            for room in log::conversations(&**store, &who.person, UNREAD_MAX).await? {
                places.insert(room, 0);
            }
            for (room, read) in log::read_places(&**store, &who.person, UNREAD_MAX).await? {
                places.insert(room, read);
            }
        }
        let mut unread = Vec::new();
        for (room, read) in places {
            let last = self.store_of(&room).last(&log::log(&room)).await?;
            let nick = room.people().and_then(|(one, other)| {
                let other = if one == who.person { other } else { one };
                self.with(|world| world.nick_of(&other).map(str::to_owned))
            });
            unread.push(Unread {
                epoch: self.epoch_of(&room).await?,
                nick,
                room,
                read,
                last,
            });
        }
        Ok(Ok(Answer::Unread(unread)))
    }
}
