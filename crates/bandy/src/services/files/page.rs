//! What a path leads to: a file with its fields ready, in as many encodings as lie beside it.
//!
//! Small files are read into memory here, since sending them from there costs less than a system call. Larger ones stay
//! open, for the connection to send.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::Options;
use super::coding::Coding;
use super::condition::Validators;
use super::media::Media;
use super::path::Path;
use super::root::{Kind, Opened, Root, State, Wait};
use crate::http::{HeaderMap, HeaderValue, header};

/// The longest file that is sent from memory. Bytes.
pub(super) const SMALL: u64 = 64 << 10;

/// How often a file that changes while it is read is read again.
const TRIES: usize = 3;

/// What a path leads to.
pub(super) enum Found {
    File(Page),
    /// A folder without an index.
    Folder,
    /// A folder, asked for without the `/` that its links need.
    Unslashed,
}

/// A file in its encodings.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) plain: Arc<Form>,
    pub(super) encoded: Vec<(Coding, Arc<Form>)>,
}

/// One encoding of a file.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) state: State,
    pub(super) validators: Validators,
    /// The fields of a 200, all but the length.
    pub(super) fields: HeaderMap,
    pub(super) content: Content,
    /// Whether another change would certainly show in its state.
    is_settled: bool,
}

#[derive(Debug)]
pub(super) enum Content {
    Memory(Bytes),
    Disk(Arc<File>),
}

impl Page {
    /// Whether it may be kept: it is in memory, and looking at the files tells whether they are still the same.
    pub(super) fn can_be_kept(&self) -> bool {
        self.forms()
            .all(|form| form.is_settled && matches!(form.content, Content::Memory(_)))
    }

    /// What it takes in memory, beside its fields.
    pub(super) fn bytes(&self) -> u64 {
        self.forms().map(|form| form.state.size).sum()
    }

    pub(super) fn forms(&self) -> impl Iterator<Item = &Form> {
        let encoded = self.encoded.iter().map(|(_, form)| form);
        std::iter::once(&self.plain)
            .chain(encoded)
            .map(|form| &**form)
    }
}

/// Finds what a path leads to. Forms of `known` that are still the same are taken over.
///
/// # Errors
/// [`Errno::AGAIN`] where it would have to wait and may not.
pub(super) fn find(
    root: &Root,
    options: &Options,
    path: &Path,
    wait: Wait,
    known: Option<&Page>,
) -> Result<Found, Errno> {
    let opened = root.look(path.names(), wait)?;
    let load = |opened, names: &[u8]| {
        let loading = Loading {
            root,
            options,
            names,
            wait,
            known,
        };
        loading.page(opened).map(Found::File)
    };
    match (opened.state.kind, path.is_folder()) {
        (Kind::File, false) => load(opened, path.names()),
        (Kind::Folder, false) => Ok(Found::Unslashed),
        (Kind::Folder, true) => {
            for index in &options.index {
                let names = path.join(index.as_bytes());
                match root.look(&names, wait) {
                    Ok(opened) if opened.state.kind == Kind::File => return load(opened, &names),
                    Ok(_) | Err(Errno::NOENT | Errno::LOOP | Errno::XDEV | Errno::NXIO) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(Found::Folder)
        }
        (Kind::File | Kind::Other, _) => Err(Errno::NOENT),
    }
}

struct Loading<'a> {
    root: &'a Root,
    options: &'a Options,
    names: &'a [u8],
    wait: Wait,
    known: Option<&'a Page>,
}

impl Loading<'_> {
    fn page(&self, opened: Opened) -> Result<Page, Errno> {
        let media = Media::of(self.names.rsplit(|b| *b == b'/').next().unwrap_or_default());
        let siblings = match self.options.precompressed && media.is_compressible() {
            true => self.siblings(&opened.state)?,
            false => Vec::new(),
        };
        let has_siblings = !siblings.is_empty();
        let load = |opened: Opened, coding: Option<Coding>| {
            if let Some(form) = self.known(coding, &opened.state, has_siblings) {
                return Ok(form);
            }
            let form = self
                .form(opened)?
                .with_fields(media, coding, has_siblings, self.options);
            Ok(Arc::new(form))
        };
        Ok(Page {
            plain: load(opened, None)?,
            encoded: siblings
                .into_iter()
                .map(|(coding, opened)| Ok((coding, load(opened, Some(coding))?)))
                .collect::<Result<_, Errno>>()?,
        })
    }

    /// The compressed copies. One that is older than the file is a copy of something else.
    fn siblings(&self, plain: &State) -> Result<Vec<(Coding, Opened)>, Errno> {
        let mut found = Vec::new();
        for coding in Coding::ALL {
            match self
                .root
                .look(&[self.names, coding.suffix()].concat(), self.wait)
            {
                Ok(opened)
                    if opened.state.kind == Kind::File
                        && opened.state.modified.0 >= plain.modified.0 =>
                {
                    found.push((coding, opened));
                }
                Err(Errno::AGAIN) => return Err(Errno::AGAIN),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(found)
    }

    fn known(&self, coding: Option<Coding>, state: &State, varies: bool) -> Option<Arc<Form>> {
        let known = self.known?;
        let form = match coding {
            None => Some(&known.plain),
            Some(coding) => known
                .encoded
                .iter()
                .find(|(c, _)| *c == coding)
                .map(|(_, f)| f),
        };
        form.filter(|form| form.state == *state && form.fields.contains_key(header::VARY) == varies)
            .cloned()
    }

    /// Reads a small file; its state is that in which it was read.
    fn form(&self, opened: Opened) -> Result<Form, Errno> {
        let Opened { file, mut state } = opened;
        let now = now();
        if state.size > SMALL {
            return Ok(Form::new(state, Content::Disk(Arc::new(file)), now));
        }
        let mut content = read(&file, state.size, self.wait)?;
        for _ in 0..TRIES {
            let after = State::of(&file)?;
            if after == state {
                return Ok(Form::new(state, Content::Memory(content), now));
            }
            state = after;
            content = read(&file, state.size.min(SMALL), self.wait)?;
        }
        // Somebody writes it all the time. What was read is sent, and not said to be anything that comes again.
        let mut form = Form::new(state, Content::Memory(content), now);
        form.is_settled = false;
        form.validators.is_weak = true;
        Ok(form)
    }
}

fn read(file: &File, size: u64, wait: Wait) -> Result<Bytes, Errno> {
    let flags = match wait {
        Wait::Never => ReadWriteFlags::NOWAIT,
        Wait::Disk => ReadWriteFlags::empty(),
    };
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| Errno::FBIG)?];
    let mut len = 0;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        let mut rest = [std::io::IoSliceMut::new(rest)];
        match preadv2(file, &mut rest, len as u64, flags) {
            Ok(0) => break,
            Ok(n) => len = len.saturating_add(n),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) if wait == Wait::Never => {
                return Err(Errno::AGAIN);
            }
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(len);
    Ok(bytes.into())
}

