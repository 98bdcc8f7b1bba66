//! One route: which requests it takes, what happens on the way, what answers.

use std::fmt;
use std::sync::Arc;

use ::http::Method;

use super::access::{Access, Gate};
use super::compress::{Coding, Compression};
use super::cors::{self, Cors};
use super::fields::Fields;
use super::host::Host;
use super::mount::Mount;
use super::path::{Params, Pattern};
use super::rate::{By, Limiter, Rate};
use super::redirect::{Fixed, Redirect};
use crate::error::Result;
use crate::http::{Authority, Body, Problem, Request, Response, StatusCode, header, same_origin};
use crate::service::{BoxService, Service};

/// Which requests, what happens on the way, and what answers.
pub struct Route {
    /// Which requests it takes.
    pub scope: Scope,
    /// What happens on the way.
    pub layers: Layers,
    /// What answers.
    pub answers: Answers,
    /// Who knows who asks, where [`Access::login`] wants to know; without one nobody is known.
    pub authority: Option<Arc<dyn Authority>>,
}

impl Route {
    /// A route that takes everything, with nothing on the way.
    pub fn new(answers: Answers) -> Route {
        Route {
            scope: Scope::default(),
            layers: Layers::default(),
            answers,
            authority: None,
        }
    }

    /// A route to a service.
    pub fn to(service: impl Service<Request, Out = Response>) -> Route {
        Route::new(Answers::Service(BoxService::new(service)))
    }

    /// The same route for the paths of a pattern.
    pub fn path(mut self, path: Pattern) -> Route {
        self.scope.path = path;
        self
    }

    /// The same route for these methods.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Route {
        self.scope.methods = methods.into_iter().collect();
        self
    }

    /// The same route for the requests of a scope.
    pub fn scope(mut self, scope: Scope) -> Route {
        self.scope = scope;
        self
    }

    /// The same route with this on the way.
    pub fn layers(mut self, layers: Layers) -> Route {
        self.layers = layers;
        self
    }

    /// The same route with somebody who knows who asks.
    pub fn authority(mut self, authority: Option<Arc<dyn Authority>>) -> Route {
        self.authority = authority;
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("scope", &self.scope)
            .field("layers", &self.layers)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

/// Which requests a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// For these hosts; none is all.
    pub hosts: Vec<Host>,
    /// With these paths.
    pub path: Pattern,
    /// With these methods; none is all. GET takes HEAD too.
    pub methods: Vec<Method>,
}

impl Default for Scope {
    fn default() -> Scope {
        Scope {
            hosts: Vec::new(),
            path: Pattern::any(),
            methods: Vec::new(),
        }
    }
}

impl Scope {
    /// What the pattern's braces stand for, where host and path are this route's.
    pub(super) fn takes_place(&self, authority: Option<&str>, path: &str) -> Option<Params> {
        let is_host = |authority| self.hosts.iter().any(|host| host.matches(authority));
        match self.hosts.is_empty() || authority.is_some_and(is_host) {
            true => self.path.matches(path),
            false => None,
        }
    }

    pub(super) fn takes_method(&self, method: &Method) -> bool {
        let takes = |method| self.methods.contains(method);
        self.methods.is_empty() || takes(method) || method == Method::HEAD && takes(&Method::GET)
    }
}

/// What happens on the way to what answers, and back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layers {
    /// The segments that the service does not see at the beginning of the path; see [`Mount`].
    pub strip: Option<String>,
    /// What is done to the request's fields.
    pub request: Fields,
    /// What is done to the response's.
    pub response: Fields,
    /// The longest request body. Bytes; without one the server's limit holds alone.
    pub body_bytes: Option<u64>,
    /// Who may ask.
    pub access: Access,
    /// How often.
    pub rate: Option<Rate>,
    /// Which bodies are made smaller.
    pub compression: Option<Compression>,
    /// Which pages of other origins may read the answers.
    pub cors: Option<Cors>,
}

/// What answers.
#[derive(Debug, Clone)]
pub enum Answers {
    /// A service.
    Service(BoxService<Request, Response>),
    /// Somewhere else.
    Redirect(Redirect),
    /// Always the same.
    Fixed(Fixed),
}

