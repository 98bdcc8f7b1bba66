//! A web service: `cargo run --example web`, then `bandy ask ':8000/add?a=5&b=3'` or a browser.

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use bandy::http::{self, Http, Request, Response, StatusCode};
use bandy::{Result, Server, service_fn};

async fn web(request: Request) -> Result<Response> {
    Ok(match (request.method().as_str(), request.uri().path()) {
        ("GET" | "HEAD", "/") => http::text(
            StatusCode::OK,
            "try /add?a=5&b=3, or POST something to /loud\n",
        ),
        ("GET" | "HEAD", "/add") => match sum(request.uri().query().unwrap_or_default()) {
            Some(sum) => http::text(StatusCode::OK, format!("{sum}\n")),
            None => http::text(StatusCode::UNPROCESSABLE_ENTITY, "a and b are numbers\n"),
        },
        ("POST", "/loud") => {
            let said = request.into_body().collect(1 << 20).await?;
            http::typed(StatusCode::OK, "text/plain", said.to_ascii_uppercase())
        }
        _ => http::text(StatusCode::NOT_FOUND, "there is nothing here\n"),
    })
}

/// The sum of `a` and `b` of a query, if it is one.
fn sum(query: &str) -> Option<i64> {
    let value = |name| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name)?.1.parse::<i64>().ok()
    };
    value("a")?.checked_add(value("b")?)
}

fn main() -> Result<()> {
    let at = std::env::args().nth(1);
    let server = Server::new(Http::new(service_fn(web)));
    let server = server
        .listen(at.as_deref().unwrap_or("http://:8000"))?
        .start()?;
    println!("listening on {}", server.endpoint());
    server.wait()
}
