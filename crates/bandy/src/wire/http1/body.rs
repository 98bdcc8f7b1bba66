//! Bodies (RFC 9112, sections 6 and 7): where they lie in a stream of bytes, and where they end.

use ::http::HeaderMap;
use httparse::Status;

use super::fields::is_forbidden_trailer;
use super::head::{Bounds, Length, check_line_ends, map};
use super::reject::Reject;

/// Takes a body out of a stream of bytes. It copies nothing: it says which range of its input is body.
#[derive(Debug, Clone)]
pub struct BodyDecoder {
    stage: Stage,
    bounds: Bounds,
    /// Bytes of chunk extensions so far.
    extensions: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// So many bytes are left of the body.
    Known(u64),
    UntilClose,
    ChunkHead,
    /// So many bytes are left of a chunk.
    Chunk(u64),
    ChunkTail,
    Trailers,
    Done,
}

/// What stands at the start of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `input[skip..skip + len]` is body.
    Data {
        /// Framing before it.
        skip: usize,
        /// At least 1.
        len: usize,
    },
    /// Nothing whole. So many bytes were framing and are done with; what is left comes again with more behind it.
    More {
        /// May be 0.
        consumed: usize,
    },
    /// The body is over, and these were its trailers.
    End {
        /// Framing before its end.
        consumed: usize,
        /// Without those that a trailer must not be.
        trailers: Option<HeaderMap>,
    },
}

/// The longest chunk line: sixteen digits and an extension. Bytes.
const CHUNK_LINE: usize = 16 + 256;
/// Chunk extensions of one body. Bytes.
const EXTENSIONS: usize = 16 << 10;

impl BodyDecoder {
    /// For a body of this length.
    pub fn new(length: Length, bounds: &Bounds) -> BodyDecoder {
        BodyDecoder {
            stage: match length {
                Length::None => Stage::Known(0),
                Length::Known(length) => Stage::Known(length),
                Length::Chunked => Stage::ChunkHead,
                Length::UntilClose => Stage::UntilClose,
            },
            bounds: *bounds,
            extensions: 0,
        }
    }

