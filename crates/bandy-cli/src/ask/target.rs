//! Whom to ask, out of what was typed: a method and a URL of HTTP, or an endpoint to converse with.

use std::ffi::OsString;

use bandy::Endpoint;
use bandy::endpoint::{Carries, Scheme};
use bandy::error::Error;

use super::AskArgs;
use super::http::{Typed, url};
use crate::report;

/// Whom to ask.
pub enum Target {
    /// A request has one answer.
    Http(Typed),
    /// A stream, messages or datagrams.
    Conversation(Endpoint),
}

/// These are methods however they are written; others are when written in capitals.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY",
];

/// Understands the arguments.
///
/// # Errors
/// What is wrong with the URL, or with an option that is not for its scheme.
pub fn of(args: &AskArgs) -> Result<Target, Error> {
    let act = || format!("asking `{}`", args.url.escape_debug());
    let (method, typed_url, items) = match args.items.split_first() {
        Some((url, items)) if is_method(&args.url) => {
            let url = text(url)?;
            (Some(args.url.clone()), url, items)
        }
        None if METHODS.contains(&args.url.as_str()) => {
            let why = format!("{} is an HTTP method, and a URL is missing", args.url);
            return Err(report::usage(
                act(),
                why,
                format!("write {} URL, as in {} :8000/", args.url, args.url),
            ));
        }
        _ => (None, args.url.clone(), args.items.as_slice()),
    };
    let full = url::full(&typed_url);
    let is_http = ["http://", "https://"].iter().any(|scheme| {
        let start = full.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    if is_http {
        let typed = Typed {
            method,
            url: typed_url,
            items: items.iter().map(text).collect::<Result<_, _>>()?,
        };
        let endpoint =
            url::endpoint(&full).map_err(|e| report::usage(act(), e.to_string(), e.hint()))?;
        refuse_port_0(&endpoint)?;
        refuse(
            args,
            &endpoint,
            conversation_option(args),
            "streams and messages",
        )?;
        return Ok(Target::Http(typed));
    }
    let endpoint: Endpoint = typed_url
        .parse()
        .map_err(|e: bandy::endpoint::EndpointError| {
            report::usage(act(), e.to_string(), e.hint())
        })?;
    if let Some(method) = method {
        return Err(report::usage(
            format!("asking {endpoint}"),
            format!(
                "{method} is an HTTP method, and {}:// is not HTTP",
                endpoint.scheme()
            ),
            "leave it out, or write it behind the URL to say it",
        ));
    }
    refuse(args, &endpoint, args.http.given(), "HTTP")?;
    if endpoint.scheme() == Scheme::Mem {
        let why = "mem:// is inside one process, and no server is in this one";
        return Err(report::usage(act(), why, "ask over tcp:// or unix://"));
    }
    refuse_port_0(&endpoint)?;
    if args.no_newline && endpoint.scheme().carries() != Carries::Stream {
        let why = format!("{}:// adds no line feeds", endpoint.scheme());
        return Err(report::usage(act(), why, "leave --no-newline out"));
    }
    Ok(Target::Conversation(endpoint))
}

/// Whether a word is a method, where a URL could stand too.
pub fn is_method(word: &str) -> bool {
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic());
    is_word
        && (word.bytes().all(|b| b.is_ascii_uppercase())
            || METHODS.contains(&word.to_ascii_uppercase().as_str()))
}

fn text(word: &OsString) -> Result<String, Error> {
    word.clone().into_string().map_err(|word| {
        report::usage(
            format!("reading `{}`", word.display()),
            "it is not UTF-8",
            "other bytes are sent from a file: @FILE",
        )
    })
}

fn refuse_port_0(endpoint: &Endpoint) -> Result<(), Error> {
    match endpoint.port() {
        Some(0) => Err(report::usage(
            format!("asking {endpoint}"),
            "port 0 is nobody's",
            "the server's ready line has the real port",
        )),
        _ => Ok(()),
    }
}

fn conversation_option(args: &AskArgs) -> Option<&'static str> {
    let options = [
        ("--answers", args.answers.is_some()),
        ("--half-open", args.half_open),
        ("--no-newline", args.no_newline),
        ("--hex", args.hex),
    ];
    let mut given = options.into_iter().filter(|(_, is_given)| *is_given);
    given.next().map(|(option, _)| option)
}

fn refuse(
    args: &AskArgs,
    endpoint: &Endpoint,
    option: Option<&str>,
    about: &str,
) -> Result<(), Error> {
    let Some(option) = option else { return Ok(()) };
    let hint = match (option, args.http.given()) {
        ("--hex", _) => "-v shows the exchange; to see its bytes, ask tcp:// with --hex".to_owned(),
        _ => "leave it out".to_owned(),
    };
    let scheme = endpoint.scheme();
    Err(report::usage(
        format!("asking {endpoint}"),
        format!("{option} is about {about}, and this is {scheme}://"),
        hint,
    ))
}
