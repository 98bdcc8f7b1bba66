//! Services that were written for tower, axum among them.

use bytes::Bytes;
use tower_service::Service as TowerService;

use super::{Body, Request, Response};
use crate::error::{Error, Kind, Result, Side};
use crate::service::Service;

/// A tower service as one of ours. Each request is answered by a clone of its own, which is asked whether it is ready
/// first.
pub fn tower<T>(service: T) -> Tower<T> {
    Tower(service)
}

/// See [`tower`].
#[derive(Debug, Clone)]
pub struct Tower<T>(T);

impl<T, B> Service<Request> for Tower<T>
where
    T: TowerService<Request, Response = ::http::Response<B>> + Clone + Send + Sync + 'static,
    T::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    T::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Out = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        // Where those look who do not know our bodies.
        if let Some(downstream) = request.body().downstream().cloned() {
            request.extensions_mut().insert(downstream);
        }
        let mut service = self.0.clone();
        let failed =
            |e: T::Error| Error::new(Kind::Other, Side::Local, "answering a request").because(e);
        std::future::poll_fn(|cx| service.poll_ready(cx))
            .await
            .map_err(failed)?;
        let response = service.call(request).await.map_err(failed)?;
        Ok(response.map(Body::stream))
    }
}
