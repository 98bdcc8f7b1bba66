//! Bodies out of a stream of bytes, none of them copied.

use http::HeaderMap;

use super::trailers::Trailers;
use super::{Bounds, Length, Reject};

/// A chunk's extensions say nothing that anybody understands.
const EXTENSION_BYTES: usize = 256;
/// Of all chunks together: a body of extensions would be work without end.
const EXTENSIONS_BYTES: usize = 16 * 1024;
/// As many as 64 bits have.
const SIZE_DIGITS: u8 = 16;

/// Takes a body out of a stream of bytes: says which of them are body.
///
/// ```
/// use bandy::wire::http1::{BodyDecoder, Bounds, Length, Step};
///
/// let mut body = BodyDecoder::new(Length::Chunked, &Bounds::default());
/// let input = b"5\r\nhello\r\n0\r\n\r\n";
/// assert_eq!(body.decode(input), Ok(Step::Data { skip: 3, len: 5 }));
/// let end = Step::End { consumed: 7, trailers: None };
/// assert_eq!(body.decode(&input[8..]), Ok(end));
/// assert!(body.is_done());
/// ```
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of extensions in all chunks so far.
    extensions: usize,
    /// Once they begin.
    trailers: Option<Box<Trailers>>,
    bounds: Bounds,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// So many bytes of a body whose length was known.
    Known(u64),
    UntilClose,
    /// In a chunk's size: what it is so far, and how many digits that was.
    Size {
        size: u64,
        digits: u8,
    },
    /// In a chunk's extensions.
    Extension {
        size: u64,
        length: usize,
    },
    /// LF follows, and ends the line of a chunk of this size.
    SizeLf {
        size: u64,
    },
    /// So many bytes of a chunk.
    Chunk(u64),
    /// CRLF follows a chunk.
    ChunkCr,
    ChunkLf,
    Trailers,
    Done,
    Failed(Reject),
}

/// What the start of some input is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Body: `len` bytes, never 0, behind `skip` bytes that are none. Both are consumed.
    Data {
        /// Bytes before the body's.
        skip: usize,
        /// Bytes of the body.
        len: usize,
    },
    /// Nothing but framing, all of it consumed; more input is needed.
    More {
        /// Bytes that were taken: all of the input.
        consumed: usize,
    },
    /// The body is over. What follows belongs to the next message.
    End {
        /// Bytes that were taken.
        consumed: usize,
        /// The fields behind a chunked body, without those that have no place there
        /// ([`is_forbidden_trailer`](super::is_forbidden_trailer)).
        trailers: Option<HeaderMap>,
    },
}

impl BodyDecoder {
    /// For a body of this length. Trailers have the same bounds as a head.
    pub fn new(length: Length, bounds: &Bounds) -> BodyDecoder {
        BodyDecoder {
            state: match length {
                Length::None | Length::Known(0) => State::Done,
                Length::Known(length) => State::Known(length),
                Length::Chunked => State::Size { size: 0, digits: 0 },
                Length::UntilClose => State::UntilClose,
            },
            extensions: 0,
            trailers: None,
            bounds: *bounds,
        }
    }

