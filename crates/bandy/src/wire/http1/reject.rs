//! Why a message is not taken.

use std::fmt;

use ::http::StatusCode;

/// Why a head or a body is not taken: one variant a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reject {
    /// A line that ends with LF alone.
    BareLf,
    /// CR without LF.
    BareCr,
    /// A NUL byte.
    Nul,
    /// A field that goes on in the next line (obs-fold).
    Fold,
    /// The first line is not one.
    StartLine,
    /// A field's name or value has bytes that it must not have.
    Field,
    /// A version that is not spoken here.
    Version,
    /// The request target does not fit its method, or has bytes that it must not have.
    Target,
    /// The request target is too long.
    TargetTooLong,
    /// The head is too long.
    HeadTooLong,
    /// The head has too many fields.
    TooManyFields,
    /// No Host field.
    NoHost,
    /// More than one Host field.
    TwoHosts,
    /// The Host field, or the target's authority, is not one.
    BadHost,
    /// A Content-Length that is not one, or more than one.
    BadLength,
    /// Content-Length beside Transfer-Encoding.
    TwoLengths,
    /// A Transfer-Encoding other than `chunked`.
    BadEncoding,
    /// Transfer-Encoding in HTTP/1.0.
    EncodingInHttp10,
    /// An expectation other than `100-continue`.
    Expectation,
    /// A chunk's size is not one.
    ChunkSize,
    /// A chunk's extension is too long, or has bytes that it must not have.
    ChunkExtension,
    /// A chunk does not end where it should.
    ChunkEnd,
    /// A malformed trailer.
    Trailer,
    /// The body ends before its end.
    Truncated,
}

impl Reject {
    /// What a server answers.
    pub fn status(self) -> StatusCode {
        match self {
            Reject::TargetTooLong => StatusCode::URI_TOO_LONG,
            Reject::HeadTooLong | Reject::TooManyFields => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Reject::Expectation => StatusCode::EXPECTATION_FAILED,
            Reject::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reject::BareLf => "a line ends with LF alone",
            Reject::BareCr => "there is a CR without its LF",
            Reject::Nul => "there is a NUL byte",
            Reject::Fold => "a field goes on in the next line",
            Reject::StartLine => "the first line is malformed",
            Reject::Field => "a field is malformed",
            Reject::Version => "the version is not HTTP/1.0 or HTTP/1.1",
            Reject::Target => "the request target is malformed",
            Reject::TargetTooLong => "the request target is too long",
            Reject::HeadTooLong => "the head is too long",
            Reject::TooManyFields => "there are too many fields",
            Reject::NoHost => "there is no Host",
            Reject::TwoHosts => "there is more than one Host",
            Reject::BadHost => "the host is malformed",
            Reject::BadLength => "the Content-Length is malformed or repeated",
            Reject::TwoLengths => "there are both Content-Length and Transfer-Encoding",
            Reject::BadEncoding => "the Transfer-Encoding is not chunked",
            Reject::EncodingInHttp10 => "HTTP/1.0 has no Transfer-Encoding",
            Reject::Expectation => "the expectation is not 100-continue",
            Reject::ChunkSize => "a chunk's size is malformed",
            Reject::ChunkExtension => "a chunk's extension is malformed or too long",
            Reject::ChunkEnd => "a chunk does not end where it should",
            Reject::Trailer => "a trailer is malformed",
            Reject::Truncated => "the body ends too early",
        })
    }
}

impl std::error::Error for Reject {}
