//! Copies of a store at intervals, in a folder of their own, of which only the newest stay.
//!
//! When the next one is due is told by the age of the newest copy: a restart delays none, and one that was missed while
//! the machine was off is made up for at once.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use time::format_description::FormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use super::Store;
use crate::error::{Error, Kind, Plain, Result, Side};
use crate::net::ca::files;

/// How long after a failure it is tried again, where the interval is not shorter.
const RETRY: Duration = Duration::from_secs(60);
/// The longest sleep: the wall clock may be set, and does not stop while the machine sleeps.
const NAP: Duration = Duration::from_secs(60);

/// The shortest interval: names have no more than seconds.
const SHORTEST: Duration = Duration::from_secs(1);

const STAMP: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const BEFORE: &str = "bandy-";
const BEHIND: &str = ".db";

/// When copies are made, where, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// From one copy to the next.
    pub every: Duration,
    /// How many stay, the new one among them; 1 at least.
    pub keep: usize,
    /// Where they are, as `bandy-20260131T235959Z.db`; made where it is not there. Other files in it are left alone.
    pub folder: PathBuf,
}

/// Makes the copies that a schedule asks for, as long as it is polled; a tokio runtime must be around it. A copy that
/// fails is logged, and tried again.
pub async fn run(store: Arc<dyn Store>, schedule: Schedule) -> Infallible {
    let every = schedule.every.max(SHORTEST);
    loop {
        let wait = turn(&*store, &schedule, every)
            .await
            .unwrap_or_else(|error| {
                tracing::error!(hint = error.next_step(), "{error}");
                every.min(RETRY)
            });
        tokio::time::sleep(wait.min(NAP)).await;
    }
}

/// Makes a copy if one is due, and says when the next one is.
async fn turn(store: &dyn Store, schedule: &Schedule, every: Duration) -> Result<Duration> {
    let folder = schedule.folder.clone();
    let newest = blocking("looking for backups in", &schedule.folder, move || {
        Ok(names(&folder)?
            .iter()
            .filter_map(|name| made_at(name))
            .max())
    });
    let wait = due_in(newest.await?, SystemTime::now(), every);
    if !wait.is_zero() {
        return Ok(wait);
    }
    let path = make(store, &schedule.folder, schedule.keep).await?;
    tracing::info!(path = %path.display(), "backed up the store");
    Ok(every)
}

/// Makes one copy now, named after the time, and removes the oldest beyond `keep`: where the new one is.
///
/// # Errors
/// As [`Store::backup`], and [`Kind::Io`] when the folder cannot be made, read or written.
pub async fn make(store: &dyn Store, folder: &Path, keep: usize) -> Result<PathBuf> {
    let path = folder.join(name(SystemTime::now()));
    let to = folder.to_owned();
    blocking("making the folder", folder, move || files::create_dir(&to)).await?;
    store.backup(&path).await?;
    let from = folder.to_owned();
    blocking("removing old backups from", folder, move || {
        prune(&from, keep)
    })
    .await?;
    Ok(path)
}

