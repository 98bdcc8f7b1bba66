//! `--download`: an answer's body as a file, taken up again where it broke off.
//!
//! Until it is whole the file is called `NAME.part`. Beside it `NAME.part.json` says of which URL it is a part, and by
//! what the server knows that the rest still fits (RFC 9110, sections 13.1.5 and 14.2). No file is ever replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use bandy::Endpoint;
use bandy::error::{Error, Kind, Result, Side};
use bandy::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use serde::{Deserialize, Serialize};

use super::course::{Course, Stop};
use super::output::field;
use super::{cookies, name, url};
use crate::report;

/// What there is of a file.
#[derive(Debug)]
pub struct Partial {
    /// Whole, it is called so, or as the server says.
    path: PathBuf,
    /// The user's own wish.
    is_wanted: bool,
    file: File,
    /// Bytes.
    have: u64,
    url: String,
    validator: Option<String>,
}

/// What stands beside a part.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    url: String,
    validator: String,
}

impl Partial {
    /// What there is of the file at `url` already; nothing, perhaps.
    ///
    /// # Errors
    /// The file is there, is being downloaded, or cannot be written.
    pub fn find(url: &Endpoint, output: Option<&Path>) -> Result<Partial> {
        let own_name = name::of_url(url::path(url));
        let path = match output {
            Some(folder) if folder.is_dir() => folder.join(&own_name),
            Some(file) => file.to_owned(),
            None => PathBuf::from(&own_name),
        };
        if output.is_some() && path.symlink_metadata().is_ok() {
            return Err(report::usage(
                format!("saving as `{}`", path.display()),
                "there is such a file, and none is replaced",
                "remove it, or choose another name",
            ));
        }
        let part = beside(&path, ".part");
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let file = options
            .open(&part)
            .map_err(|e| failed("opening", &part, e))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let act = format!("opening `{}`", part.display());
            Error::new(Kind::Usage, Side::Local, act)
                .because("another download writes it")
                .hint("wait for that one, or choose another name with -o")
        })?;
        let len = file
            .metadata()
            .map_err(|e| failed("reading", &part, e))?
            .len();
        let url = url.to_string();
        let note = fs::read(beside(&path, ".part.json")).ok();
        let note = note.and_then(|note| serde_json::from_slice::<Note>(&note).ok());
        let validator = note
            .filter(|note| note.url == url && len > 0)
            .map(|note| note.validator);
        Ok(Partial {
            path,
            is_wanted: output.is_some(),
            file,
            have: if validator.is_some() { len } else { 0 },
            url,
            validator,
        })
    }

    /// Asks for what is missing, if the rest is still the rest of the same.
    pub fn ask(&self, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        let range = HeaderValue::try_from(format!("bytes={}-", self.have));
        let validator = self.validator.as_deref().map(HeaderValue::try_from);
        if let (Ok(range), Some(Ok(validator))) = (range, validator) {
            fields.push((header::RANGE, range));
            fields.push((header::IF_RANGE, validator));
        }
    }

    /// Whether an answer of this status is about the file.
    pub fn is_for(&self, status: StatusCode) -> bool {
        status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE && self.have > 0
    }

    fn part(&self) -> PathBuf {
        beside(&self.path, ".part")
    }

    /// Notes by what the rest can be asked for; without that it begins anew the next time.
    fn note(&self, headers: &HeaderMap) -> io::Result<()> {
        let path = beside(&self.path, ".part.json");
        let Some(validator) = validator(headers) else {
            return match fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        };
        let note = Note {
            url: self.url.clone(),
            validator,
        };
        fs::write(path, serde_json::to_vec(&note)?)
    }

    /// Gives the whole file its name, which nobody else has.
    fn name(&self, headers: &HeaderMap) -> Result<PathBuf> {
        let part = self.part();
        let wanted =
            match field(headers, header::CONTENT_DISPOSITION).and_then(name::of_disposition) {
                Some(name) if !self.is_wanted => self.path.with_file_name(name),
                _ => self.path.clone(),
            };
        const TRIES: usize = 1000;
        for n in 0..TRIES {
            let path = match n {
                0 => wanted.clone(),
                n => name::numbered(&wanted, n),
            };
            match renameat_with(CWD, &part, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    // Beside a whole file it means nothing, and is overwritten by the next.
                    let _ = fs::remove_file(beside(&self.path, ".part.json"));
                    return Ok(path);
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && !self.is_wanted => {}
                Err(e) => return Err(failed("saving as", &path, e.into())),
            }
        }
        Err(failed(
            "saving as",
            &wanted,
            io::ErrorKind::AlreadyExists.into(),
        ))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // What nothing was written to was not needed.
        let is_empty = self.file.metadata().is_ok_and(|file| file.len() == 0);
        if is_empty {
            let _ = fs::remove_file(self.part());
            let _ = fs::remove_file(beside(&self.path, ".part.json"));
        }
    }
}

