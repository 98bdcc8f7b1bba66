//! Who may ask: by address, by certificate, by password, token or login.
//!
//! The conditions of a route hold all together; of the ways to prove who one is (users, tokens, the accounts behind an
//! [`Authority`]) any will do. Nothing here remembers failures: a rate limit on the route slows guessing down.

mod certificate;
mod credentials;

use std::fmt;
use std::sync::Arc;

pub use crate::net::address::{Addresses, Range, RangeError};
pub use certificate::Certificates;
use credentials::{Keys, basic, bearer};
pub use credentials::{Secret, User};

use super::mount::Mount;
use super::redirect::encoded;
use crate::error::Result;
use crate::http::{
    Authority, Body, Downstream, HeaderValue, Login, Method, Problem, Request, Response,
    StatusCode, header,
};

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// From where.
    pub addresses: Addresses,
    /// With a certificate that TLS checked.
    pub certificates: Option<Certificates>,
    /// With one of these names and passwords (RFC 7617).
    pub users: Vec<User>,
    /// With one of these tokens (RFC 6750); the name is what the request's [`Login`] has.
    pub tokens: Vec<User>,
    /// As somebody whom the authority knows.
    pub login: Option<Rule>,
}

impl Access {
    /// Whether those who may ask have proved who they are.
    pub fn asks_who(&self) -> bool {
        self.certificates.is_some() || self.asks_for_credentials()
    }

    fn asks_for_credentials(&self) -> bool {
        self.login.is_some() || !self.users.is_empty() || !self.tokens.is_empty()
    }
}

/// What is asked of those whom an [`Authority`] knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// They have one of these roles; none is any.
    pub roles: Vec<String>,
    /// Where a person is sent to log in: a path, to which `?next=` is added. A program gets 401.
    pub page: Option<String>,
}

/// [`Access`], ready to be asked.
pub(super) struct Gate {
    access: Access,
    users: Keys,
    tokens: Keys,
    authority: Option<Arc<dyn Authority>>,
}

impl Gate {
    pub(super) fn new(access: Access, authority: Option<Arc<dyn Authority>>) -> Gate {
        Gate {
            users: Keys::new(&access.users),
            tokens: Keys::new(&access.tokens),
            access,
            authority,
        }
    }

    /// Whether the address may ask: what is looked at before everything else.
    pub(super) fn admits(&self, request: &Request) -> Result<(), Problem> {
        let ip = Downstream::of(request).and_then(Downstream::ip);
        match self.access.addresses.allow(ip) {
            true => Ok(()),
            false => Err(forbidden("this address may not ask here")),
        }
    }

    /// Finds out who asks and notes it in the request, or gives the answer for those who may not.
    pub(super) async fn login(&self, request: &mut Request) -> Result<Option<Response>> {
        if let Some(certificates) = &self.access.certificates {
            let tls = Downstream::of(request).and_then(Downstream::tls);
            let Some(certificate) = tls.and_then(|tls| tls.peer_certificate.as_ref()) else {
                let problem = forbidden("a client certificate is needed here");
                return Ok(Some(problem.response()));
            };
            if !certificates.allow(certificate) {
                let problem = forbidden("this client certificate is for somebody else");
                return Ok(Some(problem.response()));
            }
            Login::new(certificate.subject.clone()).note(request);
        }
        if !self.access.asks_for_credentials() {
            return Ok(None);
        }
        let who = match self.known_here(request) {
            Some(login) => Some(login),
            None => match (&self.access.login, &self.authority) {
                (Some(_), Some(authority)) => {
                    let who = authority.who(request);
                    who.await?
                }
                _ => None,
            },
        };
        let Some(login) = who else {
            return Ok(Some(self.unknown(request)));
        };
        if let Some(rule) = &self.access.login
            && !rule.roles.is_empty()
            && !rule.roles.iter().any(|role| login.has(role))
        {
            let problem = forbidden("another role is needed here");
            return Ok(Some(problem.response()));
        }
        login.note(request);
        Ok(None)
    }

    /// By the passwords and tokens of the route itself.
    fn known_here(&self, request: &Request) -> Option<Login> {
        let value = request
            .headers()
            .get(header::AUTHORIZATION)?
            .to_str()
            .ok()?;
        let name = match basic(value) {
            Some((user, password)) => self.users.owner(Some(&user), &password),
            None => self.tokens.owner(None, bearer(value)?),
        };
        name.map(Login::new)
    }

    /// Nobody knows who it is: a person is sent to log in, a program is told how (RFC 9110, section 11.6.1).
    fn unknown(&self, request: &Request) -> Response {
        let page = self.access.login.as_ref().and_then(|l| l.page.as_ref());
        if let Some(page) = page
            && is_person(request)
            && let Some(response) = to_page(page, request)
        {
            return response;
        }
        let mut response = Problem::new(StatusCode::UNAUTHORIZED)
            .detail("this is for those who say who they are")
            .response();
        let fields = response.headers_mut();
        let mut ways = Vec::new();
        if !self.access.users.is_empty() {
            ways.push("Basic realm=\"bandy\", charset=\"UTF-8\"");
        }
        if !self.access.tokens.is_empty() || self.access.login.is_some() {
            ways.push("Bearer realm=\"bandy\"");
        }
        for way in ways {
            fields.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
        }
        response
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.access, f)
    }
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN).detail(detail)
}

/// Whether a browser asks for something to look at.
fn is_person(request: &Request) -> bool {
    let accepts = request.headers().get_all(header::ACCEPT);
    let mut types = accepts.iter().filter_map(|value| value.to_str().ok());
    matches!(*request.method(), Method::GET | Method::HEAD)
        && types.any(|types| types.to_ascii_lowercase().contains("text/html"))
}

fn to_page(page: &str, request: &Request) -> Option<Response> {
    let target = Mount::original(request).path_and_query()?.as_str();
    let sign = if page.contains('?') { '&' } else { '?' };
    let to = format!("{page}{sign}next={}", encoded(target));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let fields = response.headers_mut();
    fields.insert(header::LOCATION, HeaderValue::try_from(to).ok()?);
    // The same path leads elsewhere after the login.
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

#[cfg(test)]
mod tests;
