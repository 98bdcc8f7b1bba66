//! Servers that other people wrote, behind the balancer, as its users run it: Python's http.server, Flask and nginx.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bandy_testkit::{PATIENCE, Program, Running, Stage, eventually};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// Another server; dropping it ends it.
struct Other {
    child: Child,
    port: u16,
}

impl Other {
    /// Starts it, and waits until it accepts connections at a port that it was given or says.
    fn start(mut command: Command, port: Option<u16>) -> Other {
        let says = if port.is_none() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let started = command
            .stdin(Stdio::null())
            .stdout(says)
            .stderr(Stdio::null())
            .spawn();
        let mut child = started.unwrap_or_else(|e| panic!("starting {command:?}: {e}"));
        let port = port.unwrap_or_else(|| {
            let out = child.stdout.take().expect("a pipe");
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).expect("a line");
            line.trim().parse().expect("its port")
        });
        eventually("another server to listen", || {
            TcpStream::connect(("127.0.0.1", port))
        });
        Other { child, port }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago, for servers that must be told one.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
        || Path::new("/usr/sbin").join(program).exists()
}

/// Says why a test does nothing.
fn skipped(why: &str) {
    let notice = format!("skipped: {why}\n");
    std::io::stderr()
        .write_all(notice.as_bytes())
        .expect("stderr");
}

/// A Python program, which says its port in its first line.
fn python(program: &str, code: &str, arguments: &[&str]) -> Other {
    let mut command = Command::new(program);
    command.args(["-u", "-B", "-c", code]).args(arguments);
    Other::start(command, None)
}

const HTTP_SERVER: &str = "
import http.server, sys, functools
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = sys.argv[2]
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, directory=sys.argv[1]))
print(server.server_address[1])
server.serve_forever()
";

const FLASK: &str = "
import flask, sys
from werkzeug.serving import make_server
app = flask.Flask('app')
@app.post('/echo')
def echo():
    return {'said': flask.request.get_data(as_text=True), 'for': flask.request.headers['X-Forwarded-For'],
            'host': flask.request.host, 'by': sys.argv[1]}
@app.get('/stream')
def stream():
    return flask.Response((f'{n}\\n' for n in range(1000)), mimetype='text/plain')
server = make_server('127.0.0.1', 0, app, threaded=True)
print(server.server_port)
server.serve_forever()
";

fn balancer(stage: &Stage, others: &[&Other], more: &[&str]) -> Running {
    let mut program = Program::new(BANDY, stage).args(["balance", "http://:0"]);
    for other in others {
        program = program.args(["--to", &other.url()]);
    }
    program.args(more).start()
}

