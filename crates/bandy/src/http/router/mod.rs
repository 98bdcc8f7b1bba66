//! Which service answers a request, and on which conditions.
//!
//! A [`Router`] is a service of requests made of [`Route`]s in order: the first whose host, path and method a request
//! has answers it. Where a path is known and its method is not the answer is 405, where nothing matches 404. On its way
//! through a route a request passes
//!
//! | step | what | else |
//! |---|---|---|
//! | address | [`Access::addresses`] | 403 |
//! | preflight | a browser asks before it asks: [`Cors`] answers | |
//! | rate | [`Rate`], and after the login that by user | 429 |
//! | login | certificate, password, token, [`Authority`](super::Authority) | 401, 403, the login page |
//! | same origin | what changes something was not made by another site's page ([`super::same_origin`]); where there is a login | 403 |
//! | body | no longer than the route takes | 413 |
//! | fields, strip | what the service is to see | |
//!
//! and its response passes the rules for its fields, [`Compression`] and [`Cors`]. All of that is data, so a
//! configuration holds the same values; what is counted and compared is made of them when the route joins the router.
//!
//! Paths are forwarded as they were received, and matched however they are spelled: see [`Pattern`]. A path with `..` is
//! refused.

mod access;
mod compress;
mod cors;
mod fields;
mod host;
mod mount;
mod path;
mod rate;
mod redirect;
mod route;

use ::http::Method;

pub use access::{Access, Addresses, Certificates, Range, RangeError, Rule, Secret, User};
pub use compress::{Coding, Compression};
pub use cors::{Cors, Invited};
pub use fields::{FieldError, Fields, field_name};
pub use host::{Host, HostError, without_port};
pub use mount::Mount;
pub use path::{Params, Pattern, PatternError};
pub use rate::{By, Rate};
pub use redirect::{Fixed, Redirect, Target, TargetError};
pub use route::{Answers, Layers, Route, Scope};

use super::{HeaderValue, Problem, Request, Response, StatusCode, header, same_origin};
use crate::error::Result;
use crate::service::Service;
use route::Leg;

/// Routes in order: the first that takes a request answers it.
#[derive(Debug, Default)]
pub struct Router(Vec<Leg>);

impl Router {
    /// A router without routes: 404 to everything.
    pub fn new() -> Router {
        Router::default()
    }

    /// The same router with one more route, behind those that it has.
    pub fn route(mut self, route: Route) -> Router {
        self.0.push(Leg::new(route));
        self
    }

    fn find(&self, request: &Request) -> Found<'_> {
        let host = same_origin::authority(request);
        let path = request.uri().path();
        let mut allowed: Vec<&Method> = Vec::new();
        for leg in &self.0 {
            let Some(params) = leg.scope().takes_place(host, path) else {
                continue;
            };
            let asked = leg.asked_about(request);
            if leg
                .scope()
                .takes_method(asked.as_ref().unwrap_or(request.method()))
            {
                return Found::Leg(leg, params);
            }
            allowed.extend(&leg.scope().methods);
        }
        match allowed.is_empty() {
            true => Found::Nothing,
            false => Found::OtherMethods(allowed),
        }
    }
}

enum Found<'a> {
    Leg(&'a Leg, Params),
    /// The place is there; these are its methods.
    OtherMethods(Vec<&'a Method>),
    Nothing,
}

impl Service<Request> for Router {
    type Out = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if path::has_dots(request.uri().path()) {
            let problem = Problem::new(StatusCode::BAD_REQUEST);
            return Ok(problem.detail("the path has `.` or `..` in it").response());
        }
        match self.find(&request) {
            Found::Leg(leg, params) => leg.answer(request, params).await,
            Found::OtherMethods(methods) => Ok(not_allowed(&methods)),
            Found::Nothing => Ok(Problem::new(StatusCode::NOT_FOUND).response()),
        }
    }
}

fn not_allowed(methods: &[&Method]) -> Response {
    let mut names: Vec<&str> = Vec::new();
    for method in methods {
        let with_head = [method.as_str(), "HEAD"];
        // Who answers GET answers HEAD.
        let names_of = if **method == Method::GET {
            &with_head[..]
        } else {
            &with_head[..1]
        };
        for name in names_of {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED).response();
    // The names of methods are always a value.
    if let Ok(allow) = HeaderValue::try_from(names.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

#[cfg(test)]
mod tests;
