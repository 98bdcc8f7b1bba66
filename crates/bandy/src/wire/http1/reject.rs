//! Why a message is not taken, and what a server answers then.

use std::fmt;

use http::StatusCode;

/// Why a head or a body is not taken. One variant a cause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// The first line is not `METHOD target HTTP/1.1`.
    RequestLine,
    /// The first line is not `HTTP/1.1 200 reason`.
    StatusLine,
    /// The method is longer than any that exists.
    MethodTooLong,
    /// The target has a byte that is not allowed there, or is no path and no URL.
    Target,
    /// The target's form does not fit the method: `*` is for OPTIONS, `host:port` for CONNECT.
    TargetForm,
    /// The target is longer than [`target_bytes`](super::Bounds::target_bytes).
    TargetTooLong,
    /// The version is neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A line ends with something other than CRLF.
    LineEnd,
    /// A line begins with a space: a folded field, which RFC 9112 (section 5.2) has made obsolete.
    Folded,
    /// A field's name is empty, has a byte that names do not have (a space before the colon among them), or no colon
    /// follows it.
    FieldName,
    /// A field's value has a control character.
    FieldValue,
    /// The head is longer than [`head_bytes`](super::Bounds::head_bytes).
    HeadTooLarge,
    /// There are more fields than [`fields`](super::Bounds::fields).
    TooManyFields,
    /// Connection has more than 1 KiB in all.
    ConnectionTooLarge,
    /// HTTP/1.1 without Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// Host is not `host` or `host:port`.
    HostInvalid,
    /// Content-Length is not a decimal number of at most 64 bits.
    LengthInvalid,
    /// More than one Content-Length.
    LengthRepeated,
    /// Content-Length and Transfer-Encoding.
    LengthAndEncoding,
    /// Transfer-Encoding is not exactly one `chunked`.
    Encoding,
    /// Transfer-Encoding in HTTP/1.0, which does not know it.
    EncodingTooNew,
    /// Expect is not `100-continue`.
    Expectation,
    /// A 101 that does not say to which protocol it switches.
    SwitchToNothing,
    /// A chunk's size is not a hexadecimal number of at most 16 digits.
    ChunkSize,
    /// A chunk's extensions are too long, or have a control character.
    ChunkExtension,
    /// A chunk is longer than its size says.
    ChunkEnd,
    /// The stream ended before the message did.
    Truncated,
}

impl Reject {
    /// What a server answers to such a request. It closes the connection then: where the next request begins is not
    /// known.
    ///
    /// Who receives a response that is not taken answers 502 (Bad Gateway), if there is anybody to answer.
    pub fn status(self) -> StatusCode {
        match self {
            Reject::TargetTooLong => StatusCode::URI_TOO_LONG,
            Reject::HeadTooLarge | Reject::TooManyFields | Reject::ConnectionTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Reject::Expectation => StatusCode::EXPECTATION_FAILED,
            Reject::MethodTooLong => StatusCode::NOT_IMPLEMENTED,
            Reject::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reject::RequestLine => "the first line is not a method, a target and a version",
            Reject::StatusLine => "the first line is not a version and a status",
            Reject::MethodTooLong => "the method is longer than any that exists",
            Reject::Target => "the target is neither a path nor an http URL",
            Reject::TargetForm => "the target's form does not fit the method",
            Reject::TargetTooLong => "the target is too long",
            Reject::Version => "the version is neither HTTP/1.0 nor HTTP/1.1",
            Reject::LineEnd => "a line does not end with CRLF",
            Reject::Folded => "a field is folded over two lines",
            Reject::FieldName => "a field's name is not valid",
            Reject::FieldValue => "a field's value has a control character",
            Reject::HeadTooLarge => "the head is too large",
            Reject::TooManyFields => "there are too many fields",
            Reject::ConnectionTooLarge => "Connection is too large",
            Reject::HostMissing => "there is no Host",
            Reject::HostRepeated => "there is more than one Host",
            Reject::HostInvalid => "Host is not a host and a port",
            Reject::LengthInvalid => "Content-Length is not a number",
            Reject::LengthRepeated => "there is more than one Content-Length",
            Reject::LengthAndEncoding => "there are both Content-Length and Transfer-Encoding",
            Reject::Encoding => "Transfer-Encoding is not `chunked` alone",
            Reject::EncodingTooNew => "HTTP/1.0 has no Transfer-Encoding",
            Reject::Expectation => "only `100-continue` can be expected",
            Reject::SwitchToNothing => "the switch of protocols names no protocol",
            Reject::ChunkSize => "a chunk's size is not a hexadecimal number",
            Reject::ChunkExtension => "a chunk's extension is too long or has a control character",
            Reject::ChunkEnd => "a chunk does not end where its size says",
            Reject::Truncated => "the message ended in the middle",
        })
    }
}

impl std::error::Error for Reject {}
