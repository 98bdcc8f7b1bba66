//! The application server: sums, accounts, records, and endpoints to test clients with.
//!
//! Everything that can be asked is a row of one table (`endpoint`). Dispatch (`paths`), what a request must be like
//! (`shape`, `call`), the OpenAPI document at `/openapi.json` (`openapi`) and the page at `/` (`page`) are
//! made of that table, so none of them can say what the others do not.
//!
//! | endpoints | file |
//! |---|---|
//! | `/add`, `/process` | `compute` |
//! | `/register`, `/login`, `/logout`, `/profile`, `/users` | `people` |
//! | `/records`, `/collections` | `records` |
//! | `/echo`, `/status`, `/delay`, … | `testing` |
//!
//! HEAD is answered wherever GET is, OPTIONS everywhere. Errors are `application/problem+json` (RFC 9457); what goes
//! wrong inside is for the log. Left out: CORS, which a route has.

mod call;
mod compute;
mod condition;
mod endpoint;
mod json;
mod number;
mod openapi;
mod options;
mod page;
mod paths;
mod people;
pub(super) mod query;
mod records;
mod shape;
mod stop;
mod testing;

use std::sync::Arc;

use futures_util::future::Either;

use crate::accounts::Accounts;
use crate::error::Result;
use crate::http::router::Mount;
use crate::http::{
    Body, Downstream, HeaderValue, Method, Problem, Request, Response, StatusCode, empty, header,
    same_origin,
};
use crate::service::Service;
use crate::state::Store;
use call::Call;
use endpoint::{Does, Endpoint, From};
use paths::{Leaf, Open, Paths};
use records::Records;
use stop::{Reply, Stop};

pub use options::Options;

/// The application server, a service of requests.
pub struct Api(Arc<Shared>);

struct Shared {
    options: Options,
    accounts: Accounts,
    records: Records,
    rows: Vec<Endpoint>,
    paths: Paths,
    document: page::Document,
}

impl Api {
    /// Only its accounts (`/register`, `/login`, `/profile`, …), for another service that has something else at the other
    /// paths.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub(crate) fn people(store: Arc<dyn Store>, accounts: Accounts) -> Result<Api> {
        Api::of(Options::default(), store, accounts, people::endpoints()?)
    }

    /// An application server that remembers in `store`, for the users of `accounts`.
    ///
    /// # Errors
    /// None that options could cause: a mistake in the table of endpoints is found here.
    pub fn new(options: Options, store: Arc<dyn Store>, accounts: Accounts) -> Result<Api> {
        let rows = endpoints(&options)?;
        Api::of(options, store, accounts, rows)
    }

    fn of(
        options: Options,
        store: Arc<dyn Store>,
        accounts: Accounts,
        rows: Vec<Endpoint>,
    ) -> Result<Api> {
        Ok(Api(Arc::new(Shared {
            paths: Paths::new(&rows)?,
            document: page::Document::default(),
            records: Records::new(store, &options),
            accounts,
            rows,
            options,
        })))
    }
}

/// The table.
fn endpoints(options: &Options) -> Result<Vec<Endpoint>> {
    let mut rows = compute::endpoints()?;
    rows.extend(people::endpoints()?);
    rows.extend(records::endpoints()?);
    if options.testing {
        rows.extend(testing::endpoints(options)?);
    }
    rows.extend(page::endpoints());
    Ok(rows)
}

impl Service<Request> for Api {
    type Out = Response;

    /// What can be answered without waiting is; the future of the rest is large, and in an allocation of its own.
    fn call(&self, request: Request) -> impl Future<Output = Result<Response>> + Send {
        let is_head = request.method() == Method::HEAD;
        let prefix = Mount::prefix(&request).to_owned();
        let finish = move |reply: Reply| {
            let mut response = reply.or_else(Stop::into_response)?;
            if !prefix.is_empty() {
                lead_below(&prefix, &mut response);
            }
            Ok(match is_head {
                true => without_body(response),
                false => response,
            })
        };
        match self.begin(request) {
            Begun::Now(reply) => Either::Left(std::future::ready(finish(reply))),
            Begun::Later(endpoint, open, request) => Either::Right(Box::pin(async move {
                finish(self.answer(endpoint, open, request).await)
            })),
        }
    }
}

