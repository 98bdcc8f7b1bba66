//! POST: the files of a form, as the listing's page sends it.
//!
//! They are put in their places when all of the form has come. A file that is there already is only replaced when the
//! form says so (`replace`), before the files.

use std::sync::Arc;

use ::http::request::Parts;
use multer::{Constraints, Field, Multipart, SizeLimit};

use super::path::{self, Path};
use super::staged::{Place, Staged, too_large};
use super::stop::{Stop, on_a_thread, problem};
use super::{Inner, redirect};
use crate::error::Error;
use crate::http::{Body, HeaderMap, HeaderValue, Problem, Response, StatusCode, header};

/// The most files in one form: each is an open file until the form is complete.
const FILES_MAX: usize = 100;

/// Answers a POST.
pub(super) async fn post(inner: &Arc<Inner>, head: Parts, body: Body) -> Result<Response, Stop> {
    let folder = inner.path(head.uri.path())?;
    if !folder.is_folder() {
        return Ok(inner.allow(StatusCode::METHOD_NOT_ALLOWED));
    }
    let max = inner.options.upload_bytes;
    let mut form = read(&head.headers, body, max)?;
    let mut fields = HeaderMap::new();
    // As if each file were put with this condition.
    fields.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
    let mut files: Vec<(Place, Staged)> = Vec::new();
    while let Some(field) = form.next_field().await.map_err(|e| failed(e, max))? {
        match field.file_name().map(str::to_owned) {
            None if field.name() == Some("replace") => {
                fields.remove(header::IF_NONE_MATCH);
            }
            // What a browser sends where no file was chosen.
            None => {}
            Some(name) if name.is_empty() => {}
            Some(_) if files.len() >= FILES_MAX => {
                let detail = format!("a form has at most {FILES_MAX} files");
                return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &detail));
            }
            Some(name) => files.push(take(inner, &folder, &name, field, max).await?),
        }
    }
    if files.is_empty() {
        return Err(problem(StatusCode::BAD_REQUEST, "the form has no file"));
    }
    let inner = inner.clone();
    on_a_thread(move || {
        // Nothing is put if one may not be.
        for (place, _) in &files {
            place
                .check(&inner, &fields)
                .map_err(|stop| taken(stop, place))?;
        }
        for (place, staged) in files {
            let put = staged.put(&inner, &place, &fields);
            put.map_err(|stop| taken(stop, &place))?;
        }
        Ok(())
    })
    .await?;
    Ok(redirect(StatusCode::SEE_OTHER, "./"))
}

fn read(fields: &HeaderMap, body: Body, max: u64) -> Result<Multipart<'static>, Stop> {
    let media_type = fields.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(media_type.unwrap_or_default()).map_err(|_| {
        problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "files are posted as multipart/form-data; PUT takes any file as it is",
        )
    })?;
    let pieces = futures_util::stream::unfold(body, |mut body| async move {
        let data = body.data().await.transpose()?;
        Some((data, body))
    });
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(max));
    Ok(Multipart::with_constraints(pieces, boundary, limits))
}

async fn take(
    inner: &Arc<Inner>,
    folder: &Path,
    name: &str,
    mut field: Field<'static>,
    max: u64,
) -> Result<(Place, Staged), Stop> {
    let path = named(inner, folder, name)?;
    let (place, mut staged) = {
        let inner = inner.clone();
        on_a_thread(move || {
            let place = Place::of(&inner, path)?;
            let staged = Staged::new(&place)?;
            Ok((place, staged))
        })
        .await?
    };
    while let Some(data) = field.chunk().await.map_err(|e| failed(e, max))? {
        staged.write(data, max).await?;
    }
    staged.flush().await?;
    Ok((place, staged))
}

/// The path of a file that a form names. Some browsers send folders along; they do not count.
fn named(inner: &Inner, folder: &Path, name: &str) -> Result<Path, Stop> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain = !name.chars().any(char::is_control);
    if is_plain && path::can_be_asked_for(name.as_bytes(), inner.options.hidden) {
        let names = folder.join(name.as_bytes());
        return inner.path(&format!("/{}", encoded(&names)));
    }
    Err(Problem::new(StatusCode::BAD_REQUEST)
        .field("file", "its name cannot be a file's here")
        .into())
}

fn encoded(names: &[u8]) -> String {
    let names = names.split(|b| *b == b'/').map(path::encode);
    names.collect::<Vec<_>>().join("/")
}

/// Which of the form's files was in the way.
fn taken(stop: Stop, place: &Place) -> Stop {
    match stop {
        Stop::Answer(response) if response.status() == StatusCode::PRECONDITION_FAILED => {
            let name = String::from_utf8_lossy(place.name()).into_owned();
            Problem::new(StatusCode::CONFLICT)
                .detail(format!("there is a file {name:?} already"))
                .into()
        }
        stop => stop,
    }
}

fn failed(error: multer::Error, max: u64) -> Stop {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => {
            too_large(max)
        }
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Error>() {
            Ok(error) => (*error).into(),
            Err(_) => malformed(),
        },
        _ => malformed(),
    }
}

fn malformed() -> Stop {
    problem(
        StatusCode::BAD_REQUEST,
        "the form is malformed or breaks off",
    )
}
