//! From what was typed to plans: one, or one for each stage of a sweep.

use std::str::FromStr;
use std::time::Duration;

use bandy::Endpoint;
use bandy::config::quantity::parse_size;
use bandy::endpoint::{Carries, Scheme};
use bandy::error::Error;
use bandy::http::client::Version;
use bandy::http::{HeaderMap, HeaderName, HeaderValue};
use bandy::load::{Arrivals, HttpRequest, Pace, Plan, Rate, Said, Script, Stop, Work};
use bandy::net::Dialer;
use bandy::net::tls::{ClientTls, Connector, Identity};
use bytes::Bytes;

use super::LoadArgs;
use crate::ask::http::options::HttpOptions;
use crate::ask::http::{Typed, url, whole};
use crate::ask::target::is_method;
use crate::report;

/// Connections, or members of a chat, unless told otherwise.
pub const CONNECTIONS: usize = 50;
/// How long a run is unless told otherwise.
pub const DURATION: Duration = Duration::from_secs(10);
/// The field by which a bandy is asked to tell its times.
pub const WANTS_TIMES: &str = "bandy-timing";
/// The longest text that is said by itself. Bytes.
const SIZE_MAX: u64 = 64 << 20;

/// A stage of a sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    Connections(usize),
    /// Requests a second.
    Rate(f64),
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Stage, String> {
        let rate = text.strip_suffix("/s").map(str::parse::<f64>);
        match (rate, text.parse::<usize>()) {
            (Some(Ok(rate)), _) if rate > 0.0 && rate <= bandy::load::pace::RATE_MAX => {
                Ok(Stage::Rate(rate))
            }
            (None, Ok(connections)) if connections > 0 => Ok(Stage::Connections(connections)),
            _ => Err("write connections, as in 1,10,100, or rates, as in 500/s,1000/s".to_owned()),
        }
    }
}

/// The runs that were asked for, with what each is called.
///
/// # Errors
/// What is wrong with the arguments.
pub fn stages(args: &LoadArgs) -> Result<Vec<(String, Plan)>, Error> {
    not_of_chat(args)?;
    let (to, work) = target(args)?;
    if to.scheme() == Scheme::Mem {
        let why = "mem:// is inside one process, and no server is in this one";
        return Err(report::usage(
            format!("measuring {to}"),
            why,
            "measure over tcp:// or unix://",
        ));
    }
    let after = match (args.duration, args.number) {
        (None, None) => Some(DURATION),
        (duration, _) => duration,
    };
    let arrivals = match args.poisson {
        true => Arrivals::Poisson(args.seed.unwrap_or_else(seed)),
        false => Arrivals::Constant,
    };
    let pace = match &args.rate {
        None => Pace::Closed,
        Some(rate) if !rate.is_constant() && after.is_none() => {
            return Err(report::usage(
                "planning the run",
                "a rate that changes needs to know how long it has",
                "say so with -d",
            ));
        }
        Some(rate) => Pace::Open {
            rate: rate.over(after),
            arrivals,
        },
    };
    let plan = Plan {
        dialer: dialer(args, &to)?,
        to,
        work,
        pace,
        stop: Stop {
            after,
            requests: args.number,
        },
        connections: args.connections.unwrap_or(CONNECTIONS),
        per_connection: args.per_connection,
        timeout: args.timeout,
        loops: args.loops,
    };
    if args.sweep.is_empty() {
        return Ok(vec![(String::new(), plan)]);
    }
    let stages = args.sweep.iter().map(|stage| match stage {
        Stage::Connections(connections) => {
            let label = match connections {
                1 => "1 connection".to_owned(),
                n => format!("{n} connections"),
            };
            let plan = Plan {
                connections: *connections,
                ..plan.clone()
            };
            (label, plan)
        }
        Stage::Rate(rate) => {
            let pace = Pace::Open {
                rate: Rate::constant(*rate),
                arrivals,
            };
            (
                format!("{rate}/s"),
                Plan {
                    pace,
                    ..plan.clone()
                },
            )
        }
    });
    Ok(stages.collect())
}

