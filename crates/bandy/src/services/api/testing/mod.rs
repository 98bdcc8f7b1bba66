//! Endpoints for those who write a client: what was sent comes back as the server saw it, and answers of every sort come
//! when they are asked for.

mod answers;
mod cookies;
mod echo;
mod live;

use serde_json::{Value, json};

use super::endpoint::{Does, Endpoint, Tag};
use super::options::Options;
use super::shape::Shape;
use crate::error::Result;
use crate::http::Method;

/// The most bytes that `/bytes` and `/drip` send.
const BYTES_MAX: u64 = 100 << 20;
const DRIP_MAX: u64 = 64 << 10;
/// The most lines, redirects and events.
const LINES_MAX: u64 = 10_000;
const REDIRECTS_MAX: u64 = 20;
const EVENTS_MAX: u64 = 1000;

pub(super) fn endpoints(options: &Options) -> Result<Vec<Endpoint>> {
    let get = |path, summary, does| Endpoint::new(Method::GET, path, Tag::Testing, summary, does);
    let longest = options.longest.as_secs();
    let bytes = json!({"type": "string", "format": "binary"});
    let secret = |row: Endpoint| {
        row.path("user", Shape::Text(1, 64), "The name that is let in.", "ada")
            .path("password", Shape::Text(1, 64), "The password that lets it in.", "secret")
    };
    let cookies = json!({
        "type": "object",
        "required": ["cookies"],
        "properties": {"cookies": {"type": "object", "additionalProperties": {"type": "string"}}},
    });
    Ok(vec![
        echo::endpoint("/echo")?,
        echo::endpoint("/echo/{path...}")?.path("path", Shape::Rest, "Anything.", "some/where"),
        get("/status/{code}", "Get a status", Does::Later(|call, _| Box::pin(answers::status(call))))
            .any_method()
            .about("With the fields that belong to it: `Location`, `Retry-After`, `WWW-Authenticate`.")
            .path("code", Shape::Integer(200, 599), "The status.", "418")
            .says(0, "The status that was asked for.")
            .form("text/plain", json!({"type": "string"}), Some("418 I'm a teapot".into())),
        get("/delay/{seconds}", "Get an answer late", Does::Later(|call, _| Box::pin(answers::delay(call))))
            .any_method()
            .path("seconds", Shape::Seconds(longest), "How late.", "0.5")
            .json(200, "It took so long.", json!({"type": "object", "required": ["delay"], "properties": {"delay": {"type": "number"}}}), json!({"delay": 0.5})),
        get("/bytes/{n}", "Get bytes", Does::Later(|call, _| Box::pin(answers::bytes(call))))
            .about("The same ones for the same seed.")
            .path("n", Shape::Integer(0, BYTES_MAX), "How many.", "1024")
            .query("seed", Shape::Integer(0, u32::MAX as u64), "Which ones; 0 by default.", "7")
            .says(200, "So many bytes.")
            .form("application/octet-stream", bytes.clone(), None),
        get("/stream/{n}", "Get lines of JSON", Does::Later(|call, _| Box::pin(answers::lines(call))))
            .about("Each is sent by itself, and the length is not known before.")
            .path("n", Shape::Integer(0, LINES_MAX), "How many.", "3")
            .says(200, "So many lines.")
            .form("application/x-ndjson", json!({"type": "string"}), Some("{\"line\":1}\n{\"line\":2}\n".into())),
        get("/drip", "Get bytes slowly", Does::Later(|call, _| Box::pin(answers::drip(call))))
            .query("bytes", Shape::Integer(0, DRIP_MAX), "How many; 10 by default.", "10")
            .query("duration", Shape::Seconds(longest), "Seconds from the first to the last; 2 by default.", "1")
            .says(200, "So many asterisks.")
            .form("application/octet-stream", bytes, None),
        get("/redirect/{n}", "Be sent elsewhere", Does::Later(|call, _| Box::pin(answers::redirect(call))))
            .path("n", Shape::Integer(0, REDIRECTS_MAX), "How often.", "3")
            .text(200, "Arrived (0).", "arrived")
            .says(302, "To one less.")
            .with("Location", "Where to go."),
        get("/cookies", "See one's cookies", Does::Later(|call, _| Box::pin(cookies::show(call))))
            .about("Those that were set here; the session's is not shown.")
            .json(200, "Names and values.", cookies, json!({"cookies": {"taste": "sweet"}})),
        get("/cookies/set", "Set cookies", Does::Later(|call, _| Box::pin(cookies::set(call))))
            .about("One for each parameter, whatever its name: `/cookies/set?taste=sweet`. They come back at `/cookies` only.")
            .says(302, "To `/cookies`.")
            .with("Location", "`/cookies`")
            .with("Set-Cookie", "One for each parameter.")
            .problem(422, "A name or value that no cookie has."),
        secret(get("/basic-auth/{user}/{password}", "Be asked for a password", Does::Later(|call, _| Box::pin(answers::basic(call)))))
            .json(200, "That was it.", user_schema(), json!({"user": "ada"}))
            .problem(401, "That was not it, or nothing."),
        get("/bearer", "Be asked for a token", Does::Later(|call, _| Box::pin(answers::bearer(call))))
            .about("Any will do.")
            .json(200, "The token.", json!({"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}), json!({"token": "abc"}))
            .problem(401, "There was none."),
        get("/sse", "Get events", Does::Later(|call, _| Box::pin(live::events(call))))
            .about("Server-sent events, numbered from 1, or from behind `Last-Event-ID`.")
            .query("count", Shape::Integer(1, EVENTS_MAX), "How many; 5 by default.", "3")
            .query("interval", Shape::Seconds(longest), "Seconds between two; 1 by default.", "0.2")
            .says(200, "Events.")
            .form("text/event-stream", json!({"type": "string"}), Some("id: 1\nevent: tick\ndata: {\"n\":1}\n\n".into())),
        Endpoint::new(Method::GET, "/ws", Tag::Testing, "Echo over WebSocket", Does::Now(live::websocket))
            .about("Every message comes back, marked as it was.")
            .says(101, "It is a WebSocket now.")
            .problem(400, "It is no handshake of RFC 6455.")
            .problem(403, "A page of another site made the request.")
            .problem(426, "It is no WebSocket handshake."),
    ])
}

fn user_schema() -> Value {
    json!({"type": "object", "required": ["user"], "properties": {"user": {"type": "string"}}})
}
