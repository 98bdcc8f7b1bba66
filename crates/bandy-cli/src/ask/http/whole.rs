//! A request as a whole, in memory: for those who send it again and again.

use bandy::Endpoint;
use bandy::error::{Error, Kind, Side};
use bandy::http::header;
use bandy::load::HttpRequest;
use bytes::BytesMut;

use super::build::{self, Question, Typed};
use super::options::HttpOptions;
use crate::report;

/// The longest body that is kept in memory. Bytes.
const BODY_MAX: usize = 64 << 20;

/// The request that was typed, and whom to send it to.
///
/// # Errors
/// What is wrong with an argument; a body that is too long.
pub async fn request(
    typed: Typed,
    options: &HttpOptions,
) -> Result<(Endpoint, HttpRequest), Error> {
    // Stdin is the body only where `-` says so.
    let mut question = Question::new(typed, options, false).await?;
    let mut fields = build::map(&question.fields(None));
    let is_own = |name| question.own.iter().any(|(own, _)| own == name);
    if !is_own(header::ACCEPT_ENCODING) {
        // A server that compresses would be measured compressing.
        fields.remove(header::ACCEPT_ENCODING);
    }
    let mut content = question.content.open()?;
    let mut body = BytesMut::new();
    while let Some(data) = content.data().await? {
        body.extend_from_slice(&data);
        if body.len() > BODY_MAX {
            return Err(Error::new(Kind::Usage, Side::Local, "reading the body")
                .because(format!("it is longer than {BODY_MAX} bytes"))
                .hint("a body is sent out of memory, again and again: choose a shorter one"));
        }
    }
    let target = question.url.target();
    if !bandy::wire::http1::is_valid_target(target) {
        return Err(report::usage(
            format!("measuring {}", question.url),
            format!("`{target}` is no target of a request"),
            "write a path",
        ));
    }
    let request = HttpRequest {
        method: question.method.clone(),
        target: target.to_owned(),
        fields,
        body: body.freeze(),
    };
    Ok((question.url, request))
}
