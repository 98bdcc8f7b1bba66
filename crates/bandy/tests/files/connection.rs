//! Files over a connection: what the system sends by itself, and clients that go away.

use std::io::{Read, Write};
use std::net::TcpStream;

use bandy::endpoint::Scheme;
use bandy::http::Http;
use bandy::{Running, Server};
use bandy_testkit::{Stage, raw};

use crate::Site;

fn serve(site: &Site) -> Running {
    let server = Server::new(Http::new(site.files.clone()));
    Stage::new().start(server, &[Scheme::Http])
}

/// Writes these requests, the last of which closes, and reads everything.
fn say(stream: &mut TcpStream, requests: &str) -> Vec<u8> {
    stream.write_all(requests.as_bytes()).expect("written");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("read");
    heard
}

/// The heads and bodies of responses, told apart by their `content-length`; `has_body` says which requests get one.
fn responses<'a>(mut heard: &'a [u8], has_body: &[bool]) -> Vec<(String, &'a [u8])> {
    let mut all = Vec::new();
    for has_body in has_body {
        let end = heard.windows(4).position(|w| w == b"\r\n\r\n");
        let (head, rest) = heard.split_at(end.expect("a head") + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let len = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next());
        let len = len.map_or(0, |len| len.parse().expect("a number"));
        let (body, rest) = rest.split_at(if *has_body { len } else { 0 });
        all.push((head, body));
        heard = rest;
    }
    assert_eq!(heard, b"", "nothing is left over");
    all
}

#[test]
fn small_and_large_parts_and_heads_on_one_connection() {
    let site = Site::new();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    site.file("small.txt", "small").file("large.bin", &large);
    let server = serve(&site);
    let mut stream = raw::tcp(server.endpoint());
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    let requests = [
        get("/small.txt", ""),
        get("/large.bin", ""),
        get("/large.bin", "range: bytes=1000000-2499999\r\n"),
        get("/large.bin", "range: bytes=0-4,-3\r\n"),
        get("/large.bin", "").replace("GET", "HEAD"),
        get(
            "/small.txt",
            "if-modified-since: Fri, 31 Dec 2100 00:00:00 GMT\r\n",
        ),
        get("/nothing", ""),
        get("/small.txt", "connection: close\r\n"),
    ];
    let heard = say(&mut stream, &requests.concat());
    let heard = responses(&heard, &[true, true, true, true, false, false, true, true]);
    let statuses: Vec<_> = heard
        .iter()
        .map(|(head, _)| head.get(9..12).unwrap_or_default())
        .collect();
    assert_eq!(
        statuses,
        ["200", "200", "206", "206", "200", "304", "404", "200"]
    );
    let bodies: Vec<_> = heard.iter().map(|(_, body)| *body).collect();
    assert_eq!(bodies[0], b"small");
    assert!(bodies[1] == large);
    assert!(bodies[2] == &large[1_000_000..2_500_000]);
    assert!(bodies[3].windows(5).any(|w| w == &large[..5]));
    assert!(heard[4].0.contains("content-length: 3000000"));
    assert_eq!(bodies[7], b"small");
}

#[test]
fn a_client_that_goes_away_leaves_nothing() {
    let site = Site::writable();
    site.file("a", "kept");
    let server = serve(&site);
    let mut stream = raw::tcp(server.endpoint());
    let head = "PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("written");
    stream.write_all(&[b'x'; 600_000]).expect("written");
    bandy_testkit::eventually("a file under way", || match site.names("").len() {
        2 => Ok(()),
        n => Err(n),
    });
    drop(stream);
    bandy_testkit::eventually("its end", || match site.names("") {
        names if names == ["a"] => Ok(()),
        names => Err(names.join(", ")),
    });
    assert_eq!(site.read("a"), "kept");
    // The next one has nothing to fear from it.
    let mut stream = raw::tcp(server.endpoint());
    let put = "PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nconnection: close\r\n\r\nnew";
    let heard = say(&mut stream, put);
    assert!(
        heard.starts_with(b"HTTP/1.1 204"),
        "{}",
        String::from_utf8_lossy(&heard)
    );
    assert_eq!(site.read("a"), "new");
}

#[test]
fn a_page_whose_name_was_made_to_lead_here_may_not_write() {
    let site = Site::writable();
    let server = serve(&site);
    let port = raw::address(server.endpoint()).port();
    for (host, status) in [
        ("evil.example", "403"),
        ("localhost", "201"),
        ("127.0.0.1", "204"),
    ] {
        let mut stream = raw::tcp(server.endpoint());
        let fields = format!(
            "host: {host}:{port}\r\norigin: http://{host}:{port}\r\nsec-fetch-site: same-origin"
        );
        let put = format!(
            "PUT /a HTTP/1.1\r\n{fields}\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
        );
        let heard = say(&mut stream, &put);
        assert_eq!(heard.get(9..12), Some(status.as_bytes()), "{host}");
    }
}
