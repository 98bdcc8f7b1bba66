//! Decoding what `Accept-Encoding` asked for: gzip, br, zstd, one upon another if need be.
//!
//! Decoders pull: what comes out is read in pieces, however much a few bytes stand for, and no more is taken from the
//! server while nobody reads on.

use std::io::{self, BufReader, Read};

use bandy::error::{Error, Kind, Side};
use bytes::{Buf, Bytes};
use tokio::sync::mpsc::Receiver;

/// An encoding that is undone here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Brotli,
    Zstd,
}

/// More of them upon another are a trap.
const DEPTH_MAX: usize = 3;
/// What is read for a decoder at once.
const BUFFER: usize = 16 << 10;
/// A window of 8 MiB is the most that zstd may want over HTTP (RFC 9659).
const ZSTD_WINDOW_LOG: u32 = 23;

impl Encoding {
    /// The encodings of a `Content-Encoding`, in the order in which they were put on. `None`: there is one that is not
    /// known here, and the body stays as it is.
    pub fn all<'a>(fields: impl Iterator<Item = &'a str>) -> Option<Vec<Encoding>> {
        let mut encodings = Vec::new();
        for name in fields.flat_map(|field| field.split(',')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => encodings.push(Encoding::Gzip),
                "br" => encodings.push(Encoding::Brotli),
                "zstd" => encodings.push(Encoding::Zstd),
                _ => return None,
            }
        }
        (encodings.len() <= DEPTH_MAX).then_some(encodings)
    }
}

/// A body as it comes out of its encodings; `of` is who sent it.
///
/// # Errors
/// What the zstd library says of its own making.
pub fn reader(
    encodings: &[Encoding],
    chunks: Receiver<Bytes>,
    of: &str,
) -> io::Result<Box<dyn Read + Send>> {
    let mut reader: Box<dyn Read + Send> = Box::new(Chunks {
        chunks,
        at: Bytes::new(),
    });
    for encoding in encodings.iter().rev() {
        let buffered = BufReader::with_capacity(BUFFER, reader);
        let decoder: Box<dyn Read + Send> = match encoding {
            Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
            Encoding::Brotli => Box::new(brotli::Decompressor::new(buffered, BUFFER)),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        reader = Box::new(Explained {
            inner: decoder,
            encoding: *encoding,
            of: of.to_owned(),
        });
    }
    Ok(reader)
}

/// Chunks that another task sends, as a reader that waits.
struct Chunks {
    chunks: Receiver<Bytes>,
    at: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.at = chunk,
                None => return Ok(0),
            }
        }
        let n = buf.len().min(self.at.len());
        self.at.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

/// Says of a failure what failed.
struct Explained {
    inner: Box<dyn Read + Send>,
    encoding: Encoding,
    of: String,
}

impl Read for Explained {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buf).map_err(|e| {
            // An inner decoder's own words.
            if e.get_ref().is_some_and(|inner| inner.is::<Error>()) {
                return e;
            }
            let name = match self.encoding {
                Encoding::Gzip => "gzip",
                Encoding::Brotli => "br",
                Encoding::Zstd => "zstd",
            };
            Error::new(
                Kind::Protocol,
                Side::Upstream,
                format!("decoding the answer of {}", self.of),
            )
            .because(format!("it is not {name} as it says, or is cut off: {e}"))
            .hint("Accept-Encoding:identity asks for it as it is")
            .into_io()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn decoded(encodings: &[Encoding], bytes: &[u8], cut: usize) -> io::Result<Vec<u8>> {
        let (sender, chunks) = tokio::sync::mpsc::channel(bytes.len() / cut + 1);
        for chunk in bytes.chunks(cut) {
            sender
                .try_send(Bytes::copy_from_slice(chunk))
                .expect("room");
        }
        drop(sender);
        let mut out = Vec::new();
        reader(encodings, chunks, "here")?.read_to_end(&mut out)?;
        Ok(out)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("finished")
    }

    #[test]
    fn each_and_one_upon_another() {
        let text = b"Hello, hello, hello! ".repeat(1000);
        let zstd = zstd::encode_all(&text[..], 1).expect("encoded");
        for cut in [1, 7, 4096] {
            assert_eq!(
                decoded(&[Encoding::Gzip], &gzip(&text), cut).expect("gzip"),
                text
            );
            assert_eq!(decoded(&[Encoding::Zstd], &zstd, cut).expect("zstd"), text);
            let both = gzip(&zstd);
            let both = decoded(&[Encoding::Zstd, Encoding::Gzip], &both, cut);
            assert_eq!(both.expect("both"), text);
        }
        // `printf 'Hello' | brotli`, as a stored block.
        let brotli = b"\x0b\x02\x80Hello\x03";
        assert_eq!(
            decoded(&[Encoding::Brotli], brotli, 2).expect("br"),
            b"Hello"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for encoding in [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd] {
            let error = decoded(&[encoding], b"this is no such thing", 5).expect_err("no");
            assert!(error.to_string().contains("decoding the answer"), "{error}");
        }
        let half = &gzip(b"Hello")[..12];
        decoded(&[Encoding::Gzip], half, 5).expect_err("cut off");
    }

    #[test]
    fn names() {
        let all = |field: &'static str| Encoding::all([field].into_iter());
        assert_eq!(
            all("gzip, BR"),
            Some(vec![Encoding::Gzip, Encoding::Brotli])
        );
        assert_eq!(all("identity"), Some(vec![]));
        assert_eq!(all("compress"), None);
        assert_eq!(all("gzip,gzip,gzip,gzip"), None);
    }
}
