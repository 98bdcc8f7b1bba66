//! HTTP/1.1 beside Python's h11, which is its own reading of the same RFCs: what we accept h11 accepts, and both understand
//! it as the same messages with the same bodies, so the next one begins at the same byte.
//!
//! We may be the stricter, and are: h11 takes lines that end with LF, folded fields, one Content-Length said twice, a Host
//! that is none, a target that does not fit its method, and most control characters in values. It is the stricter in
//! [`requests`] where that says so.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use bandy::wire::http1::{
    Asked, BodyDecoder, Bounds, Length, Step, is_forbidden_trailer, parse_request, parse_response,
};
use http::{HeaderMap, Version};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// How many connections are made up for each role. The same ones every time.
const STREAMS: usize = 4000;

/// A Python that has h11. `./test` makes one; where it did not run there may be none.
fn python() -> Option<Command> {
    if let Some(python) = std::env::var_os("TEST_PYTHON") {
        return Some(Command::new(python));
    }
    let notice = "skipped: TEST_PYTHON names no Python with h11. ./test makes one, and sets it\n";
    std::io::stderr()
        .write_all(notice.as_bytes())
        .expect("stderr");
    None
}

/// What h11 makes of each stream: a line a stream.
fn h11(mut python: Command, questions: Vec<String>) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/h11_peer.py");
    python
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let mut child = python.spawn().expect("TEST_PYTHON is a program");
    let mut stdin = child.stdin.take().expect("piped");
    let writer = thread::spawn(move || stdin.write_all(questions.concat().as_bytes()));
    let out = child.wait_with_output().expect("ended");
    assert!(
        out.status.success(),
        "h11_peer.py failed; does TEST_PYTHON have h11?"
    );
    writer.join().expect("no panic").expect("all was read");
    let out = String::from_utf8(out.stdout).expect("hexadecimal");
    out.lines().map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn message(fields: [&[u8]; 4]) -> String {
    fields.map(hex).join(":")
}

/// The trailers that have a place there, as the script prints them.
fn trailers(map: Option<HeaderMap>) -> Vec<u8> {
    let map = map.unwrap_or_default();
    assert!(!map.keys().any(|name| is_forbidden_trailer(name.as_str())));
    let fields = map
        .iter()
        .map(|(name, value)| [name.as_str().as_bytes(), b"=", value.as_bytes(), b";"].concat());
    fields.collect::<Vec<_>>().concat()
}

/// A body at the start of these bytes, which are all that ever come, with its trailers and where it ends.
fn body(length: Length, stream: &[u8]) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    let mut decoder = BodyDecoder::new(length, &Bounds::default());
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        match decoder.decode(&stream[at..]).ok()? {
            Step::Data { skip, len } => {
                body.extend_from_slice(&stream[at + skip..at + skip + len]);
                at += skip + len;
            }
            Step::More { .. } => {
                return decoder
                    .end_of_stream()
                    .is_ok()
                    .then(|| (body, Vec::new(), at));
            }
            Step::End {
                consumed,
                trailers: map,
            } => return Some((body, trailers(map), at + consumed)),
        }
    }
}

/// The requests that came whole, up to the first that is refused or the last on its connection.
fn requests(stream: &[u8]) -> Vec<String> {
    let (mut said, mut rest) = (Vec::new(), stream);
    // h11 has no empty line before a request (RFC 9112, section 2.2), and no keep-alive in HTTP/1.0.
    while !rest.starts_with(b"\r")
        && let Ok(Some((head, end))) = parse_request(rest, &Bounds::default())
    {
        let Some((body, trailers, length)) = body(head.length, &rest[end..]) else {
            break;
        };
        said.push(message([
            head.method.as_bytes(),
            head.target.as_bytes(),
            &body,
            &trailers,
        ]));
        rest = &rest[end + length..];
        if !head.keep_alive || head.version == Version::HTTP_10 {
            break;
        }
    }
    said
}

/// The responses to one request, the last of them whole.
fn responses(method: &str, stream: &[u8]) -> Vec<String> {
    let (mut said, mut rest) = (Vec::new(), stream);
    while let Ok(Some((head, end))) = parse_response(rest, &Bounds::default(), Asked::by(method)) {
        rest = &rest[end..];
        let status = head.status.as_str().as_bytes();
        if head.upgrades {
            said.push(message([status, b"switched", b"", b""]));
            break;
        }
        if head.status.is_informational() {
            said.push(message([status, b"", b"", b""]));
            continue;
        }
        if let Some((body, trailers, _)) = body(head.length, rest) {
            let state: &[u8] = match head.length {
                Length::UntilClose => b"until close",
                _ if head.keep_alive && head.version == Version::HTTP_11 => b"keeps",
                _ => b"closes",
            };
            said.push(message([status, state, &body, &trailers]));
        }
        break;
    }
    said
}

/// What a field line may be. Most mean something.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "Connection: close", "connection: Keep-Alive", "Connection: x, CLOSE ,", "Connection: upgrade",
            "Upgrade: websocket", "TE: trailers", "Transfer-Encoding: gzip", "Expect: 100-continue", "Cookie: a=b; c=\"d\"",
        ]).prop_map(str::to_owned),
        4 => "[A-Za-z!#$%&'*+.^_`|~-]{1,8}:[ \t]{0,2}([!-~é]([ -~\té]{0,8}[!-~é])?)?[ \t]{0,2}"
            .prop_filter("frames nothing", |line| !line.to_ascii_lowercase().starts_with("host:")),
    ]
}

