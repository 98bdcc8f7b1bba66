//! PUT: a file as a whole, or not at all.

use std::sync::Arc;

use ::http::request::Parts;

use super::page::{fields_of, grain, now, validators};
use super::staged::{Done, Place, Staged, too_large};
use super::stop::{Stop, on_a_thread, problem};
use super::{Inner, resume};
use crate::http::{Body, HeaderMap, Response, StatusCode, header};

/// Answers a PUT.
pub(super) async fn put(inner: &Arc<Inner>, head: Parts, mut body: Body) -> Result<Response, Stop> {
    let path = inner.path(head.uri.path())?;
    if path.is_folder() {
        return Err(problem(StatusCode::CONFLICT, "a folder cannot be put"));
    }
    let coding = head.headers.get(header::CONTENT_ENCODING);
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a file is put as it is, without a content coding",
        ));
    }
    let max = inner.options.upload_bytes;
    if body.len_hint().is_some_and(|len| len > max) {
        return Err(too_large(max));
    }
    let (place, asked) = {
        let inner = inner.clone();
        on_a_thread(move || Ok((Place::of(&inner, path)?, head.headers))).await?
    };
    let asked = may_be_replaced(inner, &place, asked).await?;
    resume::sweep(inner, &place).await;
    if asked.contains_key(header::CONTENT_RANGE) {
        return resume::put(inner, place, asked, body).await;
    }
    let mut staged = {
        let place = place.clone();
        on_a_thread(move || Staged::new(&place)).await?
    };
    staged.take(&mut body, max).await?;
    finish(inner, staged, place, asked).await
}

/// Looks at the conditions before the body comes: most that fail, fail here.
///
/// A condition on a file that was written this moment waits until its tag is certain, so that who writes and writes
/// again is not refused for being quick.
async fn may_be_replaced(
    inner: &Arc<Inner>,
    place: &Place,
    asked: HeaderMap,
) -> Result<HeaderMap, Stop> {
    if asked.contains_key(header::IF_MATCH) {
        let (inner, place) = (inner.clone(), place.clone());
        let nothing = HeaderMap::new();
        let state = on_a_thread(move || place.check(&inner, &nothing)).await?;
        if let Some(state) = state.filter(|state| validators(state, now()).is_weak) {
            tokio::time::sleep(grain(state.modified)).await;
        }
    }
    let (inner, place) = (inner.clone(), place.clone());
    on_a_thread(move || place.check(&inner, &asked).map(|_| asked)).await
}

/// Puts a file that is complete in its place, and says so.
pub(super) async fn finish(
    inner: &Arc<Inner>,
    staged: Staged,
    place: Place,
    asked: HeaderMap,
) -> Result<Response, Stop> {
    let inner = inner.clone();
    let Done { is_new, state } = on_a_thread(move || staged.put(&inner, &place, &asked)).await?;
    let mut response = crate::http::empty(match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::NO_CONTENT,
    });
    // Nothing else writes into a file of ours, so its tag is its own from the beginning.
    let mut validators = validators(&state, now());
    validators.is_weak = false;
    response.headers_mut().extend(fields_of(&validators));
    Ok(response)
}