    /// What stands at the start of `input`.
    ///
    /// # Errors
    /// Why it is no body.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Reject> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            match self.stage {
                Stage::Done => {
                    return Ok(Step::End {
                        consumed: at,
                        trailers: None,
                    });
                }
                Stage::Known(0) => self.stage = Stage::Done,
                _ if rest.is_empty() => return Ok(Step::More { consumed: at }),
                Stage::UntilClose => {
                    return Ok(Step::Data {
                        skip: at,
                        len: rest.len(),
                    });
                }
                Stage::Known(left) => {
                    let len = left.min(rest.len() as u64);
                    self.stage = Stage::Known(left - len);
                    return Ok(Step::Data {
                        skip: at,
                        len: len as usize,
                    });
                }
                Stage::Chunk(left) => {
                    let len = left.min(rest.len() as u64);
                    self.stage = match left - len {
                        0 => Stage::ChunkTail,
                        left => Stage::Chunk(left),
                    };
                    return Ok(Step::Data {
                        skip: at,
                        len: len as usize,
                    });
                }
                Stage::ChunkTail => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.stage = Stage::ChunkHead;
                    }
                    [b'\r'] => return Ok(Step::More { consumed: at }),
                    _ => return Err(Reject::ChunkEnd),
                },
                Stage::ChunkHead => {
                    let Some((size, len)) = self.chunk_line(rest)? else {
                        return Ok(Step::More { consumed: at });
                    };
                    at += len;
                    self.stage = match size {
                        0 => Stage::Trailers,
                        size => Stage::Chunk(size),
                    };
                }
                Stage::Trailers => {
                    let Some((trailers, len)) = self.trailers(rest)? else {
                        return Ok(Step::More { consumed: at });
                    };
                    self.stage = Stage::Done;
                    return Ok(Step::End {
                        consumed: at + len,
                        trailers,
                    });
                }
            }
        }
    }

    /// A chunk's size and the length of its line, which is judged as far as it has come.
    fn chunk_line(&mut self, input: &[u8]) -> Result<Option<(u64, usize)>, Reject> {
        let digits = input.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > 16 {
            return Err(Reject::ChunkSize);
        }
        let size = input.iter().take(digits).fold(0, |size, digit| {
            size << 4 | u64::from((*digit as char).to_digit(16).unwrap_or_default())
        });
        let extension = match input.get(digits..) {
            None | Some([]) => return Ok(None),
            _ if digits == 0 => return Err(Reject::ChunkSize),
            Some(extension) => extension,
        };
        if !matches!(extension.first(), Some(b'\r' | b';' | b' ' | b'\t')) {
            return Err(match extension.first() {
                Some(b'\n') => Reject::BareLf,
                _ => Reject::ChunkSize,
            });
        }
        let is_control = |b: &u8| (*b < b' ' && *b != b'\t') || *b == 0x7f;
        let Some(end) = extension.iter().position(is_control) else {
            return match input.len() > CHUNK_LINE {
                true => Err(Reject::ChunkExtension),
                false => Ok(None),
            };
        };
        match extension.get(end..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\r']) => return Ok(None),
            Some([b'\n', ..]) => return Err(Reject::BareLf),
            Some([b'\r', ..]) => return Err(Reject::BareCr),
            _ => return Err(Reject::ChunkExtension),
        }
        let text = extension.get(..end).unwrap_or_default();
        // A space may stand before the semicolon (RFC 9112, section 7.1.1), and not alone.
        if !text.is_empty() && text.trim_ascii_start().first() != Some(&b';') {
            return Err(Reject::ChunkSize);
        }
        self.extensions += end;
        if digits + end > CHUNK_LINE || self.extensions > EXTENSIONS {
            return Err(Reject::ChunkExtension);
        }
        Ok(Some((size, digits + end + 2)))
    }

    /// The trailers and their length, up to and with the empty line.
    fn trailers(&self, input: &[u8]) -> Result<Option<(Option<HeaderMap>, usize)>, Reject> {
        match input {
            [b'\r', b'\n', ..] => return Ok(Some((None, 2))),
            [b'\r'] => return Ok(None),
            _ => {}
        }
        let section = input.get(..self.bounds.head_bytes).unwrap_or(input);
        check_line_ends(section).map_err(|_| Reject::Trailer)?;
        let lines = memchr::memchr_iter(b'\n', section).count();
        let mut slots = vec![httparse::EMPTY_HEADER; lines.min(self.bounds.fields)];
        match httparse::parse_headers(section, &mut slots) {
            Err(httparse::Error::TooManyHeaders) => Err(Reject::TooManyFields),
            Err(_) => Err(Reject::Trailer),
            Ok(Status::Partial) if section.len() < input.len() => Err(Reject::HeadTooLong),
            Ok(Status::Partial) => Ok(None),
            Ok(Status::Complete((len, fields))) => {
                let allowed: Vec<_> = fields
                    .iter()
                    .filter(|field| !is_forbidden_trailer(field.name))
                    .map(|field| (field.name, field.value))
                    .collect();
                let trailers = map(allowed.into_iter(), &bytes::Bytes::new())?;
                Ok(Some((Some(trailers).filter(|t| !t.is_empty()), len)))
            }
        }
    }

    /// The stream ended.
    ///
    /// # Errors
    /// That the body did not.
    pub fn end_of_stream(&mut self) -> Result<(), Reject> {
        match self.stage {
            Stage::Done | Stage::Known(0) | Stage::UntilClose => {
                self.stage = Stage::Done;
                Ok(())
            }
            _ => Err(Reject::Truncated),
        }
    }

    /// Whether nothing more of it comes.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Known(0))
    }

    /// How many bytes are left, where its length was given.
    pub fn remaining(&self) -> Option<u64> {
        match self.stage {
            Stage::Known(left) => Some(left),
            Stage::Done => Some(0),
            _ => None,
        }
    }
}