/// Saves an answer; `false` when it was interrupted.
///
/// # Errors
/// The answer breaks off or does not fit, or the disk is full. What came is kept for the next time.
pub async fn save(
    mut part: Partial,
    course: &mut Course,
    mut answer: Response,
    stop: &Stop,
) -> Result<bool> {
    let headers = answer.headers().clone();
    let mut total = answer.body().len_hint();
    let url = part.url.clone();
    let wrong = |why: &str| {
        Error::new(Kind::Protocol, Side::Upstream, format!("downloading {url}"))
            .because(why)
            .hint("remove the .part file to begin anew")
    };
    match (answer.status(), range(&headers)) {
        (StatusCode::PARTIAL_CONTENT, Some((Some(first), whole))) if first == part.have => {
            total = whole
        }
        (StatusCode::PARTIAL_CONTENT, _) => {
            return Err(wrong("the server sends another part than was asked for"));
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some((None, Some(whole)))) if whole == part.have => {
            total = Some(whole);
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, _) => {
            return Err(wrong("it has become shorter than what is here"));
        }
        _ => {
            part.have = 0;
            part.file
                .set_len(0)
                .map_err(|e| failed("writing", &part.part(), e))?;
            part.note(&headers)
                .map_err(|e| failed("writing beside", &part.part(), e))?;
        }
    }
    let is_whole = answer.status() == StatusCode::RANGE_NOT_SATISFIABLE;
    let bar = bar(total, part.have);
    if !is_whole && !pour(&mut part, course, &mut answer, stop, &bar).await? {
        return Ok(false);
    }
    bar.finish_and_clear();
    course.end();
    if total.is_some_and(|total| total != part.have) {
        return Err(wrong("the server's parts do not make the whole"));
    }
    let path = part.name(&headers)?;
    let name = crate::ask::visible::show(path.to_string_lossy().as_bytes());
    report::say(format_args!("saved {name} ({} bytes)", part.have));
    // An empty file is one too, and has its name by now.
    Ok(true)
}

/// Writes the answer's body behind what there is; `false` when it was interrupted.
async fn pour(
    part: &mut Partial,
    course: &mut Course,
    answer: &mut Response,
    stop: &Stop,
    bar: &ProgressBar,
) -> Result<bool> {
    loop {
        let piece = tokio::select! {
            piece = course.piece(answer) => piece,
            () = stop.clone().wait() => {
                bar.abandon();
                course.end();
                report::note(&format!(
                    "{} bytes are here; the same command goes on from there",
                    part.have
                ));
                return Ok(false);
            }
        };
        let data = match piece {
            Ok(Some(data)) => data,
            Ok(None) => return Ok(true),
            Err(e) => {
                bar.abandon();
                course.end();
                let error = Error::new(e.kind(), e.side(), e.to_string());
                return Err(error
                    .hint("the same command goes on from where it broke off, if the server can"));
            }
        };
        let written = part.file.write_all(&data);
        written.map_err(|e| failed("writing", &part.part(), e))?;
        part.have += data.len() as u64;
        bar.set_position(part.have);
    }
}

/// By what the server knows this very version of the file: a strong ETag, else a date that is long enough ago to be one
/// (RFC 9110, section 8.8.2.2).
fn validator(headers: &HeaderMap) -> Option<String> {
    if let Some(tag) = field(headers, header::ETAG) {
        return tag.starts_with('"').then(|| tag.to_owned());
    }
    let modified = field(headers, header::LAST_MODIFIED)?;
    let now = cookies::date(field(headers, header::DATE)?)?;
    (now - cookies::date(modified)? >= 60).then(|| modified.to_owned())
}

/// Where a `Content-Range` begins, if anywhere, and how long the whole is, if known: `bytes 5-9/10`, `bytes */10`.
fn range(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let text = field(headers, header::CONTENT_RANGE)?;
    let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range
        .split_once('-')
        .and_then(|(first, _)| first.parse().ok());
    Some((first, whole.parse().ok()))
}

fn bar(total: Option<u64>, have: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    // The templates are right, and without them there is a plainer bar.
    let style = ProgressStyle::with_template(template);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_position(have);
    bar.reset_eta();
    bar
}

fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    name.into()
}

fn failed(doing: &str, path: &Path, cause: io::Error) -> Error {
    let name = crate::ask::visible::show(path.to_string_lossy().as_bytes());
    let hint = match cause.kind() {
        io::ErrorKind::AlreadyExists => "no file is replaced; choose another name with -o",
        io::ErrorKind::NotFound => "is there such a folder?",
        _ => "see the system's message",
    };
    let act = format!("{doing} `{name}`");
    Error::new(Kind::Io, Side::Local, act)
        .because(cause)
        .hint(hint)
}
