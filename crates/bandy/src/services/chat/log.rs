//! Rooms in the store: where everything is, and how it is written.
//!
//! | key or log | holds |
//! |---|---|
//! | log `chat/log/ROOM` | a room's entries |
//! | `chat/room/ROOM` | the room folded from its log, from time to time |
//! | `chat/change/ROOM/SEQ` | an entry as it is since it was edited or deleted |
//! | `chat/read/PERSON/ROOM` | how far an account has read |
//! | `chat/with/PERSON/ROOM` | that somebody is in this conversation of two |
//! | `chat/epoch` | which run of logs these are |

use std::sync::Arc;

use super::model::{Append, Entry, Millis, Nonces, Person, REMEMBERED, RoomName, RoomState};
use crate::error::{Error, Kind, Result, Side};
use crate::state::{Batch, Expect, Store};

/// Entries that are read in one go.
pub(super) const PAGE: usize = 256;

pub(super) const ROOMS: &str = "chat/room/";
const EPOCH: &str = "chat/epoch";

/// The name of a room's log.
pub(super) fn log(room: &RoomName) -> String {
    format!("chat/log/{room}")
}

fn room_key(room: &RoomName) -> String {
    format!("{ROOMS}{room}")
}

fn changes(room: &RoomName) -> String {
    format!("chat/change/{room}/")
}

fn change_key(room: &RoomName, seq: u64) -> String {
    format!("chat/change/{room}/{seq:020}")
}

fn reads(person: &Person) -> String {
    format!("chat/read/{person}/")
}

fn conversations_of(person: &Person) -> String {
    format!("chat/with/{person}/")
}

fn read_key(person: &Person, room: &RoomName) -> String {
    format!("chat/read/{person}/{room}")
}

/// Which run of logs a store has; decided by whoever asks first.
pub(super) async fn epoch(store: &dyn Store, now: Millis) -> Result<u64> {
    let mine = now.to_string();
    if store.put(EPOCH, mine.into(), Expect::Absent).await?.is_ok() {
        return Ok(now);
    }
    let record = store.get(EPOCH).await?;
    let text = record.and_then(|record| String::from_utf8(record.value.to_vec()).ok());
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| damaged(EPOCH))
}

/// A room as it is stored, folded up to its log's end; with what was sent lately.
pub(super) async fn load(
    store: &dyn Store,
    room: &RoomName,
    epoch: u64,
) -> Result<(RoomState, Nonces)> {
    let key = room_key(room);
    let mut state = match store.get(&key).await? {
        Some(record) => serde_json::from_slice(&record.value).map_err(|_| damaged(&key))?,
        None => RoomState::new(epoch),
    };
    state.epoch = epoch;
    let log = log(room);
    let (last, oldest) = (store.last(&log).await?, store.oldest(&log).await?);
    let lately = last.saturating_sub(REMEMBERED as u64);
    let mut after = state.seq.min(lately).max(oldest.saturating_sub(1));
    let mut nonces = Nonces::default();
    while after < last {
        let entries = store.read(&log, after, PAGE).await?;
        let Some(end) = entries.last() else { break };
        after = end.seq;
        for stored in &entries {
            let entry = decode(&log, &stored.value)?;
            if let Some(nonce) = &entry.nonce {
                nonces.note(&entry.by.person, nonce, stored.seq);
            }
            if stored.seq > state.seq {
                state.fold(stored.seq, &entry);
            }
        }
    }
    Ok((state, nonces))
}

/// What an append writes.
pub(super) fn batch(append: &Append) -> Result<Batch> {
    let mut batch = Batch::new();
    let room = &append.room;
    if let Some(state) = &append.snapshot {
        batch = batch.put(room_key(room), encode(state.as_ref())?, Expect::Anything);
    }
    if let Some((seq, entry)) = &append.changes {
        batch = batch.put(change_key(room, *seq), encode(entry)?, Expect::Anything);
    }
    let log = log(room);
    for entry in &append.entries {
        batch = batch.append(log.clone(), encode(entry)?);
    }
    Ok(batch)
}

/// Entries from behind `after` up to and with `through`, as they are since they were changed.
pub(super) async fn read(
    store: &dyn Store,
    room: &RoomName,
    after: u64,
    through: u64,
) -> Result<Vec<(u64, Entry)>> {
    let log = log(room);
    let mut entries: Vec<(u64, Entry)> = Vec::new();
    let mut at = after;
    while at < through {
        let limit = usize::try_from(through - at).unwrap_or(PAGE).min(PAGE);
        let page = store.read(&log, at, limit).await?;
        let Some(end) = page.last() else { break };
        at = end.seq;
        for stored in page {
            entries.push((stored.seq, decode(&log, &stored.value)?));
        }
    }
    overlay(store, room, &mut entries).await?;
    Ok(entries)
}