/// A request, as far as it can be answered without waiting.
enum Begun<'a> {
    Now(Reply),
    Later(&'a Endpoint, Open, Request),
}

impl Api {
    fn begin(&self, request: Request) -> Begun<'_> {
        // The page's links are relative: its own path ends with a `/`.
        let is_place = Mount::original(&request).path() == Mount::prefix(&request);
        if is_place && matches!(*request.method(), Method::GET | Method::HEAD) {
            return Begun::Now(Ok(to_the_page()));
        }
        let Some((leaf, open)) = self.0.paths.find(request.uri().path()) else {
            return Begun::Now(Err(nothing_there(&request)));
        };
        let Some(row) = leaf.row(request.method()) else {
            return Begun::Now(not_so(&request, leaf));
        };
        match self.0.rows.get(row) {
            None => Begun::Now(Err(nothing_there(&request))),
            Some(endpoint) => match endpoint.does {
                Does::Now(answer) => Begun::Now(answer(&request)),
                Does::Later(_) => Begun::Later(endpoint, open, request),
            },
        }
    }

    async fn answer(&self, endpoint: &Endpoint, open: Open, request: Request) -> Reply {
        let answer = match endpoint.does {
            Does::Now(answer) => return answer(&request),
            Does::Later(answer) => answer,
        };
        check_origin(endpoint, &request)?;
        let downstream = Downstream::of(&request).cloned();
        let prefix = Mount::prefix(&request).to_owned();
        let (parts, body) = request.into_parts();
        let mut call = Call {
            api: &self.0,
            endpoint,
            parts,
            open,
            downstream,
            prefix,
            login: None,
            me: None,
        };
        call.check_who().await?;
        call.check_parameters()?;
        answer(call, body).await
    }
}

/// `Location` says where something is here, which is below what the route took away.
fn lead_below(prefix: &str, response: &mut Response) {
    let location = response.headers_mut().get_mut(header::LOCATION);
    if let Some(place) = location
        && place.as_bytes().starts_with(b"/")
        && let Ok(below) = HeaderValue::try_from([prefix.as_bytes(), place.as_bytes()].concat())
    {
        *place = below;
    }
}

fn to_the_page() -> Response {
    let mut response = empty(StatusCode::PERMANENT_REDIRECT);
    let page = HeaderValue::from_static("/");
    response.headers_mut().insert(header::LOCATION, page);
    response
}

fn check_origin(endpoint: &Endpoint, request: &Request) -> Result<(), Problem> {
    match endpoint.from {
        From::Anywhere => Ok(()),
        From::Own => same_origin::guard(request),
        From::OwnAlways => same_origin::check(request),
    }
}

fn nothing_there(request: &Request) -> Stop {
    let detail = format!("there is nothing at {}", Mount::original(request).path());
    Stop::new(StatusCode::NOT_FOUND, detail)
}

/// OPTIONS, or a method that there is not.
fn not_so(request: &Request, leaf: &Leaf) -> Reply {
    if request.method() == Method::OPTIONS {
        let mut response = empty(StatusCode::NO_CONTENT);
        response
            .headers_mut()
            .insert(header::ALLOW, leaf.allow.clone());
        return Ok(response);
    }
    let path = Mount::original(request).path();
    let detail = format!("{} is not for {path}", request.method());
    let stop = Stop::new(StatusCode::METHOD_NOT_ALLOWED, detail);
    Err(stop.with(header::ALLOW, leaf.allow.clone()))
}

/// As an answer to HEAD: the length is what it would be.
fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().len_hint()
        && response.status() != StatusCode::NO_CONTENT
    {
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = Body::empty();
    response
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}
