//! How a server ends: accepting stops, conversations go on until a deadline, what is left is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, watch};

use crate::net::Ending;

/// How far the end of a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// What is in hand is finished.
    Ending,
    /// What is left is cut.
    Cut,
}

/// The end of a server, seen from all its parts.
#[derive(Debug)]
pub(super) struct Drain {
    stopping: watch::Sender<bool>,
    /// What must be gone before the server has ended: accept loops and conversations.
    parts: AtomicUsize,
    none_left: Notify,
    /// What connections know of it.
    ending: Ending,
    is_cut: AtomicBool,
    news: Arc<Notify>,
}

impl Drain {
    pub(super) fn new() -> Arc<Drain> {
        Arc::new(Drain {
            stopping: watch::Sender::new(false),
            parts: AtomicUsize::new(0),
            none_left: Notify::new(),
            ending: Ending::of_server(),
            is_cut: AtomicBool::new(false),
            news: Arc::new(Notify::new()),
        })
    }

    /// A part of the server, for as long as what is returned lives.
    pub(super) fn part(self: &Arc<Self>) -> Part {
        self.parts.fetch_add(1, Ordering::Relaxed);
        Part(self.clone())
    }

    /// Returns once accepting must stop.
    pub(super) async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error would mean that the sender is gone, and it is in `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Wakes when the server begins to end, and when conversations are cut.
    pub(super) fn news(&self) -> OwnedNotified {
        self.news.clone().notified_owned()
    }

    pub(super) fn ending(&self) -> &Ending {
        &self.ending
    }

    pub(super) fn stage(&self) -> Stage {
        if !self.ending.is_begun() {
            Stage::Open
        } else if !self.is_cut.load(Ordering::Relaxed) {
            Stage::Ending
        } else {
            Stage::Cut
        }
    }

    pub(super) fn stop(&self) {
        // Once: whoever is told looks for a stage that is new to it.
        if self.ending.begin() {
            self.stopping.send_replace(true);
            self.news.notify_waiters();
        }
    }

    /// Stops accepting, waits for the conversations, cuts those that are left at the deadline. Gives their number.
    pub(super) async fn run(&self, deadline: Duration) -> usize {
        self.stop();
        if tokio::time::timeout(deadline, self.ended()).await.is_ok() {
            return 0;
        }
        let left = self.parts.load(Ordering::Acquire);
        self.is_cut.store(true, Ordering::Relaxed);
        self.news.notify_waiters();
        // Cutting is a wake-up away, unless a service blocks its thread: that one is not waited for.
        let _ = tokio::time::timeout(CUT, self.ended()).await;
        left
    }

    pub(super) fn is_over(&self) -> bool {
        self.parts.load(Ordering::Acquire) == 0
    }

    async fn ended(&self) {
        loop {
            let none_left = self.none_left.notified();
            if self.is_over() {
                return;
            }
            none_left.await;
        }
    }
}

/// How long cut conversations may take to be gone.
const CUT: Duration = Duration::from_secs(1);

/// See [`Drain::part`].
#[derive(Debug)]
pub(super) struct Part(Arc<Drain>);

impl Drop for Part {
    fn drop(&mut self) {
        if self.0.parts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}
