//! The three encoders as one.

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::Coding;
use crate::error::{Error, Kind, Result, Side};

/// What each costs: levels at which an answer that is made now is pressed about as fast as it is made, and windows of
/// 256 KiB, so that a stream that stays open for long does not hold megabytes.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
const WINDOW_BITS: u32 = 18;
/// Brotli's own buffer. Bytes.
const BUFFER: usize = 16 << 10;

/// Bytes in, fewer bytes out.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    /// `None` is one that could not be made.
    Zstd(Option<ZstdEncoder<'static, Vec<u8>>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    pub(super) fn new(coding: Coding) -> Encoder {
        match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Encoder::Gzip(GzEncoder::new(Vec::new(), level))
            }
            Coding::Brotli => {
                let writer = CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, WINDOW_BITS);
                Encoder::Brotli(Box::new(writer))
            }
            Coding::Zstd => Encoder::Zstd(zstd_encoder().ok()),
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer()
            .and_then(|writer| writer.write_all(bytes))
            .map_err(failed)
    }

    /// Brings out all that went in.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.writer()
            .and_then(|writer| writer.flush())
            .map_err(failed)
    }

    /// What has come out.
    pub(super) fn take(&mut self) -> Bytes {
        let out = match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zstd(Some(encoder)) => encoder.get_mut(),
            Encoder::Zstd(None) => return Bytes::new(),
            Encoder::Brotli(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }

    /// Ends it: the last that comes out.
    pub(super) fn finish(self) -> Result<Bytes> {
        let out = match self {
            Encoder::Gzip(encoder) => encoder.finish().map_err(failed)?,
            Encoder::Zstd(Some(encoder)) => encoder.finish().map_err(failed)?,
            Encoder::Zstd(None) => return Err(failed(no_memory())),
            Encoder::Brotli(encoder) => encoder.into_inner(),
        };
        Ok(out.into())
    }

    fn writer(&mut self) -> io::Result<&mut dyn Write> {
        match self {
            Encoder::Gzip(encoder) => Ok(encoder),
            Encoder::Zstd(Some(encoder)) => Ok(encoder),
            Encoder::Zstd(None) => Err(no_memory()),
            Encoder::Brotli(encoder) => Ok(encoder),
        }
    }
}

fn zstd_encoder() -> io::Result<ZstdEncoder<'static, Vec<u8>>> {
    let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW_BITS))?;
    Ok(encoder)
}

/// The one reason for which an encoder cannot be made.
fn no_memory() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}

fn failed(cause: io::Error) -> Error {
    Error::new(Kind::Other, Side::Local, "compressing a body").because(cause)
}
