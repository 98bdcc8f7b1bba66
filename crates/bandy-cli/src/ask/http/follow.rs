//! Redirects (RFC 9110, section 15.4): where the next request goes, and what it takes along.

use std::collections::HashSet;

use bandy::error::{Error, Kind, Side};
use bandy::http::{HeaderMap, Method, StatusCode, header};

use super::build::Question;
use super::{show, url};

/// As many as anyone has a reason for.
const HOPS_MAX: usize = 10;

/// A redirect that was followed.
#[derive(Debug, Clone)]
pub struct Hop {
    pub status: StatusCode,
    pub from: String,
    pub to: String,
}

/// The way so far.
#[derive(Debug, Default)]
pub struct Trail {
    pub hops: Vec<Hop>,
    /// What was asked, with which cookies.
    asked: HashSet<(Method, String, Option<String>)>,
}

impl Trail {
    /// Notes a request, before it is sent.
    ///
    /// # Errors
    /// The very same was sent before: it goes in a circle.
    pub fn ask(&mut self, question: &Question, cookies: Option<&str>) -> Result<(), Error> {
        let url = question.url.to_string();
        let key = (
            question.method.clone(),
            url.clone(),
            cookies.map(str::to_owned),
        );
        if self.asked.insert(key) {
            return Ok(());
        }
        let way: Vec<&str> = self.hops.iter().map(|hop| hop.from.as_str()).collect();
        Err(Error::new(
            Kind::Protocol,
            Side::Upstream,
            format!("following redirects to {url}"),
        )
        .because(format!(
            "they go in a circle: {} -> {url}",
            way.join(" -> ")
        ))
        .hint("without --follow the redirect itself is shown"))
    }

    /// Makes the question what this answer redirects it to; `false` where it is no redirect.
    ///
    /// # Errors
    /// Where it leads cannot be asked, or it is one too many.
    pub fn follow(
        &mut self,
        question: &mut Question,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<bool, Error> {
        let Some(location) = headers.get(header::LOCATION) else {
            return Ok(false);
        };
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(false);
        }
        let from = question.url.to_string();
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        let act = || {
            format!(
                "following the redirect of {from} ({})",
                show::status_text(status)
            )
        };
        let wrong = |why: String| Error::new(Kind::Protocol, Side::Upstream, act()).because(why);
        if self.hops.len() == HOPS_MAX {
            return Err(wrong(format!("it would be the {}th", HOPS_MAX + 1))
                .hint("-v shows where they lead"));
        }
        let to = url::join(&question.url, &location);
        let next = url::endpoint(&to).map_err(|e| wrong(e.to_string()))?;
        if next.scheme().carries() != bandy::endpoint::Carries::Request {
            return Err(wrong(format!("it leads to {next}, which is not HTTP")));
        }
        if !url::is_same_origin(&question.url, &next) {
            question.drop_credentials();
        }
        let becomes_get = match status.as_u16() {
            303 => question.method != Method::HEAD,
            301 | 302 => question.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            question.method = Method::GET;
            question.drop_body();
        }
        question.content.again()?;
        question.url = next;
        self.hops.push(Hop {
            status,
            from,
            to: question.url.to_string(),
        });
        Ok(true)
    }
}