/// What comes to a request on a connection of its own: head and body.
fn ask(server: &Running, request: &str) -> (String, String) {
    let address = server.endpoint(0).socket_addr().expect("an address");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(request.as_bytes()).expect("taken");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer in time");
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn get(server: &Running, path: &str) -> (String, String) {
    ask(
        server,
        &format!("GET {path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n"),
    )
}

fn folders(stage: &Stage, names: [&str; 2]) -> [String; 2] {
    names.map(|name| {
        let folder = stage.folder().join(name);
        std::fs::create_dir(&folder).expect("created");
        std::fs::write(folder.join("who.txt"), name).expect("written");
        std::fs::write(folder.join("large.txt"), name.repeat(100_000)).expect("written");
        folder.into_os_string().into_string().expect("text")
    })
}

#[test]
fn pythons_http_server_one_after_the_other() {
    let stage = Stage::new();
    let [one, two] = folders(&stage, ["one", "two"]);
    let one = python("python3", HTTP_SERVER, &[&one, "HTTP/1.1"]);
    // An old one, which closes after each answer.
    let two = python("python3", HTTP_SERVER, &[&two, "HTTP/1.0"]);
    let server = balancer(&stage, &[&one, &two], &[]);
    let heard: Vec<String> = (0..4).map(|_| get(&server, "/who.txt").1).collect();
    assert_eq!(heard, ["one", "two", "one", "two"]);
    let large = get(&server, "/large.txt").1;
    assert_eq!(large, "one".repeat(100_000));
    let (head, _) = get(&server, "/none");
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}

#[test]
fn one_of_them_dies_and_nothing_fails() {
    let stage = Stage::new();
    let [one, two] = folders(&stage, ["one", "two"]);
    let one = python("python3", HTTP_SERVER, &[&one, "HTTP/1.1"]);
    let two = python("python3", HTTP_SERVER, &[&two, "HTTP/1.1"]);
    let server = balancer(&stage, &[&one, &two], &[]);
    for n in 0..40 {
        let (head, body) = get(&server, "/who.txt");
        assert!(
            head.starts_with("HTTP/1.1 200 "),
            "request {n}: {head}\n{body}"
        );
        if n == 10 {
            rustix_kill(&one);
        }
    }
    let (_, body) = get(&server, "/who.txt");
    assert_eq!(body, "two");
}

fn rustix_kill(other: &Other) {
    let pid = i32::try_from(other.child.id()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

#[test]
fn flask_hears_who_asked_and_streams() {
    let Some(program) = std::env::var("TEST_PYTHON").ok() else {
        return skipped(
            "TEST_PYTHON names no Python with Flask in it. ./test makes one, and sets it",
        );
    };
    let stage = Stage::new();
    let (one, two) = (
        python(&program, FLASK, &["one"]),
        python(&program, FLASK, &["two"]),
    );
    let server = balancer(&stage, &[&one, &two], &["--access-log"]);
    for by in ["one", "two", "one"] {
        let (_, body) = ask(
            &server,
            "POST /echo HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        );
        let said: serde_json::Value = serde_json::from_str(&body).expect(&body);
        assert_eq!(said["said"], "hello");
        assert_eq!(said["for"], "127.0.0.1");
        assert_eq!(said["host"], "site.test");
        assert_eq!(said["by"], by);
    }
    let (_, body) = get(&server, "/stream");
    let numbers: Vec<&str> = body.lines().filter(|line| line.len() <= 3).collect();
    assert!(
        body.contains("999\n") && numbers.len() >= 1000,
        "{} lines",
        numbers.len()
    );
    // What the access log says of it.
    let line = eventually("a line for the stream", || {
        let log = server.log_so_far();
        let found = log
            .lines()
            .find(|line| line.contains("\"target\":\"/stream\""))
            .map(str::to_owned);
        found.ok_or(log)
    });
    for part in [
        "\"status\":200",
        "\"chosen\":\"round-robin\"",
        "\"ended\":\"whole\"",
        "\"method\":\"GET\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn nginx_serves_files_and_keeps_its_connection() {
    if !is_installed("nginx") {
        return skipped("nginx is missing: apt-get install nginx-light");
    }
    let stage = Stage::new();
    let port = free_port();
    let folder = stage.folder().display().to_string();
    let user = match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    };
    let configuration = format!(
        "{user} daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}
        http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
        fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
        server {{ listen 127.0.0.1:{port}; root {folder};
        location /who {{ add_header X-Connection $connection; return 200 nginx; }} }} }}"
    );
    stage.file("nginx.conf", configuration);
    stage.file("large.bin", "x".repeat(3_000_000));
    let nginx = if is_installed("nginx") && Path::new("/usr/sbin/nginx").exists() {
        "/usr/sbin/nginx"
    } else {
        "nginx"
    };
    let mut command = Command::new(nginx);
    command.args(["-e", "stderr", "-p", &folder, "-c", "nginx.conf"]);
    let other = Other::start(command, Some(port));
    let server = balancer(&stage, &[&other], &[]);
    let address = server.endpoint(0).socket_addr().expect("an address");
    let mut stream = BufReader::new(TcpStream::connect(address).expect("connected"));
    let mut connections = Vec::new();
    for _ in 0..3 {
        let request = "GET /who HTTP/1.1\r\nHost: site.test\r\n\r\n";
        stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("taken");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("in time") > 0, "{head}");
        }
        let mut body = [0; 5];
        stream.read_exact(&mut body).expect("in time");
        assert_eq!(&body, b"nginx");
        let line = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("x-connection"));
        connections.push(line.expect("told").to_owned());
    }
    connections.dedup();
    assert_eq!(connections.len(), 1, "{connections:?}");
    assert_eq!(get(&server, "/large.bin").1.len(), 3_000_000);
}

