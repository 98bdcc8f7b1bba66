//! Requests and responses: the second floor of services.
//!
//! A service of requests is a [`Service`](crate::Service)`<`[`Request`]`, Out = `[`Response`]`>`: one `async fn` from a
//! request to its response. [`Http`] lifts it to a service of connections, which any server runs; [`tower`] takes one
//! that was written for axum, tower or hyper. The types are those of the `http` and `http-body` crates.
//!
//! | what | where |
//! |---|---|
//! | bodies, in and out | [`Body`] |
//! | asking over a connection | [`client::Connection`] |
//! | whom a request came from | [`Downstream`] |
//! | errors as `application/problem+json` (RFC 9457) | [`Problem`] |
//! | who asks, and who knows it | [`Login`], [`Authority`] |
//! | requests that another site's page made | [`same_origin`] |
//! | which service answers, and on which conditions | [`router`] |
//! | leaving HTTP for another protocol on the same connection | [`Switch`] |
//! | WebSocket at a path of an HTTP server | [`websocket`] |

pub mod body;
pub mod client;
mod downstream;
mod login;
mod problem;
pub mod router;
pub mod same_origin;
pub mod server;
mod switch;
mod tower;
mod transport;
pub(crate) mod upstream;
mod websocket;

pub use ::http::uri::InvalidUri;
pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use body::Body;
pub use downstream::Downstream;
pub use login::{Authority, Login, Who};
pub use problem::Problem;
pub use router::{Route, Router};
pub use server::Http;
pub use switch::Switch;
pub use tower::{Tower, tower};
pub use websocket::websocket;

/// A request, with its body still to come.
pub type Request = ::http::Request<Body>;

/// A response.
pub type Response = ::http::Response<Body>;

/// A response of text.
pub fn text(status: StatusCode, text: impl Into<String>) -> Response {
    typed(status, "text/plain; charset=utf-8", text.into())
}

/// A response of this media type.
pub fn typed(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<bytes::Bytes>,
) -> Response {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
