//! From rooms' logs into the world.
//!
//! What this process appended is known: once it is durable it is taken in as it is, all that became so together at once.
//! What others appended comes by the room's one tail. The log decides about the order: an entry that is not the next one
//! waits until the tail has read what is before it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::hub::{Inner, Shared};
use super::log;
use super::model::{Append, Entry, RoomName, What};
use super::outbox::Cut;
use crate::error::{Error, Kind};
use crate::state::{self, Tail};

/// A store that fails is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// A room that is followed.
#[derive(Debug)]
pub(super) struct Following {
    task: AbortHandle,
    /// Marked when the world has more of the room, and when an append came to nothing.
    pub(super) news: watch::Sender<u64>,
    /// Appends of our own that will bring their entries themselves. While there are some, nothing is read.
    underway: usize,
    /// One of them has landed behind what others appended.
    has_gap: bool,
    /// It is time to look at these.
    look: Arc<Notify>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What was appended here and is durable.
#[derive(Debug)]
pub(super) struct Landed {
    room: RoomName,
    /// The last one's place.
    last: u64,
    entries: Vec<Entry>,
}

impl Shared {
    /// Follows a room's log from behind this entry.
    pub(super) fn follow(self: &Arc<Self>, room: &RoomName, seq: u64) -> Following {
        let tail = state::tail(self.store_of(room).clone(), log::log(room), seq);
        let look = Arc::new(Notify::new());
        let following = follow(Arc::downgrade(self), room.clone(), tail, look.clone());
        Following {
            task: self.spawn(following).abort_handle(),
            news: watch::Sender::new(seq),
            underway: 0,
            has_gap: false,
            look,
        }
    }

    /// Something is about to be appended.
    pub(super) fn begins(&self, append: &Append) {
        if let Some(following) = self.lock().tails.get_mut(&append.room) {
            following.underway += 1;
        }
    }

    /// It was appended, its last entry here.
    pub(super) fn lands(&self, append: Append, last: u64) {
        self.lock().landed.push(Landed {
            room: append.room,
            last,
            entries: append.entries,
        });
        self.landing.notify_one();
    }

    /// It was not.
    pub(super) fn fails(&self, append: &Append) {
        let mut inner = self.lock();
        inner.world.failed(append);
        if let Some(following) = inner.tails.get_mut(&append.room) {
            following.is_done();
            following.news.send_modify(|_| {});
        }
    }
}

impl Following {
    fn is_done(&mut self) {
        self.underway = self.underway.saturating_sub(1);
        if self.underway == 0 || self.has_gap {
            self.look.notify_one();
        }
    }
}

impl Inner {
    /// Takes in what has landed, as far as it is next.
    fn land(&mut self) {
        for Landed {
            room,
            last,
            entries,
        } in std::mem::take(&mut self.landed)
        {
            let before = last.saturating_sub(entries.len() as u64);
            let place = self.world.place(&room).map_or(last, |place| place.seq);
            if place == before {
                for (seq, entry) in (before + 1..).zip(entries) {
                    self.take_in(&room, seq, entry);
                }
            }
            self.note_place(&room);
            if let Some(following) = self.tails.get_mut(&room) {
                following.has_gap |= place < before;
                following.is_done();
            }
        }
        self.tell();
    }

    /// How far the world is in a room, and whether its log is to be read now; `None` for one that is not open any more.
    fn place_to_read_from(&mut self, room: &RoomName, must_read: bool) -> Option<(u64, bool)> {
        let place = self.world.place(room)?.seq;
        let following = self.tails.get_mut(room)?;
        let is_time = must_read || following.underway == 0 || following.has_gap;
        if is_time {
            following.has_gap = false;
        }
        Some((place, is_time))
    }

    /// Takes in the next entry of a room.
    fn take_in(&mut self, room: &RoomName, seq: u64, entry: Entry) {
        // What changes a room may change who follows it: told is what was said before to those who did before.
        let is_change = !matches!(entry.what, What::Said { .. });
        if is_change {
            self.tell();
        }
        self.world.logged(room, seq, entry);
        if is_change {
            self.tell();
        }
    }

    /// Tells those who wait for an entry of the room how far the world is.
    fn note_place(&self, room: &RoomName) {
        if let (Some(following), Some(place)) = (self.tails.get(room), self.world.place(room)) {
            following.news.send_if_modified(|seq| {
                let is_news = *seq < place.seq;
                *seq = place.seq.max(*seq);
                is_news
            });
        }
    }
}

/// Takes in what lands, for as long as there is a chat.
pub(super) async fn land(shared: Weak<Shared>, landing: Arc<Notify>) {
    loop {
        landing.notified().await;
        // Until nothing else is to be done now: what became durable by the same commit lands together.
        tokio::task::yield_now().await;
        match shared.upgrade() {
            Some(shared) => shared.lock().land(),
            None => return,
        }
    }
}

/// A room's one tail: whatever others put into its log goes into the world.
async fn follow(shared: Weak<Shared>, room: RoomName, mut tail: Tail, look: Arc<Notify>) {
    let mut must_read = true;
    loop {
        if !must_read && let Err(e) = tail.grown().await {
            must_read = recover(&shared, &room, &mut tail, e).await;
            if !must_read {
                return;
            }
            continue;
        }
        // Own appends bring their entries themselves.
        loop {
            let place = match shared.upgrade() {
                Some(shared) => shared.lock().place_to_read_from(&room, must_read),
                None => return,
            };
            match place {
                Some((place, is_time)) => {
                    tail.pass_over(place);
                    if is_time {
                        break;
                    }
                }
                None => return,
            }
            look.notified().await;
        }
        if !must_read && !tail.is_behind() {
            continue;
        }
        let read = tail.read().await;
        let Some(strong) = shared.upgrade() else {
            return;
        };
        match read {
            Ok(entries) => {
                must_read = !entries.is_empty() && (must_read || tail.is_behind());
                let log = log::log(&room);
                let mut inner = strong.lock();
                for stored in entries {
                    match log::decode(&log, &stored.value) {
                        Ok(entry) => inner.take_in(&room, stored.seq, entry),
                        Err(e) => {
                            tracing::error!(room = %room, seq = stored.seq, "{e}");
                            inner.world.lost(&room, stored.seq);
                        }
                    }
                }
                inner.note_place(&room);
                inner.tell();
            }
            Err(e) => {
                drop(strong);
                must_read = recover(&shared, &room, &mut tail, e).await;
                if !must_read {
                    return;
                }
            }
        }
    }
}

/// What to do when a log cannot be read; whether it can go on.
async fn recover(shared: &Weak<Shared>, room: &RoomName, tail: &mut Tail, why: Error) -> bool {
    let Some(shared) = shared.upgrade() else {
        return false;
    };
    match why.kind() {
        Kind::Gone => {
            let (store, log) = (shared.store_of(room).clone(), log::log(room));
            if let Ok(oldest) = store.oldest(&log).await {
                let through = oldest.saturating_sub(1);
                let mut inner = shared.lock();
                inner.world.lost(room, through);
                inner.note_place(room);
                inner.tell();
                *tail = state::tail(store, log, through);
            }
        }
        // The store is closed: the end of the server.
        Kind::Closed => {
            let inner = shared.lock();
            inner
                .outboxes
                .values()
                .for_each(|outbox| outbox.cut(Cut::Over));
            return false;
        }
        _ => {
            tracing::error!(room = %room, hint = why.next_step(), "{why}");
            drop(shared);
            tokio::time::sleep(AGAIN).await;
        }
    }
    true
}
