//! HTTP as it goes over a connection: the gate, row by row, and the lift of services of requests.

mod attacks;
mod cgi;
mod frames;
mod gate;
mod h2;
mod h2_attacks;
mod lift;
mod limits;
mod login;
mod midway;
mod target;
mod upgrade;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use bandy::endpoint::Scheme;
use bandy::http::{self, Http, Request, Response, StatusCode};
use bandy::limits::HttpLimits;
use bandy::server::Running;
use bandy::service::Service;
use bandy::{Model, Result, Server, service_fn};
use bandy_testkit::{Stage, raw};

/// Says what it got: method, target and host, fields that were sent, and the body.
async fn mirror(request: Request) -> Result<Response> {
    let head = format!(
        "{} {} {}\n",
        request.method(),
        request.uri(),
        request
            .headers()
            .get("host")
            .map_or("-", |h| h.to_str().expect("text")),
    );
    let body = request.into_body().collect(1 << 20).await?;
    let said = [head.as_bytes(), &body].concat();
    Ok(http::typed(StatusCode::OK, "text/plain", said))
}

/// A server of `service`, within these limits.
fn serve<S>(stage: &Stage, service: S, limits: HttpLimits) -> Running
where
    S: Service<Request, Out = Response>,
{
    serve_as(stage, service, limits, Model::Async)
}

fn serve_as<S>(stage: &Stage, service: S, limits: HttpLimits, model: Model) -> Running
where
    S: Service<Request, Out = Response>,
{
    let server = Server::new(Http::new(service).limits(limits));
    stage.start(server.model(model), &[Scheme::Http])
}

fn mirrors(stage: &Stage) -> Running {
    serve(stage, service_fn(mirror), HttpLimits::default())
}

/// A client that writes bytes and reads responses.
struct Raw(BufReader<TcpStream>);

/// A response, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Came {
    status: u16,
    head: String,
    body: String,
}

impl Came {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (n, value) = line.split_once(": ")?;
            n.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Raw {
    fn to(server: &Running) -> Raw {
        Raw(BufReader::new(raw::tcp(server.endpoint())))
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> &mut Raw {
        let written = self.0.get_mut().write_all(bytes.as_ref());
        written.expect("the server takes it");
        self
    }

    /// A head, with its empty line.
    fn head(&mut self) -> String {
        let mut head = String::new();
        loop {
            let n = self.0.read_line(&mut head).expect("a line in time");
            assert!(n > 0, "the connection ended in a head: {head:?}");
            if head.ends_with("\r\n\r\n") {
                return head;
            }
        }
    }

    fn status(head: &str) -> u16 {
        let code = head.get(9..12).and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no status: {head:?}"))
    }

    /// A response with a body of a known length, or in chunks; `asked` decides whether there is one.
    fn hear_of(&mut self, asked: &str) -> Came {
        let head = self.head();
        let mut came = Came {
            status: Raw::status(&head),
            head,
            body: String::new(),
        };
        let is_bodiless = asked == "HEAD" || matches!(came.status, 100..=199 | 204 | 304);
        if is_bodiless {
            return came;
        }
        if came.field("transfer-encoding") == Some("chunked") {
            came.body = self.chunks();
        } else if let Some(len) = came.field("content-length") {
            let mut body = vec![0; len.parse().expect("a length")];
            self.0.read_exact(&mut body).expect("a body in time");
            came.body = String::from_utf8(body).expect("text");
        } else {
            came.body = String::from_utf8(raw::rest(&mut self.0)).expect("text");
        }
        came
    }

    fn hear(&mut self) -> Came {
        self.hear_of("GET")
    }

    fn chunks(&mut self) -> String {
        let mut body = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a chunk in time");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a size");
            let mut chunk = vec![0; size + 2];
            self.0.read_exact(&mut chunk).expect("a chunk");
            assert!(chunk.ends_with(b"\r\n"));
            if size == 0 {
                return String::from_utf8(body).expect("text");
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// The connection is closed, and nothing more comes.
    fn closed(&mut self) {
        raw::closed(&mut self.0);
    }
}