/// A body with the line that frames it.
fn framed() -> impl Strategy<Value = (String, Vec<u8>)> {
    let data = || prop::collection::vec(any::<u8>(), 0..30);
    let chunk = (
        prop::collection::vec(any::<u8>(), 1..30),
        prop::sample::select(vec!["", ";a", ";a=\"b c\""]),
    );
    let trailer = prop::sample::select(vec!["X: y\r\n", "etag: \"z\"\r\n", ""]);
    let chunked = (prop::collection::vec(chunk, 0..4), trailer, any::<bool>()).prop_map(
        |(chunks, trailer, upper)| {
            let mut out = Vec::new();
            for (data, extension) in chunks {
                let size = if upper {
                    format!("{:02X}", data.len())
                } else {
                    format!("{:x}", data.len())
                };
                out.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
                out.extend_from_slice(&data);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
            ("Transfer-Encoding: Chunked\r\n".to_owned(), out)
        },
    );
    prop_oneof![
        2 => Just((String::new(), Vec::new())),
        2 => data().prop_map(|data| (format!("Content-Length: {}\r\n", data.len()), data)),
        3 => chunked,
    ]
}

fn lines() -> impl Strategy<Value = String> {
    prop::collection::vec(field(), 0..4)
        .prop_map(|lines| lines.iter().map(|line| format!("{line}\r\n")).collect())
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "GET / HTTP/1.1",
        "GET /a?b=c&d HTTP/1.1",
        "POST /%20 HTTP/1.1",
        "HEAD / HTTP/1.0",
        "M-SEARCH * HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT a.test:443 HTTP/1.1",
        "GET http://b.test/c HTTP/1.1",
        "PUT / HTTP/1.1",
    ]);
    let host = prop::sample::select(vec![
        "Host: a.test\r\n",
        "host:[::1]:80\r\n",
        "HOST: \ta \r\n",
    ]);
    (line, host, lines(), framed()).prop_map(|(line, host, lines, (length, body))| {
        let head = format!("{line}\r\n{lines}{host}{length}\r\n");
        [head.as_bytes(), &body].concat()
    })
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let line = prop::sample::select(vec![
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.0 200 ",
        "HTTP/1.1 204 No Content",
        "HTTP/1.1 304",
        "HTTP/1.1 500 é",
        "HTTP/1.1 205 Reset",
    ]);
    let before = prop::sample::select(vec![
        "",
        "",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 x\r\nLink: y\r\n\r\n",
    ]);
    (before, line, lines(), framed()).prop_map(|(before, line, lines, (length, body))| {
        let head = format!("{before}{line}\r\n{lines}{length}\r\n");
        [head.as_bytes(), &body].concat()
    })
}

/// The bytes with something in them changed that might matter.
fn mutated(stream: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "",
        "\n",
        "\r",
        "\r\n",
        " ",
        "\t",
        ",",
        ":",
        ";",
        "0",
        "5",
        "+",
        "\0",
        "x",
        "\u{1}",
        "é",
        "#",
        "Host: b\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
        "0\r\n\r\n",
        "\r\n z",
    ]);
    let change = (any::<prop::sample::Index>(), 0..3_usize, piece);
    let changes = prop_oneof![2 => prop::collection::vec(change.clone(), 0..1), 3 => prop::collection::vec(change, 1..4)];
    (stream, changes).prop_map(|(mut stream, changes)| {
        for (at, removed, inserted) in changes {
            let at = at.index(stream.len() + 1);
            let end = stream.len().min(at + removed);
            stream.splice(at..end, inserted.bytes());
        }
        stream
    })
}

/// As many as there are to be, the same every time.
fn some<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut one = || strategy.new_tree(&mut runner).expect("a value").current();
    (0..STREAMS).map(|_| one()).collect()
}

/// Compares message by message: we may stop earlier, where we are stricter, but not understand anything else.
fn agree(streams: impl Iterator<Item = (Vec<u8>, Vec<String>)>, theirs: Vec<String>) {
    let (mut count, mut accepted) = (0, 0);
    let mut complaints = Vec::new();
    for ((stream, ours), theirs) in streams.zip(&theirs) {
        let mut theirs = theirs.split_whitespace();
        for our in &ours {
            let their = theirs.next();
            if their != Some(our) {
                let stream = stream.escape_ascii();
                complaints.push(format!("{stream}\n  h11: {their:?}\n  we:  {our:?}"));
                break;
            }
        }
        count += 1;
        accepted += usize::from(!ours.is_empty());
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
    assert_eq!((count, theirs.len()), (STREAMS, STREAMS));
    let wanted = STREAMS / 3..STREAMS - STREAMS / 10;
    assert!(wanted.contains(&accepted), "{accepted} accepted");
}

#[test]
fn requests_are_understood_as_h11_does() {
    let Some(python) = python() else {
        return;
    };
    let streams = some(mutated(
        prop::collection::vec(request(), 1..4).prop_map(|requests| requests.concat()),
    ));
    let questions = streams
        .iter()
        .map(|stream| format!("request {}\n", hex(stream)));
    let theirs = h11(python, questions.collect());
    let ours = streams.into_iter().map(|stream| {
        let said = requests(&stream);
        (stream, said)
    });
    agree(ours, theirs);
}

#[test]
fn responses_are_understood_as_h11_does() {
    let Some(python) = python() else {
        return;
    };
    let method = prop::sample::select(vec!["GET", "HEAD", "CONNECT"]);
    let streams = some((method, mutated(response())));
    let questions = streams
        .iter()
        .map(|(method, stream)| format!("response {method} {}\n", hex(stream)));
    let theirs = h11(python, questions.collect());
    let ours = streams.into_iter().map(|(method, stream)| {
        let said = responses(method, &stream);
        (stream, said)
    });
    agree(ours, theirs);
}