/// As many files as may be open, at most so many.
fn open_files(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let set = |soft, hard| {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(soft),
                maximum: Some(hard),
            },
        )
    };
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(wanted);
    // Only root may raise the hard one.
    if hard < wanted && set(wanted, wanted).is_ok() {
        return wanted;
    }
    let soft = hard.min(wanted);
    set(soft, hard).expect("within the hard limit");
    soft
}

#[test]
fn ten_thousand_idle_websockets_are_cheap() {
    const SWITCH: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let wanted = 10_000;
    let files = open_files(2 * wanted + 1_000);
    let count = wanted.min(files.saturating_sub(1_000) / 2);
    if count < wanted {
        skipped(&format!(
            "{} of {wanted} WebSockets: no more files may be open",
            wanted - count
        ));
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    // Takes all of them, and keeps them until it is told.
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let backend = std::thread::spawn(move || {
        let mut kept = Vec::new();
        for _ in 0..count {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut came = Vec::new();
            while !came.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1024];
                let n = stream.read(&mut piece).expect("a request");
                came.extend_from_slice(&piece[..n]);
            }
            stream.write_all(SWITCH).expect("taken");
            kept.push(stream);
        }
        let _ = ended.recv();
        kept
    });
    let stage = Stage::new();
    let server = Program::new(BANDY, &stage)
        .args(["balance", "http://:0", "--to", &url])
        .start();
    let address = server.endpoint(0).socket_addr().expect("an address");
    let before = server.memory_bytes();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        let ask =
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(ask.as_bytes()).expect("taken");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("in time");
            head.push(byte[0]);
        }
        assert!(
            head.starts_with(b"HTTP/1.1 101 "),
            "{}",
            String::from_utf8_lossy(&head)
        );
        clients.push(stream);
    }
    let each = server.memory_bytes().saturating_sub(before) / count;
    // Two sockets, two tasks' state, no buffer: with buffers of 16 KiB each way it would be 32 KiB.
    assert!(each < 8 << 10, "{each} bytes for each of {count}");
    // They are alive, the last as the first.
    end.send(()).expect("it waits");
    let mut kept = backend.join().expect("no panic");
    for at in [0, clients.len() / 2, clients.len() - 1] {
        clients[at].write_all(b"hello").expect("taken");
        let mut heard = [0; 5];
        kept[at]
            .set_read_timeout(Some(PATIENCE))
            .expect("an option");
        kept[at].read_exact(&mut heard).expect("in time");
        assert_eq!(&heard, b"hello");
    }
}

#[test]
fn what_is_passed_on_is_told_by_flags_and_printed_as_it_is_read() {
    let stage = Stage::new();
    let flags = [
        "--trust",
        "10.0.0.0/8",
        "--to-host",
        "app.test:8080",
        "--access-log",
    ];
    let program = Program::new(BANDY, &stage);
    let program = program.args([
        "balance",
        "http://:8080",
        "--to",
        "http://:5001",
        "--print-config",
    ]);
    let (code, printed, _) = program.args(flags).output();
    assert_eq!(code, 0, "{printed}");
    let more = "secret = \"cookies.key\", forwarded = true, request_id = false";
    let written = printed.replace("log = true", &format!("log = true, {more}"));
    assert!(written.contains(more), "{printed}");
    stage.file("bandy.toml", written);
    let check = Program::new(BANDY, &stage).args(["check", "--print"]);
    let (code, printed, said) = check.output();
    assert_eq!(code, 0, "{said}");
    for line in [
        "trust = [\"10.0.0.0/8\"]",
        "host = \"app.test:8080\"",
        "log = true",
        "forwarded = true",
        "request_id = false",
        "secret = \"cookies.key\"",
    ] {
        assert!(printed.contains(line), "no `{line}` in\n{printed}");
    }
    let slips =
        Program::new(BANDY, &stage).args(["balance", "http://:8080", "--to", "http://:5001"]);
    let (code, _, said) = slips
        .args(["--trust", "10.0.0.0/99", "--to-host", "a b"])
        .output();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("10.0.0.0/99") && said.contains("`a b` is no host"),
        "{said}"
    );
}