/// Puts what was changed into the places of what it was.
async fn overlay(store: &dyn Store, room: &RoomName, entries: &mut [(u64, Entry)]) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
        return Ok(());
    };
    let (first, last) = (*first, *last);
    let prefix = changes(room);
    let mut after = change_key(room, first.saturating_sub(1));
    loop {
        let page = store.list(&prefix, Some(&after), PAGE).await?;
        let Some(end) = page.last() else {
            return Ok(());
        };
        after.clone_from(&end.key);
        for record in &page {
            let seq = record
                .key
                .get(prefix.len()..)
                .and_then(|seq| seq.parse::<u64>().ok());
            let Some(seq) = seq else {
                return Err(damaged(&record.key));
            };
            if seq > last {
                return Ok(());
            }
            if let Ok(at) = entries.binary_search_by_key(&seq, |(seq, _)| *seq)
                && let Some((_, entry)) = entries.get_mut(at)
            {
                *entry = decode(&record.key, &record.value)?;
            }
        }
    }
}

/// Forgets entries up to and with `through`, and what was changed of them.
pub(super) async fn trim(store: &dyn Store, room: &RoomName, through: u64) -> Result<()> {
    store.trim(&log(room), through).await?;
    let prefix = changes(room);
    loop {
        let page = store.list(&prefix, None, PAGE).await?;
        let end = change_key(room, through);
        let gone: Vec<_> = page.iter().filter(|record| record.key <= end).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for record in gone {
            batch = batch.delete(record.key.clone(), Expect::Anything);
        }
        store.commit(batch).await??;
    }
}

/// Notes how far somebody has read.
pub(super) async fn note_read(
    store: &dyn Store,
    person: &Person,
    room: &RoomName,
    seq: u64,
) -> Result<()> {
    let key = read_key(person, room);
    let value = seq.to_string();
    store
        .put(&key, value.into(), Expect::Anything)
        .await?
        .map_err(Error::from)?;
    Ok(())
}

/// How far somebody has read, in each room where they noted it.
pub(super) async fn read_places(
    store: &dyn Store,
    person: &Person,
    max: usize,
) -> Result<Vec<(RoomName, u64)>> {
    let prefix = reads(person);
    let mut places = Vec::new();
    let mut after: Option<String> = None;
    while places.len() < max {
        let page = store.list(&prefix, after.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { break };
        after = Some(end.key.clone());
        for record in page {
            let room = record.key.get(prefix.len()..).unwrap_or_default();
            let room = serde_json::from_value(room.into()).map_err(|_| damaged(&record.key))?;
            let seq = std::str::from_utf8(&record.value)
                .ok()
                .and_then(|text| text.parse().ok());
            places.push((room, seq.ok_or_else(|| damaged(&record.key))?));
        }
    }
    Ok(places)
}

/// Notes that a conversation of two has begun, for both of them.
pub(super) async fn note_conversation(store: &dyn Store, room: &RoomName) -> Result<()> {
    let Some((one, other)) = room.people() else {
        return Ok(());
    };
    let key = |person: &Person| format!("{}{room}", conversations_of(person));
    let batch = Batch::new()
        .put(key(&one), Vec::new(), Expect::Anything)
        .put(key(&other), Vec::new(), Expect::Anything);
    store.commit(batch).await??;
    Ok(())
}

/// The conversations of two that somebody is in.
pub(super) async fn conversations(
    store: &dyn Store,
    person: &Person,
    max: usize,
) -> Result<Vec<RoomName>> {
    let prefix = conversations_of(person);
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    while found.len() < max {
        let page = store.list(&prefix, after.as_deref(), PAGE).await?;
        let Some(end) = page.last() else { break };
        after = Some(end.key.clone());
        for record in page {
            let room = record.key.get(prefix.len()..).unwrap_or_default();
            found.push(RoomName::parse_log(room).ok_or_else(|| damaged(&record.key))?);
        }
    }
    Ok(found)
}

/// All rooms that there are.
pub(super) async fn rooms(store: &Arc<dyn Store>) -> Result<Vec<(RoomName, RoomState)>> {
    let mut rooms = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.list(ROOMS, after.as_deref(), PAGE).await?;
        let Some(end) = page.last() else {
            return Ok(rooms);
        };
        after = Some(end.key.clone());
        for record in page {
            let name = record.key.get(ROOMS.len()..).unwrap_or_default();
            let name = serde_json::from_value(name.into()).map_err(|_| damaged(&record.key))?;
            let state = serde_json::from_slice(&record.value).map_err(|_| damaged(&record.key))?;
            rooms.push((name, state));
        }
    }
}

pub(super) fn decode(place: &str, bytes: &[u8]) -> Result<Entry> {
    serde_json::from_slice(bytes).map_err(|_| damaged(place))
}

fn encode(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let act = "writing down a room";
    serde_json::to_vec(value).map_err(|e| Error::new(Kind::Other, Side::Local, act).because(e))
}

fn damaged(place: &str) -> Error {
    let act = format!("reading \"{place}\" from the store");
    Error::new(Kind::Io, Side::Local, act).because("it is not what chat writes there")
}
