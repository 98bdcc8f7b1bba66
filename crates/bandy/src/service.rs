//! What answers: one trait on every floor.
//!
//! A service of connections (`Service<Conn>`) and, above it, a service of requests are the same idea with another
//! input. Whoever writes one writes an `async fn call`; whoever stores one, not knowing which, stores a
//! [`BoxService`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Result;

/// Answers an `In`.
///
/// `call` takes `&self`: one value answers every connection at the same time, whatever the server model, and keeps
/// what it must remember behind its own synchronisation.
///
/// Dropping the future ends the conversation at once; that is how deadlines and shutdown reach a service.
pub trait Service<In>: Send + Sync + 'static {
    /// What comes back. A connection is answered by talking on it, so there it is `()`.
    type Out;

    /// Answers one input.
    fn call(&self, input: In) -> impl Future<Output = Result<Self::Out>> + Send;

    /// As [`Service::call`], for who keeps the future and must not know its type. A service that has it in a box already
    /// gives that.
    fn call_boxed<'a>(&'a self, input: In) -> Answer<'a, Self::Out>
    where
        In: 'a,
    {
        Box::pin(self.call(input))
    }

    /// As [`Service::call_boxed`], with a future that keeps the service alive by itself. A service that only chooses who
    /// answers hands that one's on, and costs a connection nothing while it lives.
    fn call_owned(self: Arc<Self>, input: In) -> Answer<'static, Self::Out>
    where
        Self: Sized,
        In: Send + 'static,
    {
        Box::pin(async move { self.call(input).await })
    }
}

impl<In: Send, S: Service<In>> Service<In> for Arc<S> {
    type Out = S::Out;

    fn call(&self, input: In) -> impl Future<Output = Result<S::Out>> + Send {
        S::call(self, input)
    }

    fn call_owned(self: Arc<Self>, input: In) -> Answer<'static, S::Out>
    where
        In: Send + 'static,
    {
        S::call_owned(Arc::clone(&self), input)
    }
}

/// A service made of an async function: `service_fn(|conn| async move { … })`.
pub fn service_fn<F>(f: F) -> ServiceFn<F> {
    ServiceFn(f)
}

/// See [`service_fn`].
#[derive(Debug, Clone, Copy)]
pub struct ServiceFn<F>(F);

impl<In, Out, F, Fut> Service<In> for ServiceFn<F>
where
    In: Send,
    F: Fn(In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Out>> + Send,
{
    type Out = Out;

    fn call(&self, input: In) -> impl Future<Output = Result<Out>> + Send {
        (self.0)(input)
    }
}

/// An answer to come.
pub type Answer<'a, Out> = Pin<Box<dyn Future<Output = Result<Out>> + Send + 'a>>;

/// The type-erased twin of [`Service`]: what a table of routes or a configuration holds.
pub struct BoxService<In, Out = ()>(Arc<dyn Erased<In, Out>>);

impl<In: Send + 'static, Out> BoxService<In, Out> {
    /// Erases a service's type. One allocation a call is the price.
    pub fn new(service: impl Service<In, Out = Out>) -> Self {
        BoxService(Arc::new(service))
    }
}

impl<In: Send + 'static, Out: 'static> BoxService<In, Out> {
    /// As [`Service::call_owned`], of the service that is in it.
    pub fn answer(&self, input: In) -> Answer<'static, Out> {
        self.0.clone().call_owned_erased(input)
    }
}

impl<In, Out> Clone for BoxService<In, Out> {
    fn clone(&self) -> Self {
        BoxService(self.0.clone())
    }
}

impl<In, Out> std::fmt::Debug for BoxService<In, Out> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxService")
    }
}

impl<In: Send + 'static, Out: 'static> Service<In> for BoxService<In, Out> {
    type Out = Out;

    fn call(&self, input: In) -> impl Future<Output = Result<Out>> + Send {
        self.0.call_erased(input)
    }

    fn call_boxed<'a>(&'a self, input: In) -> Answer<'a, Out>
    where
        In: 'a,
    {
        self.0.call_erased(input)
    }

    fn call_owned(self: Arc<Self>, input: In) -> Answer<'static, Out> {
        self.answer(input)
    }
}

trait Erased<In, Out>: Send + Sync {
    fn call_erased(&self, input: In) -> Answer<'_, Out>;
    fn call_owned_erased(self: Arc<Self>, input: In) -> Answer<'static, Out>;
}

impl<In: Send + 'static, S: Service<In>> Erased<In, S::Out> for S {
    fn call_erased(&self, input: In) -> Answer<'_, S::Out> {
        Box::pin(self.call(input))
    }

    fn call_owned_erased(self: Arc<Self>, input: In) -> Answer<'static, S::Out> {
        self.call_owned(input)
    }
}