/// Removes the copies beyond the newest `keep`, and what was left of unfinished ones before those.
fn prune(folder: &Path, keep: usize) -> io::Result<()> {
    let names = names(folder)?;
    let newest = names.iter().filter_map(|name| made_at(name)).max();
    let unfinished = names
        .iter()
        .filter(|name| begun_at(name).is_some_and(|begun| Some(begun) < newest));
    let old = surplus(names.iter().map(String::as_str), keep.max(1));
    for name in unfinished.map(String::as_str).chain(old) {
        match fs::remove_file(folder.join(name)) {
            // Another process keeps the same folder in order.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

/// The names in a folder that are text, as ours are; none when there is no folder.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// What the file system says, asked where it may block.
async fn blocking<T: Send + 'static>(
    act: &str,
    folder: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.unwrap_or_else(|e| Err(io::Error::other(e)));
    done.map_err(|cause| {
        let act = format!("{act} {}", folder.display());
        Error::new(Kind::Io, Side::Local, act)
            .because(Plain(cause))
            .hint("may this user write to it?")
    })
}

/// How long to wait for the next copy when the newest is this old: not at all, where there is none, and never longer
/// than the interval, also when the clock was set back since.
pub fn due_in(newest: Option<SystemTime>, now: SystemTime, every: Duration) -> Duration {
    let age = newest.map(|newest| now.duration_since(newest).unwrap_or_default());
    age.map_or(Duration::ZERO, |age| every.saturating_sub(age))
}

/// What a copy made at this time is called.
pub fn name(at: SystemTime) -> String {
    // The format has a place for everything that it needs; a name without a time would be one that is never removed.
    let stamp = OffsetDateTime::from(at).format(STAMP).unwrap_or_default();
    format!("{BEFORE}{stamp}{BEHIND}")
}

/// When the copy of this name was made; `None` for what is not the name of one.
pub fn made_at(name: &str) -> Option<SystemTime> {
    let stamp = name.strip_prefix(BEFORE)?.strip_suffix(BEHIND)?;
    let made = PrimitiveDateTime::parse(stamp, STAMP).ok()?;
    Some(made.assume_utc().into())
}

/// When a copy was begun whose file has this name for as long as it is not whole: `.NAME.PID.N`.
fn begun_at(name: &str) -> Option<SystemTime> {
    let (name, _) = name.strip_prefix('.')?.rsplit_once('.')?;
    made_at(name.rsplit_once('.')?.0)
}

/// Those of the names that are copies, but not among the newest `keep`: what is to be removed.
pub fn surplus<'a>(names: impl IntoIterator<Item = &'a str>, keep: usize) -> Vec<&'a str> {
    let mut copies: Vec<&str> = names.into_iter().filter(|n| made_at(n).is_some()).collect();
    // Names are in the order of their times.
    copies.sort_unstable();
    copies.truncate(copies.len().saturating_sub(keep));
    copies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_name_says_when() {
        assert_eq!(name(at(1_795_246_483)), "bandy-20261121T073443Z.db");
        assert_eq!(
            made_at("bandy-20261121T073443Z.db"),
            Some(at(1_795_246_483))
        );
        for other in [
            "bandy-.db",
            "bandy-20261121T073443Z.db.old",
            "bandy-20261341T073443Z.db",
        ] {
            assert_eq!(made_at(other), None, "{other}");
        }
        let unfinished = ".bandy-20261121T073443Z.db.4711.0";
        assert_eq!(begun_at(unfinished), Some(at(1_795_246_483)));
        assert_eq!(begun_at("bandy-20261121T073443Z.db"), None);
    }

    #[test]
    fn the_age_of_the_newest_says_when_the_next_is_due() {
        let every = Duration::from_secs(100);
        let due = |newest: Option<u64>, now| due_in(newest.map(at), at(now), every).as_secs();
        assert_eq!(due(None, 1_000), 0);
        assert_eq!(due(Some(1_000), 1_000), 100);
        assert_eq!(due(Some(1_000), 1_099), 1);
        assert_eq!(due(Some(1_000), 1_100), 0);
        assert_eq!(due(Some(1_000), 9_000), 0, "the machine was off");
        assert_eq!(due(Some(1_000), 500), 100, "the clock was set back");
    }

    #[test]
    fn only_the_oldest_copies_are_too_many() {
        let names: Vec<String> = [5, 1, 4, 2, 3].map(|n| name(at(n))).into();
        let names = names
            .iter()
            .map(String::as_str)
            .chain(["notes.txt", "bandy.db"]);
        let names: Vec<&str> = names.collect();
        assert_eq!(surplus(names.iter().copied(), 3), [names[1], names[3]]);
        assert!(surplus(names.iter().copied(), 5).is_empty());
        assert_eq!(surplus(names, 0).len(), 5);
    }
}