/// A route in a router: with what is counted and compared.
#[derive(Debug)]
pub(super) struct Leg {
    scope: Scope,
    layers: Layers,
    answers: Answers,
    gate: Gate,
    limiter: Option<Limiter>,
    /// Whether it says who asks, so that a browser could be made to ask in somebody's name.
    has_login: bool,
}

impl Leg {
    pub(super) fn new(route: Route) -> Leg {
        let access = route.layers.access.clone();
        Leg {
            has_login: access.asks_who(),
            gate: Gate::new(access, route.authority),
            limiter: route.layers.rate.as_ref().map(Limiter::new),
            scope: route.scope,
            layers: route.layers,
            answers: route.answers,
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The method that a preflight is about, where this route answers those.
    pub(super) fn asked_about(&self, request: &Request) -> Option<Method> {
        self.layers.cors.as_ref()?;
        cors::asked_about(request)
    }

    pub(super) async fn answer(&self, request: Request, params: Params) -> Result<Response> {
        if let Err(problem) = self.gate.admits(&request) {
            return Ok(problem.response());
        }
        let is_preflight = self.asked_about(&request).is_some();
        if let Some(cors) = self.layers.cors.as_ref().filter(|_| is_preflight) {
            return Ok(cors.preflight(&request));
        }
        let (coding, is_head) = match &self.layers.compression {
            Some(_) => (
                Coding::chosen(request.headers()),
                request.method() == Method::HEAD,
            ),
            None => (None, false),
        };
        let origin = self.layers.cors.as_ref();
        let origin = origin.and_then(|_| cors::origin(request.headers()));
        let origin = origin.map(str::to_owned);

        let mut response = self.ask(request, params).await?;
        self.layers.response.apply(response.headers_mut());
        if let Some(compression) = &self.layers.compression {
            response = compression.apply(coding, is_head, response);
        }
        if let Some(cors) = &self.layers.cors {
            cors.open(origin.as_deref(), response.headers_mut());
        }
        Ok(response)
    }

    /// Asks what answers, if the request may.
    async fn ask(&self, mut request: Request, params: Params) -> Result<Response> {
        if let Some(many) = self.too_many(By::Address, &request) {
            return Ok(many);
        }
        if let Some(refused) = self.gate.login(&mut request).await? {
            return Ok(refused);
        }
        if let Some(many) = self.too_many(By::User, &request) {
            return Ok(many);
        }
        let is_trusted = |cors: &Cors| cors.trusts(&request);
        if self.has_login
            && !self.layers.cors.as_ref().is_some_and(is_trusted)
            && let Err(problem) = same_origin::guard(&request)
        {
            return Ok(problem.response());
        }
        let is_named =
            |cors: &Cors| cors::origin(request.headers()).is_some_and(|o| cors.allows(o));
        if self.layers.cors.as_ref().is_some_and(is_named) {
            request.extensions_mut().insert(cors::Invited);
        }
        if let Some(max) = self.layers.body_bytes {
            if announced(&request).is_some_and(|len| len > max) {
                return Ok(Problem::new(StatusCode::PAYLOAD_TOO_LARGE).response());
            }
            request = request.map(|body: Body| body.at_most(max));
        }
        self.layers.request.apply(request.headers_mut());
        request.extensions_mut().insert(params);
        if let Some(prefix) = &self.layers.strip {
            Mount::strip(&mut request, prefix);
        }
        match &self.answers {
            Answers::Service(service) => service.call_boxed(request).await,
            Answers::Redirect(redirect) => Ok(redirect.answer(&request)),
            Answers::Fixed(fixed) => Ok(fixed.answer()),
        }
    }

    fn too_many(&self, by: By, request: &Request) -> Option<Response> {
        let limiter = self.limiter.as_ref().filter(|l| l.by == by)?;
        limiter.check(request)
    }
}

/// How long the body is said to be.
fn announced(request: &Request) -> Option<u64> {
    let len = request.headers().get(header::CONTENT_LENGTH);
    let len = len.and_then(|len| len.to_str().ok()?.parse().ok());
    len.or_else(|| request.body().len_hint())
}