    /// Looks at the start of `input`, which is what follows the bytes that were consumed before. Call it again with the
    /// rest until it gives `More` or `End`. Nothing is allocated unless there are trailers.
    ///
    /// # Errors
    ///
    /// What is wrong with the framing. It is the same at each further call: nothing after it can be trusted.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, Reject> {
        let step = self.step(input);
        if let Err(reject) = step {
            self.state = State::Failed(reject);
        }
        step
    }

    /// Nothing follows any more. That is fine where the body was over, or lasts until then.
    ///
    /// # Errors
    ///
    /// [`Reject::Truncated`]: the rest is missing. What was wrong before, if anything was.
    pub fn end_of_stream(&mut self) -> Result<(), Reject> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Failed(reject) => Err(reject),
            _ => {
                self.state = State::Failed(Reject::Truncated);
                Err(Reject::Truncated)
            }
        }
    }

    /// Whether the body is over: what follows belongs to the next message.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// How many bytes of body are still to come, where that is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Known(remaining) => Some(remaining),
            _ => None,
        }
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, Reject> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            // States that take more than one byte at once.
            match self.state {
                State::Done => {
                    let (consumed, trailers) = (at, None);
                    return Ok(Step::End { consumed, trailers });
                }
                State::Failed(reject) => return Err(reject),
                _ if rest.is_empty() => return Ok(Step::More { consumed: at }),
                State::UntilClose => {
                    let len = rest.len();
                    return Ok(Step::Data { skip: at, len });
                }
                State::Known(left) => {
                    let (len, left) = part(rest, left);
                    self.state = match left {
                        0 => State::Done,
                        left => State::Known(left),
                    };
                    return Ok(Step::Data { skip: at, len });
                }
                State::Chunk(left) => {
                    let (len, left) = part(rest, left);
                    self.state = match left {
                        0 => State::ChunkCr,
                        left => State::Chunk(left),
                    };
                    return Ok(Step::Data { skip: at, len });
                }
                State::Trailers => return self.trailers(rest, at),
                _ => {}
            }
            let Some(&byte) = rest.first() else {
                return Ok(Step::More { consumed: at });
            };
            self.state = self.framing(byte)?;
            at += 1;
        }
    }

    /// The state behind one byte of what is around chunks.
    fn framing(&mut self, byte: u8) -> Result<State, Reject> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) => match char::from(byte).to_digit(16) {
                Some(_) if digits == SIZE_DIGITS => Err(Reject::ChunkSize),
                // 16 digits are 64 bits: nothing is shifted out.
                Some(digit) => Ok(State::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }),
                None if digits == 0 => Err(Reject::ChunkSize),
                None => match byte {
                    b'\r' => Ok(State::SizeLf { size }),
                    b';' => self.extension(size, 1),
                    b'\n' => Err(Reject::LineEnd),
                    _ => Err(Reject::ChunkSize),
                },
            },
            (State::Extension { size, .. }, b'\r') => Ok(State::SizeLf { size }),
            (State::Extension { .. }, b'\n') => Err(Reject::LineEnd),
            (State::Extension { size, length }, _) if !byte.is_ascii_control() => {
                self.extension(size, length + 1)
            }
            (State::Extension { .. }, _) => Err(Reject::ChunkExtension),
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Trailers),
            (State::SizeLf { size }, b'\n') => Ok(State::Chunk(size)),
            (State::SizeLf { .. }, _) => Err(Reject::LineEnd),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::ChunkCr | State::ChunkLf, _) => Err(Reject::ChunkEnd),
            (state, _) => Ok(state),
        }
    }

    fn extension(&mut self, size: u64, length: usize) -> Result<State, Reject> {
        self.extensions += 1;
        if length > EXTENSION_BYTES || self.extensions > EXTENSIONS_BYTES {
            return Err(Reject::ChunkExtension);
        }
        Ok(State::Extension { size, length })
    }

    /// The trailers in `rest`, which begins at `at` of the input.
    fn trailers(&mut self, rest: &[u8], at: usize) -> Result<Step, Reject> {
        // Nearly always there are none.
        if self.trailers.is_none() && rest.starts_with(b"\r\n") && self.bounds.head_bytes >= 2 {
            self.state = State::Done;
            let (consumed, trailers) = (at + 2, None);
            return Ok(Step::End { consumed, trailers });
        }
        let trailers = self.trailers.get_or_insert_default();
        let (taken, is_over) = trailers.take(rest, &self.bounds)?;
        let consumed = at + taken;
        if !is_over {
            return Ok(Step::More { consumed });
        }
        self.state = State::Done;
        let trailers = self.trailers.take();
        let trailers = trailers.and_then(|trailers| trailers.into_map());
        Ok(Step::End { consumed, trailers })
    }
}

/// How much of these bytes belongs to a part of the body with `left` bytes to come, and how many are left then.
fn part(bytes: &[u8], left: u64) -> (usize, u64) {
    let available = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match left.checked_sub(available) {
        Some(left) => (bytes.len(), left),
        // Less than what is there, so it fits.
        None => (usize::try_from(left).unwrap_or(bytes.len()), 0),
    }
}

#[cfg(test)]
mod tests;
