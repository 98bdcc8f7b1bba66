//! What it received, byte for byte (RFC 862); of a request its body.

use crate::error::{Kind, Result};
use crate::http::{HeaderValue, Request, Response, header};
use crate::net::conn::{Conn, Framing};
use crate::net::pump::{Around, Pump};
use crate::service::Service;

/// The echo service: on a stream every byte, on messages every message, marked as it was; to a request its body, with
/// its type, as it comes in.
///
/// Streams of any length pass in bounded memory: what the peer does not read back is not read from it either.
#[derive(Debug, Clone, Copy, Default)]
pub struct Echo;

impl Service<Conn> for Echo {
    type Out = ();

    async fn call(&self, mut conn: Conn) -> Result<()> {
        match conn.framing() {
            Framing::Stream => {
                let mut pump = Pump::default();
                let echoed = std::future::poll_fn(|cx| pump.poll(cx, &mut Around(&mut conn))).await;
                let Err(failed) = echoed else {
                    return Ok(());
                };
                let error = failed.name(&conn);
                if error.kind() == Kind::Closed {
                    // Over TLS some clients half-close without a goodbye. All they said is answered: they get ours.
                    let _ = conn.finish().await;
                }
                Err(error)
            }
            Framing::Message => {
                while let Some(message) = conn.recv().await? {
                    conn.send(message).await?;
                }
                Ok(())
            }
        }
    }
}

impl Service<Request> for Echo {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let mut response = Response::new(body);
        let fields = response.headers_mut();
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            if let Some(value) = parts.headers.get(&name) {
                fields.insert(name, value.clone());
            }
        }
        // What somebody made a browser send must not become a page of this site.
        let nosniff = HeaderValue::from_static("nosniff");
        fields.insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Body;

    #[tokio::test]
    async fn a_body_comes_back_as_it_comes_in() {
        let (sender, body) = Body::channel(1);
        let request = ::http::Request::post("/x?y")
            .header("content-type", "text/csv")
            .header("x-other", "z")
            .body(body)
            .expect("a request");
        let response: Response = Echo.call(request).await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/csv");
        assert!(!response.headers().contains_key("x-other"));
        let mut body = response.into_body();
        for piece in ["a,b", "c,d"] {
            sender.send(Ok(piece.into())).await.expect("taken");
            assert_eq!(body.data().await.expect("data").expect("some"), piece);
        }
        drop(sender);
        assert_eq!(body.data().await.expect("the end"), None);
    }
}
