//! DELETE: files, and folders with nothing in them.

use std::sync::{Arc, PoisonError};

use ::http::request::Parts;
use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use super::Inner;
use super::condition::{Verdict, judge};
use super::page::{now, validators};
use super::path::Path;
use super::root::Kind;
use super::stop::{Stop, missing, on_a_thread, problem};
use crate::http::{HeaderMap, Problem, Response, StatusCode};

/// Answers a DELETE.
pub(super) async fn delete(inner: &Arc<Inner>, head: Parts) -> Result<Response, Stop> {
    let path = inner.path(head.uri.path())?;
    if path.is_root() {
        return Err(problem(StatusCode::FORBIDDEN, "the root stays"));
    }
    let inner = inner.clone();
    on_a_thread(move || remove(&inner, &path, &head.headers)).await?;
    Ok(crate::http::empty(StatusCode::NO_CONTENT))
}

fn remove(inner: &Inner, path: &Path, asked: &HeaderMap) -> Result<(), Stop> {
    let _alone = inner
        .replacing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let state = inner.root.state(path.names())?;
    let there = match state.kind {
        Kind::Other => return Err(missing()),
        Kind::File if path.is_folder() => return Err(missing()),
        Kind::File | Kind::Folder => validators(&state, now()),
    };
    if judge(asked, false, Some(&there)) != Verdict::Go {
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED).into());
    }
    let folder = inner.root.folder(path.parent())?;
    // Of a link inside the root the link goes, and not what it leads to.
    let stat = fs::statat(&folder, path.name(), AtFlags::SYMLINK_NOFOLLOW)?;
    let flags = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    match fs::unlinkat(&folder, path.name(), flags) {
        Ok(()) => {}
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            return Err(problem(StatusCode::CONFLICT, "the folder is not empty"));
        }
        Err(e) => return Err(e.into()),
    }
    inner.cache.written();
    fs::fsync(&folder)?;
    Ok(())
}
