//! `GET /explain?pool=api&path=/x&client=10.0.0.1&header=x-user:ada`: which backend a request would get, and why.
//!
//! The service that would pass the request on is asked, so its cookies and the hops that it trusts count as they would.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::request;
use serde_json::{Value, json};

use super::board::{Board, View};
use crate::http::{HeaderMap, HeaderName, HeaderValue, Problem, Request, StatusCode};
use crate::pool::snapshot::{Explained, Out};
use crate::pool::strategy::KeyOf;
use crate::pool::{Key, Pool, Wanted};
use crate::services::api::query;
use crate::services::balance::Balance;
use crate::services::balance::http::Foreseen;

/// The request that is asked about.
#[derive(Debug, Default)]
struct About {
    pool: Option<String>,
    /// The server that it would come to.
    server: Option<String>,
    /// With its query.
    target: Option<String>,
    client: Option<IpAddr>,
    fields: HeaderMap,
}

pub(super) fn answer(board: &Board, request: &Request) -> Result<Value, Problem> {
    let about = About::read(request.uri().query().unwrap_or_default())?;
    let view = board.view();
    let pool = about.pool(&view)?;
    let foreseen = match about.balance(&view, pool)? {
        Some(balance) => balance.foresee(&about.parts()?, about.client),
        None => about.connection(pool),
    };
    let mut said = shown(&foreseen.explained);
    let options = pool.options();
    said["pool"] = json!(pool.name());
    said["strategy"] = json!(options.strategy.as_str());
    said["client"] = json!(foreseen.client.map(|ip| ip.to_string()));
    if options.sticky.is_some() {
        said["cookie"] = json!(foreseen.cookie);
    }
    if let Some(of) = options.strategy.key() {
        said["key"] = json!(named(of));
        if !foreseen.has_key && foreseen.cookie.is_none() {
            said["note"] = json!(format!(
                "the request that is asked about has no {}: it goes where one without would",
                named(of)
            ));
        }
    }
    Ok(said)
}

fn shown(explained: &Explained) -> Value {
    let seconds = |time: Duration| (time.as_secs_f64() * 1e3).round() / 1e3;
    let out = |out: &Out| {
        json!({
            "backend": out.backend,
            "why": out.why,
            "since_s": out.since.map(seconds),
        })
    };
    json!({
        "backend": explained.backend,
        "why": explained.why,
        "out": explained.out.iter().map(out).collect::<Vec<_>>(),
    })
}

fn named(of: &KeyOf) -> String {
    match of {
        KeyOf::Ip => "client".to_owned(),
        KeyOf::Header(name) => format!("header:{name}"),
        KeyOf::Cookie(name) => format!("cookie:{name}"),
        KeyOf::Path => "path".to_owned(),
        KeyOf::Query(name) => format!("query:{name}"),
    }
}

impl About {
    fn read(written: &str) -> Result<About, Problem> {
        let mut about = About::default();
        for (name, value) in query::pairs(written) {
            let value = query::decode(value.unwrap_or_default())
                .ok_or_else(|| wrong(name, "it is not text"))?;
            match name {
                "pool" => about.pool = Some(value.into_owned()),
                "server" => about.server = Some(value.into_owned()),
                "path" => about.target = Some(value.into_owned()),
                "client" => {
                    let client = value.parse();
                    let client = client.map_err(|_| wrong(name, "it is not an IP address"))?;
                    about.client = Some(client);
                }
                "header" => {
                    let (field, value) = field(&value)
                        .ok_or_else(|| wrong(name, "write it as in `header=x-user:ada`"))?;
                    about.fields.append(field, value);
                }
                _ => {
                    let all = "what may be asked about is pool, server, path, client and header";
                    return Err(wrong(name, all));
                }
            }
        }
        Ok(about)
    }

    fn pool<'a>(&self, view: &'a View) -> Result<&'a Arc<Pool>, Problem> {
        match &self.pool {
            Some(name) => view
                .pools
                .get(name)
                .ok_or_else(|| nowhere(format!("there is no pool `{name}`"))),
            // With one there is no question which.
            None => match view.pools().collect::<Vec<_>>().as_slice() {
                [only] => Ok(*only),
                _ => Err(wrong("pool", "say which pool, as in `?pool=api`")),
            },
        }
    }

    /// Who would pass the request on; nobody, where the pool is asked for connections only.
    fn balance<'a>(
        &self,
        view: &'a View,
        pool: &Arc<Pool>,
    ) -> Result<Option<&'a Balance>, Problem> {
        let asks = |balance: &Balance| Arc::ptr_eq(balance.pool(), pool);
        let all = view.balances.iter().filter(|(_, balance)| asks(balance));
        if let Some(server) = &self.server {
            let mut own = all.filter(|(name, _)| name == server);
            let found = own.next().ok_or_else(|| {
                let pool = pool.name();
                nowhere(format!(
                    "no server `{server}` asks pool `{pool}` for answers to requests"
                ))
            });
            return found.map(|(_, balance)| Some(balance));
        }
        let mut all = all.map(|(_, balance)| balance);
        let Some(first) = all.next() else {
            return Ok(None);
        };
        match all.all(|other| other.decides_alike(first)) {
            true => Ok(Some(first)),
            false => {
                let detail = "several servers ask this pool, and trust others: say which, as in `&server=web`";
                Err(wrong("server", detail))
            }
        }
    }

    /// The request, as far as it decides.
    fn parts(&self) -> Result<request::Parts, Problem> {
        let target = self.target.as_deref().unwrap_or("/");
        let made = ::http::Request::builder().uri(target).body(());
        let made = made.map_err(|_| wrong("path", "it is no path, as in `path=/x?a=1`"))?;
        let (mut parts, ()) = made.into_parts();
        parts.headers = self.fields.clone();
        Ok(parts)
    }

    /// What a connection would get: only who comes counts.
    fn connection(&self, pool: &Pool) -> Foreseen {
        let key = self.client.map(Key::of_ip);
        let wanted = Wanted {
            key,
            ..Wanted::default()
        };
        Foreseen {
            explained: pool.explain(wanted),
            has_key: key.is_some(),
            client: self.client,
            cookie: None,
        }
    }
}

/// `x-user:ada`
fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn nowhere(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND).detail(detail)
}

fn wrong(field: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).field(field, detail)
}
