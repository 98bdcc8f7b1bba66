//! Small files in memory, ready to be sent.
//!
//! An entry is believed for a second and then looked at again, so that is how long a file that changed may be sent as it
//! was; what this service writes itself is seen at once. The cache is divided among threads, so that event loops do
//! not wait for each other: each part is found by the thread, and holds what that thread was asked for.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::Page;
use crate::net::Tick;

/// How long an entry is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// What an entry counts for beside its files' bytes: fields, key and place in the table. Bytes, generously.
const OVERHEAD: u64 = 2 << 10;

pub(super) struct Cache {
    parts: Box<[Mutex<Part>]>,
    /// The most that each part holds.
    part_bytes: u64,
    /// How often this service wrote. Entries from before are looked at again.
    writes: AtomicU64,
}

#[derive(Default)]
struct Part {
    entries: HashMap<Box<str>, Entry, foldhash::quality::RandomState>,
    /// The entries' keys, in the order in which they are looked at for one to go.
    queue: VecDeque<Box<str>>,
    bytes: u64,
}

struct Entry {
    page: Arc<Page>,
    checked: Tick,
    writes: u64,
    /// Asked for since it was last looked at: it gets another round.
    is_used: bool,
    bytes: u64,
}

/// What is known of a target.
pub(super) enum Known {
    Fresh(Arc<Page>),
    /// To be looked at again.
    Stale(Arc<Page>),
    Nothing,
}

impl Cache {
    /// A cache of at most so many bytes, all parts together; 0 keeps nothing.
    pub(super) fn new(bytes: u64, parts: usize) -> Cache {
        let parts = parts.max(1);
        Cache {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            part_bytes: bytes / parts as u64,
            writes: AtomicU64::new(0),
        }
    }

    /// What is known of a request's target as it was written.
    pub(super) fn find(&self, target: &str) -> Known {
        if self.part_bytes == 0 {
            return Known::Nothing;
        }
        let mut part = self.part();
        let Some(entry) = part.entries.get_mut(target) else {
            return Known::Nothing;
        };
        entry.is_used = true;
        let page = entry.page.clone();
        let is_fresh = entry.writes == self.writes() && entry.checked.elapsed() < BELIEVED;
        match is_fresh {
            true => Known::Fresh(page),
            false => Known::Stale(page),
        }
    }

    /// How often this service wrote so far: asked before looking at a file, given to [`Cache::keep`] after.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// Something was written: what is known has to be looked at again.
    pub(super) fn written(&self) {
        self.writes.fetch_add(1, Ordering::AcqRel);
    }

    /// Remembers a page that was found just now, if it can be kept.
    pub(super) fn keep(&self, target: &str, page: &Arc<Page>, writes: u64) {
        let bytes = page
            .bytes()
            .saturating_add(OVERHEAD)
            .saturating_add(target.len() as u64 * 2);
        // One entry does not push out half of the others.
        if bytes > self.part_bytes / 4 || !page.can_be_kept() {
            return self.forget(target);
        }
        let mut part = self.part();
        let before = part.bytes;
        let entry = Entry {
            page: page.clone(),
            checked: Tick::now(),
            writes,
            is_used: false,
            bytes,
        };
        let replaced = part.entries.insert(target.into(), entry);
        if replaced.is_none() {
            part.queue.push_back(target.into());
        }
        part.bytes = before
            .saturating_sub(replaced.map_or(0, |entry| entry.bytes))
            .saturating_add(bytes);
        part.shrink(self.part_bytes);
    }

    /// What is there no more.
    pub(super) fn forget(&self, target: &str) {
        let mut part = self.part();
        if let Some(entry) = part.entries.remove(target) {
            part.bytes = part.bytes.saturating_sub(entry.bytes);
            part.queue.retain(|key| **key != *target);
        }
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        let at = NUMBER.get().checked_rem(self.parts.len()).unwrap_or(0);
        // `at` is below the length, which is one at least.
        let part = &self.parts[at];
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Lets entries go until there is room: the first in the queue that was not asked for since it got there.
    fn shrink(&mut self, max: u64) {
        while self.bytes > max {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if entry.is_used {
                entry.is_used = false;
                self.queue.push_back(key);
            } else {
                self.bytes = self.bytes.saturating_sub(entry.bytes);
                self.entries.remove(&key);
            }
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("parts", &self.parts.len())
            .field("part_bytes", &self.part_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::files::Options;
    use crate::services::files::page::{Found, find};
    use crate::services::files::path::Path;
    use crate::services::files::root::{Root, Wait};

    /// A page that may be kept: its file has been there for longer than the clock's grain.
    fn page() -> Arc<Page> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a"), vec![0; 1000]).expect("written");
        let root = Root::open(folder.path()).expect("a root");
        let options = Options::new(folder.path());
        let path = Path::parse("/a", false).expect("a path");
        loop {
            match find(&root, &options, &path, Wait::Disk, None) {
                Ok(Found::File(page)) if page.can_be_kept() => return Arc::new(page),
                Ok(Found::File(_)) => std::thread::yield_now(),
                _ => panic!("there is a file"),
            }
        }
    }

    #[test]
    fn it_holds_so_much_and_keeps_what_is_asked_for() {
        let cache = Cache::new(100 << 10, 1);
        let page = page();
        cache.keep("/wanted", &page, 0);
        for n in 0..1000 {
            assert!(matches!(cache.find("/wanted"), Known::Fresh(_)), "{n}");
            cache.keep(&format!("/{n}"), &page, 0);
            let part = cache.part();
            assert!(part.bytes <= 100 << 10);
            assert_eq!(part.entries.len(), part.queue.len());
            let sum: u64 = part.entries.values().map(|entry| entry.bytes).sum();
            assert_eq!(part.bytes, sum);
        }
        assert!(cache.part().entries.len() > 20);
        assert!(matches!(cache.find("/0"), Known::Nothing));
        cache.forget("/wanted");
        assert!(matches!(cache.find("/wanted"), Known::Nothing));
    }

    #[test]
    fn what_was_written_is_looked_at_again() {
        let cache = Cache::new(1 << 20, 1);
        let page = page();
        cache.keep("/a", &page, cache.writes());
        assert!(matches!(cache.find("/a"), Known::Fresh(_)));
        let before = cache.writes();
        cache.written();
        assert!(matches!(cache.find("/a"), Known::Stale(_)));
        // It was written while the file was looked at.
        cache.keep("/a", &page, before);
        assert!(matches!(cache.find("/a"), Known::Stale(_)));
        cache.keep("/a", &page, cache.writes());
        assert!(matches!(cache.find("/a"), Known::Fresh(_)));
    }

    #[test]
    fn a_cache_of_nothing_and_one_too_small() {
        let page = page();
        for bytes in [0, 1, 5000] {
            let cache = Cache::new(bytes, 1);
            cache.keep("/a", &page, 0);
            assert!(matches!(cache.find("/a"), Known::Nothing), "{bytes}");
        }
    }
}