/// What only `bandy load chat` knows.
fn not_of_chat(args: &LoadArgs) -> Result<(), Error> {
    let expect = args.expect.iter().find(|expect| expect.is_of_chat());
    let given = match (args.members, &args.room, expect) {
        (Some(_), ..) => "--members".to_owned(),
        (_, Some(_), _) => "--room".to_owned(),
        (.., Some(expect)) => format!("--expect '{expect}'"),
        _ => return Ok(()),
    };
    Err(report::usage(
        "planning the run",
        format!("{given} is about a chat, and this is none"),
        "write: bandy load chat URL, or leave it out",
    ))
}

/// Another one each time.
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0_u8)
}

/// Whom to ask, and what.
fn target(args: &LoadArgs) -> Result<(Endpoint, Work), Error> {
    let words = args.items.iter().map(|word| {
        word.clone().into_string().map_err(|word| {
            report::usage(
                format!("reading `{}`", word.display()),
                "it is not UTF-8",
                "other bytes are sent from a file: @FILE",
            )
        })
    });
    let mut items = words.collect::<Result<Vec<String>, Error>>()?;
    let mut typed_url = args.url.clone().unwrap_or_default();
    let method = match is_method(&typed_url) && !items.is_empty() {
        true => Some(std::mem::replace(&mut typed_url, items.remove(0))),
        false => None,
    };
    let full = url::full(&typed_url);
    let act = || format!("measuring `{}`", typed_url.escape_debug());
    let is_http = ["http://", "https://"].iter().any(|scheme| {
        let start = full.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if is_http {
        refuse(
            &full,
            "streams and messages",
            &[
                ("--answers", args.answers.is_some()),
                ("--size", args.size.is_some()),
            ],
        )?;
        return http(
            args,
            Typed {
                method,
                url: typed_url,
                items,
            },
        );
    }
    let to: Endpoint = typed_url
        .parse()
        .map_err(|e: bandy::endpoint::EndpointError| {
            report::usage(act(), e.to_string(), e.hint())
        })?;
    if let Some(method) = method {
        return Err(report::usage(
            act(),
            format!(
                "{method} is an HTTP method, and {}:// is not HTTP",
                to.scheme()
            ),
            "leave it out, or write it behind the URL to say it",
        ));
    }
    refuse(
        &full,
        "HTTP",
        &[
            ("--requests", args.requests.is_some()),
            ("--http", args.http.is_some()),
            ("--streams", args.streams.is_some()),
            ("--form", args.form),
            ("--auth", args.auth.is_some()),
            ("--bearer", args.bearer.is_some()),
            ("--server-times", args.server_times),
        ],
    )?;
    if to.port() == Some(0) {
        return Err(report::usage(
            act(),
            "port 0 is nobody's",
            "the server's ready line has the real port",
        ));
    }
    if items.is_empty() {
        items.push(text(args.size.as_deref())?);
    } else if args.size.is_some() {
        return Err(report::usage(
            act(),
            "--size makes a text, and there are ITEMs",
            "leave one of them out",
        ));
    }
    let items: Vec<Bytes> = items.into_iter().map(Bytes::from).collect();
    let answers = args.answers.unwrap_or(1);
    let work = match to.scheme().carries() {
        Carries::Stream => Work::Lines(Said::lines(items, answers)),
        _ => Work::Messages(Said::messages(items, answers)),
    };
    Ok((to, work))
}

/// What is said where nothing is: letters and digits.
fn text(size: Option<&str>) -> Result<String, Error> {
    let size = size_of(size)?.unwrap_or(64);
    Ok(('a'..='z').chain('0'..='9').cycle().take(size).collect())
}

/// What --size says. Bytes.
pub fn size_of(size: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = size else { return Ok(None) };
    let size =
        parse_size(text).map_err(|e| report::usage("reading --size", e.to_string(), e.hint()))?;
    if size > SIZE_MAX {
        let why = format!("a text has {SIZE_MAX} bytes at most");
        return Err(report::usage("reading --size", why, "choose a shorter one"));
    }
    Ok(usize::try_from(size).ok())
}

fn refuse(url: &str, about: &str, options: &[(&str, bool)]) -> Result<(), Error> {
    match options.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((option, _)) => Err(report::usage(
            format!("measuring {url}"),
            format!("{option} is about {about}, and this is not"),
            "leave it out",
        )),
    }
}

fn http(args: &LoadArgs, typed: Typed) -> Result<(Endpoint, Work), Error> {
    let options = HttpOptions {
        form: args.form,
        auth: args.auth.clone(),
        bearer: args.bearer.clone(),
        ..HttpOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| {
            report::usage(
                "starting an event loop",
                e.to_string(),
                "see the system's message",
            )
        })?;
    let asked = runtime.block_on(whole::request(typed, &options));
    runtime.shutdown_background();
    let (to, mut request) = asked?;
    if to.port() == Some(0) {
        let act = format!("measuring {to}");
        return Err(report::usage(
            act,
            "port 0 is nobody's",
            "the server's ready line has the real port",
        ));
    }
    if args.server_times {
        request.fields.insert(
            HeaderName::from_static(WANTS_TIMES),
            HeaderValue::from_static("1"),
        );
    }
    let script = match &args.requests {
        None => Script::one(request, &to),
        Some(path) => from_file(path, request, &to)?,
    };
    let script = script.with_timing(args.server_times);
    let work = match (args.http, args.streams) {
        (Some(Version::Http2), streams) => Work::Http2 {
            script,
            streams: streams.unwrap_or(1),
        },
        (_, Some(_)) => {
            return Err(report::usage(
                format!("measuring {to}"),
                "HTTP/1.1 has one request at a time on a connection",
                "--streams goes with --http 2",
            ));
        }
        _ => Work::Http1(script),
    };
    Ok((to, work))
}

fn from_file(
    path: &std::path::Path,
    mut request: HttpRequest,
    to: &Endpoint,
) -> Result<Script, Error> {
    let act = || format!("reading {}", path.display());
    if !request.body.is_empty() {
        return Err(report::usage(
            act(),
            "requests come from a file and from ITEMs",
            "beside --requests only headers are taken, which go with each of them",
        ));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| report::usage(act(), e.to_string(), "is the path right?"))?;
    // What frames a body or describes it belongs to each request.
    let fields: HeaderMap = {
        request.fields.remove("content-type");
        request.fields.remove("content-length");
        request.fields
    };
    Script::parse(&text, to, &fields).map_err(|wrong| {
        report::usage(
            act(),
            wrong.to_string(),
            "`bandy load --help` has an example",
        )
    })
}

pub fn dialer(args: &LoadArgs, to: &Endpoint) -> Result<Dialer, Error> {
    if !to.scheme().is_secure() {
        refuse(
            &to.to_string(),
            "TLS",
            &[
                ("--ca", args.ca.is_some()),
                ("--cert", args.cert.is_some()),
                ("--insecure", args.insecure),
                ("--server-name", args.server_name.is_some()),
            ],
        )?;
        return Ok(Dialer::plain());
    }
    let identity = args.cert.clone().zip(args.key.clone());
    let tls = Connector::new(&ClientTls {
        ca: args.ca.clone(),
        identity: identity.map(|(cert, key)| Identity { cert, key }),
        insecure: args.insecure,
        server_name: args.server_name.clone(),
    })?;
    let dialer = Dialer::with_tls(tls);
    Ok(match to.scheme() {
        Scheme::Https => dialer.alpn(Version::alpn(Some(args.http.unwrap_or(Version::Http1)))),
        _ => dialer,
    })
}