impl Form {
    fn new(mut state: State, content: Content, now: (i64, u64)) -> Form {
        if let Content::Memory(bytes) = &content {
            state.size = bytes.len() as u64;
        }
        Form {
            validators: validators(&state, now),
            is_settled: is_settled(state.last_touched(), now),
            fields: HeaderMap::new(),
            state,
            content,
        }
    }

    fn with_fields(
        mut self,
        media: Media,
        coding: Option<Coding>,
        varies: bool,
        options: &Options,
    ) -> Form {
        let fields = &mut self.fields;
        fields.insert(header::CONTENT_TYPE, media.value());
        if let Some(coding) = coding {
            fields.insert(header::CONTENT_ENCODING, coding.value());
        }
        fields.extend(fields_of(&self.validators));
        fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let nosniff = HeaderValue::from_static("nosniff");
        fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        if varies {
            let accept = HeaderValue::from_static("accept-encoding");
            fields.insert(header::VARY, accept);
        }
        let cache_control = options.cache_control.as_deref();
        if let Some(Ok(value)) = cache_control.map(HeaderValue::from_str) {
            fields.insert(header::CACHE_CONTROL, value);
        }
        self
    }
}

/// `ETag` and `Last-Modified`.
pub(super) fn fields_of(validators: &Validators) -> HeaderMap {
    let mut fields = HeaderMap::new();
    if let Ok(etag) = HeaderValue::try_from(validators.etag()) {
        fields.insert(header::ETAG, etag);
    }
    // A date to come would be replaced by the present (RFC 9110, section 8.8.2.1).
    let seconds = u64::try_from(validators.modified.min(now().0)).unwrap_or(0);
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let modified = modified.map(|time| HeaderValue::try_from(httpdate::fmt_http_date(time)));
    if let Some(Ok(modified)) = modified {
        fields.insert(header::LAST_MODIFIED, modified);
    }
    fields
}

/// A file's tag and time. The tag is weak while another write could still get the same time stamp.
pub(super) fn validators(state: &State, now: (i64, u64)) -> Validators {
    let stamp = nanos(state.modified);
    Validators {
        tag: format!("\"{stamp:x}-{:x}-{:x}\"", state.size, state.inode),
        is_weak: !is_settled(state.modified, now),
        modified: state.modified.0,
    }
}

/// How far apart two writes must be to have different time stamps: a tick of the system's clock and one more, or the two
/// seconds of a file system that knows no fractions.
pub(super) fn grain(stamp: (i64, u64)) -> Duration {
    match stamp.1 {
        0 => Duration::from_secs(2),
        _ => Duration::from_millis(20),
    }
}

fn is_settled(stamp: (i64, u64), now: (i64, u64)) -> bool {
    nanos(now).abs_diff(nanos(stamp)) > grain(stamp).as_nanos()
}

fn nanos((seconds, nanos): (i64, u64)) -> i128 {
    // Neither factor has more than 64 bits.
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

/// Seconds since 1970, and nanoseconds.
pub(super) fn now() -> (i64, u64) {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            since.subsec_nanos().into(),
        ),
        Err(_) => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_settles_after_its_grain() {
        let now = (1000, 500_000_000);
        for (stamp, expected) in [
            ((1000, 499_999_999), false),
            ((1000, 481_000_000), false),
            ((1000, 479_000_000), true),
            // Whole seconds are a coarse clock's.
            ((1000, 0), false),
            ((999, 0), false),
            ((998, 0), true),
            // A date to come is somebody's own; it only matters when it is nearly now.
            ((1000, 510_000_000), false),
            ((2000, 1), true),
            ((i64::MIN, 1), true),
        ] {
            assert_eq!(is_settled(stamp, now), expected, "{stamp:?}");
        }
    }
}
