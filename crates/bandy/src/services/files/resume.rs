//! Uploads that may break off: PUT with `Content-Range` (RFC 9110, section 14.5), which continues where HEAD says.
//!
//! What has arrived lies beside the file's place, under a name made of the file's own, for a day after its last byte.
//! One upload of a file goes on at a time; the system's lock on what lies there says whose. That the parts are of one file
//! is the client's to see to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use rustix::fs::{self, AtFlags, Dir, FlockOperation};
use rustix::io::Errno;

use super::path::{Path, RESERVED};
use super::root::{Kind, State};
use super::staged::{Place, Staged, too_large};
use super::stop::{Stop, on_a_thread, problem};
use super::{Inner, page, upload};
use crate::http::{
    Body, HeaderMap, HeaderName, HeaderValue, Problem, Response, StatusCode, header,
};

/// Where to go on, in HEAD's answer and in those that say that it was elsewhere.
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// How long what broke off is kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a folder is looked through for what is not.
const SWEPT: Duration = Duration::from_secs(600);

/// `Content-Range: bytes FIRST-LAST/TOTAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    total: u64,
}

impl Range {
    fn of(asked: &HeaderMap) -> Option<Range> {
        let line = asked.get(header::CONTENT_RANGE)?.to_str().ok()?;
        let (unit, range) = line.trim().split_once(' ')?;
        let (span, total) = range.trim().split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let number = |digits: &str| {
            let is_number = digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse::<u64>().ok()).flatten()
        };
        let range = Range {
            first: number(first)?,
            last: number(last)?,
            total: number(total)?,
        };
        let is_range = range.first <= range.last && range.last < range.total;
        (unit.eq_ignore_ascii_case("bytes") && is_range).then_some(range)
    }
}

/// Takes one part. The conditions were looked at.
pub(super) async fn put(
    inner: &Arc<Inner>,
    place: Place,
    asked: HeaderMap,
    mut body: Body,
) -> Result<Response, Stop> {
    let Some(range) = Range::of(&asked) else {
        return Err(problem(
            StatusCode::BAD_REQUEST,
            "Content-Range is `bytes FIRST-LAST/TOTAL` here",
        ));
    };
    if range.total > inner.options.upload_bytes {
        return Err(too_large(inner.options.upload_bytes));
    }
    // Both ends are below the total.
    let len = range.last.saturating_sub(range.first).saturating_add(1);
    if body.len_hint().is_some_and(|hint| hint != len) {
        return Err(problem(
            StatusCode::BAD_REQUEST,
            "the body is not as long as its Content-Range",
        ));
    }
    let mut staged = {
        let place = place.clone();
        on_a_thread(move || open(&place, range)).await?
    };
    let end = range.last.saturating_add(1);
    staged.take(&mut body, end).await?;
    if staged.len() == range.total {
        return upload::finish(inner, staged, place, asked).await;
    }
    // What is said to be here stays, also when the power fails.
    let staged = on_a_thread(move || staged.sync().map(|()| staged)).await?;
    let mut response = crate::http::empty(StatusCode::ACCEPTED);
    let offset = HeaderValue::from(staged.len());
    response.headers_mut().insert(UPLOAD_OFFSET, offset);
    Ok(response)
}

/// What arrived before, ready for what comes next. The first byte begins anew.
fn open(place: &Place, range: Range) -> Result<Staged, Stop> {
    let name = name_of(place.name());
    let mut staged = Staged::kept(place, name.clone())?;
    let busy = || problem(StatusCode::CONFLICT, "another upload of this file goes on");
    match fs::flock(staged.file(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(busy()),
        Err(e) => return Err(e.into()),
    }
    // While the lock was waited for, it may have been put in its place, and be the file itself now.
    let state = State::of(staged.file())?;
    let there = fs::statat(place.folder(), name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
    if !there.is_ok_and(|there| there.st_ino == state.inode) || state.kind != Kind::File {
        return Err(busy());
    }
    if range.first == 0 {
        fs::ftruncate(staged.file(), 0)?;
    } else if range.first != state.size {
        let answer =
            Problem::new(StatusCode::CONFLICT).detail(format!("it goes on at byte {}", state.size));
        let mut response = answer.response();
        let offset = HeaderValue::from(state.size);
        response.headers_mut().insert(UPLOAD_OFFSET, offset);
        return Err(response.into());
    }
    staged.go_on_at(range.first);
    Ok(staged)
}

/// Adds to a HEAD's answer where an upload of this file would go on.
pub(super) async fn tell(
    inner: &Arc<Inner>,
    path: Path,
    answered: Result<Response, Stop>,
) -> Result<Response, Stop> {
    let mut response = match answered {
        Ok(response) => response,
        Err(Stop::Answer(response)) if response.status() == StatusCode::NOT_FOUND => *response,
        Err(stop) => return Err(stop),
    };
    let inner = inner.clone();
    let offset = on_a_thread(move || {
        let Ok(folder) = inner.root.folder(path.parent()) else {
            return Ok(0);
        };
        let name = name_of(path.name());
        let there = fs::statat(&folder, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
        Ok(there.map_or(0, |stat| State::from(&stat).size))
    });
    let offset = HeaderValue::from(offset.await?);
    response.headers_mut().insert(UPLOAD_OFFSET, offset);
    Ok(response)
}

/// Now and then, removes what uploads into this folder left behind and nobody went on with.
pub(super) async fn sweep(inner: &Arc<Inner>, place: &Place) {
    {
        let mut swept = inner
            .swept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if swept.is_some_and(|at| at.elapsed() < SWEPT) {
            return;
        }
        *swept = Some(Instant::now());
    }
    let place = place.clone();
    // What cannot be removed is left for the next time.
    let _ = on_a_thread(move || Ok(remove_old(&place)?)).await;
}

fn remove_old(place: &Place) -> Result<(), Errno> {
    let oldest = page::now().0.saturating_sub_unsigned(KEPT.as_secs());
    let mut folder = Dir::read_from(place.folder())?;
    while let Some(entry) = folder.read() {
        let entry = entry?;
        let name = entry.file_name();
        if !name.to_bytes().starts_with(RESERVED) {
            continue;
        }
        let stat = fs::statat(place.folder(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        if stat.st_mtime < oldest {
            fs::unlinkat(place.folder(), name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// A digest, since a name may be as long as names can be already.
fn name_of(name: &[u8]) -> Vec<u8> {
    let digest = digest::digest(&digest::SHA256, name);
    let mut out = RESERVED.to_vec();
    for byte in digest.as_ref().iter().take(16) {
        out.extend_from_slice(format!("{byte:02x}").as_bytes());
    }
    out.extend_from_slice(b".half");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = |first, last, total| Some(Range { first, last, total });
        for (line, expected) in [
            ("bytes 0-9/10", range(0, 9, 10)),
            ("Bytes 5-7/10", range(5, 7, 10)),
            ("bytes 0-10/10", None),
            ("bytes 5-4/10", None),
            ("bytes */10", None),
            ("bytes 0-9/*", None),
            ("bytes -9/10", None),
            ("bytes +0-9/10", None),
            ("lines 0-9/10", None),
            ("bytes 0-99999999999999999999/10", None),
            ("", None),
        ] {
            let mut fields = HeaderMap::new();
            fields.insert(header::CONTENT_RANGE, HeaderValue::from_static(line));
            assert_eq!(Range::of(&fields), expected, "{line}");
        }
    }
}
