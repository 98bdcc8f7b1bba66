//! Work for threads that may block, handed over by tasks that may not.
//!
//! The bound is on weight, so that few heavy jobs and many light ones take the same memory. Whoever finds the queue
//! full waits its turn. A job's weight is given back when the job is done, and not when it is taken.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
    room: Arc<Semaphore>,
    /// The weight of all that may be in it.
    weight: u32,
}

struct Waiting<T> {
    jobs: VecDeque<Job<T>>,
    is_closed: bool,
    is_nudged: bool,
}

/// A job that was taken; dropping it makes room.
pub(super) struct Job<T> {
    pub(super) work: T,
    _room: OwnedSemaphorePermit,
}

/// What there is to do.
pub(super) enum Taken<T> {
    /// These jobs, at least one, in the order in which they came.
    Jobs(Vec<Job<T>>),
    /// Nothing: it was nudged, or the wait is over.
    Nothing,
    /// Nothing, ever again.
    Closed,
}

/// The queue takes nothing any more.
#[derive(Debug)]
pub(super) struct Closed;

impl<T> Queue<T> {
    pub(super) fn new(weight: usize) -> Queue<T> {
        let weight = u32::try_from(weight.max(1)).unwrap_or(u32::MAX);
        Queue {
            waiting: Mutex::new(Waiting {
                jobs: VecDeque::new(),
                is_closed: false,
                is_nudged: false,
            }),
            changed: Condvar::new(),
            room: Arc::new(Semaphore::new(weight as usize)),
            weight,
        }
    }

    /// Hands a job over, when there is room. One heavier than the whole queue waits until it is empty.
    pub(super) async fn push(&self, work: T, weight: usize) -> Result<(), Closed> {
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(self.weight);
        let room = self.room.clone().acquire_many_owned(weight).await;
        let job = Job {
            work,
            _room: room.map_err(|_| Closed)?,
        };
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(Closed);
        }
        waiting.jobs.push_back(job);
        drop(waiting);
        self.changed.notify_one();
        Ok(())
    }

    /// The next jobs, at most `max`. Blocks until there are some, or for as long as `wait`.
    pub(super) fn take(&self, max: usize, wait: Option<Duration>) -> Taken<T> {
        let mut waiting = self.lock();
        loop {
            if !waiting.jobs.is_empty() {
                let count = waiting.jobs.len().min(max);
                return Taken::Jobs(waiting.jobs.drain(..count).collect());
            }
            if waiting.is_closed {
                return Taken::Closed;
            }
            if std::mem::take(&mut waiting.is_nudged) {
                return Taken::Nothing;
            }
            waiting = match wait {
                None => self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let woken = self.changed.wait_timeout(waiting, wait);
                    let (waiting, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() && waiting.jobs.is_empty() && !waiting.is_closed {
                        return Taken::Nothing;
                    }
                    waiting
                }
            };
        }
    }

    /// Makes one who waits in [`Queue::take`] come back with nothing.
    pub(super) fn nudge(&self) {
        self.lock().is_nudged = true;
        self.changed.notify_one();
    }

    /// Takes nothing more; what is in it will still be given out.
    pub(super) fn close(&self) {
        self.room.close();
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Hands a job over; `false` when that has to wait.
    fn push(queue: &Queue<u32>, work: u32, weight: usize) -> bool {
        let pushed = queue.push(work, weight).now_or_never();
        pushed.is_some_and(|pushed| pushed.is_ok())
    }

    fn take(queue: &Queue<u32>, max: usize) -> Vec<Job<u32>> {
        match queue.take(max, Some(Duration::ZERO)) {
            Taken::Jobs(jobs) => jobs,
            Taken::Nothing | Taken::Closed => Vec::new(),
        }
    }

    #[test]
    fn room_comes_back_when_a_job_is_done_and_not_when_it_is_taken() {
        let queue = Queue::new(10);
        assert!(push(&queue, 1, 6) && push(&queue, 2, 4) && !push(&queue, 3, 1));
        let jobs = take(&queue, 1);
        assert_eq!(jobs[0].work, 1);
        assert!(!push(&queue, 3, 6));
        drop(jobs);
        assert!(push(&queue, 3, 6));
        let rest: Vec<u32> = take(&queue, 9).iter().map(|job| job.work).collect();
        assert_eq!(rest, [2, 3]);
    }

    #[test]
    fn a_job_heavier_than_all_comes_alone() {
        let queue = Queue::new(10);
        assert!(push(&queue, 1, usize::MAX) && !push(&queue, 2, 1));
        drop(take(&queue, 1));
        assert!(push(&queue, 2, 1) && !push(&queue, 3, 11));
    }

    #[test]
    fn what_is_in_a_closed_queue_is_still_given_out() {
        let queue = Queue::new(10);
        assert!(push(&queue, 1, 1));
        queue.close();
        assert!(!push(&queue, 2, 1));
        assert_eq!(take(&queue, 9).len(), 1);
        assert!(matches!(queue.take(9, None), Taken::Closed));
    }

    #[test]
    fn a_nudge_ends_one_wait() {
        let queue: Queue<u32> = Queue::new(10);
        queue.nudge();
        assert!(matches!(queue.take(9, None), Taken::Nothing));
        let wait = Some(Duration::from_millis(1));
        assert!(matches!(queue.take(9, wait), Taken::Nothing));
    }
}
