//! `GET /explain?pool=api&path=/x&client=10.0.0.1&header=x-user:ada`: which backend a request would get, and why.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::board::Board;
use crate::http::{HeaderMap, HeaderName, HeaderValue, Problem, Request, StatusCode, header};
use crate::pool::snapshot::{Explained, Out};
use crate::pool::strategy::KeyOf;
use crate::pool::{Key, Wanted};
use crate::services::api::query;

/// The request that is asked about.
#[derive(Debug, Default)]
struct About {
    pool: Option<String>,
    /// With its query.
    target: Option<String>,
    client: Option<IpAddr>,
    fields: HeaderMap,
}

pub(super) fn answer(board: &Board, request: &Request) -> Result<Value, Problem> {
    let about = About::read(request.uri().query().unwrap_or_default())?;
    let view = board.view();
    let pool = match &about.pool {
        Some(name) => view.pools.get(name).ok_or_else(|| {
            let detail = format!("there is no pool `{name}`");
            Problem::new(StatusCode::NOT_FOUND).detail(detail)
        })?,
        // With one there is no question which.
        None => match view.pools().collect::<Vec<_>>().as_slice() {
            [only] => *only,
            _ => return Err(wrong("pool", "say which pool, as in `?pool=api`")),
        },
    };
    let options = pool.options();
    let decides = options.strategy.key();
    let key = decides.and_then(|of| about.key(of));
    let explained = pool.explain(Wanted {
        key,
        ..Wanted::default()
    });
    let mut said = shown(&explained);
    said["pool"] = json!(pool.name());
    said["strategy"] = json!(options.strategy.as_str());
    if let Some(of) = decides {
        said["key"] = json!(named(of));
        if key.is_none() {
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
                    let all = "what may be asked about is pool, path, client and header";
                    return Err(wrong(name, all));
                }
            }
        }
        Ok(about)
    }

    /// As the balancing service makes it of a request.
    fn key(&self, of: &KeyOf) -> Option<Key> {
        let target = self.target.as_deref();
        let split = target.map(|target| target.split_once('?').unwrap_or((target, "")));
        match of {
            KeyOf::Ip => self.client.map(Key::of_ip),
            KeyOf::Path => split.map(|(path, _)| Key::of(path.as_bytes())),
            KeyOf::Query(name) => {
                let mut pairs = query::pairs(split?.1);
                let (_, value) = pairs.find(|(found, _)| found == name)?;
                Some(Key::of(value.unwrap_or_default().as_bytes()))
            }
            KeyOf::Header(name) => {
                let value = self.fields.get(name)?;
                Some(Key::of(value.as_bytes()))
            }
            KeyOf::Cookie(name) => {
                let lines = self.fields.get_all(header::COOKIE).iter();
                let cookies = lines
                    .filter_map(|line| line.to_str().ok())
                    .flat_map(|line| line.split(';'));
                let mut values = cookies.filter_map(|cookie| {
                    let (found, value) = cookie.trim().split_once('=')?;
                    (found == name).then_some(value)
                });
                values.next().map(|value| Key::of(value.as_bytes()))
            }
        }
    }
}

/// `x-user:ada`
fn field(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn wrong(field: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).field(field, detail)
}
