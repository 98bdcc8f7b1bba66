//! Programs that other people wrote, as Debian has them, at the other end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use bandy::Endpoint;
use bandy_testkit::{PATIENCE, Program, Running, Stage, eventually, noise};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// A peer program; its Debian package is named where it is missing.
fn peer(program: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    assert!(is_there, "{program} is missing: apt-get install {package}");
    Command::new(program)
}

/// What a peer prints when it is told `input`, which is closed then, and how it ends.
fn told(mut peer: Command, stage: &Stage, input: &[u8]) -> Output {
    let stdin = stage.file("input", input);
    let open = |name: &str| File::create(stage.folder().join(name)).expect("created");
    peer.stdin(File::open(stdin).expect("written"));
    peer.stdout(open("output")).stderr(open("errors"));
    let mut child = peer.spawn().expect("started");
    let status = ended(&mut child);
    let read = |name: &str| std::fs::read(stage.folder().join(name)).expect("written");
    Output {
        status,
        stdout: read("output"),
        stderr: read("errors"),
    }
}

fn ended(child: &mut Child) -> ExitStatus {
    let since = Instant::now();
    eventually("a peer to end", || match child.try_wait() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => {
            if since.elapsed() > PATIENCE {
                // Before the test fails, so that nothing is left running.
                drop(child.kill());
            }
            Err("it still runs".to_owned())
        }
        Err(e) => Err(e.to_string()),
    })
}

/// An echo through a peer: all of `data` goes out and comes back.
#[track_caller]
fn echoes(peer: Command, stage: &Stage, data: &[u8]) {
    let shown = format!("{peer:?}");
    let out = told(peer, stage, data);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{shown}: {}: {said}", out.status);
    let n = out.stdout.len();
    assert!(
        out.stdout == data,
        "{shown}: {n} of {} bytes: {said}",
        data.len()
    );
}

fn serve(stage: &Stage, args: &[&str]) -> Running {
    Program::new(BANDY, stage)
        .args(["serve"])
        .args(args)
        .start()
}

fn port(endpoint: &Endpoint) -> String {
    endpoint.port().expect("a port").to_string()
}

/// An echo on everything, and where.
struct Echo {
    stage: Stage,
    tcp: String,
    udp: String,
    tls: String,
    ws: String,
    unix: PathBuf,
    _server: Running,
}

impl Echo {
    fn start() -> Echo {
        let stage = Stage::new();
        let unix = stage.folder().join("echo.sock");
        let url = format!("unix://{}", unix.display());
        // No peer that hangs is waited for longer than the test is.
        let listen = ["tcp://:0", "udp://:0", "tls://:0", "ws://:0", &url];
        let server = serve(&stage, &[&["echo", "--idle", "20s"][..], &listen].concat());
        let at = |i| port(&server.endpoint(i));
        Echo {
            tcp: at(0),
            udp: at(1),
            tls: at(2),
            ws: at(3),
            unix,
            stage,
            _server: server,
        }
    }

    fn ca(&self) -> PathBuf {
        self.stage.folder().join("bandy/ca.pem")
    }

    #[track_caller]
    fn asked(&self, program: &str, package: &str, args: &[&str]) {
        let mut peer = peer(program, package);
        peer.args(args);
        asked(peer, b"a datagram\n");
    }

    #[track_caller]
    fn through(&self, program: &str, package: &str, args: &[&str], data: &[u8]) {
        let mut peer = peer(program, package);
        peer.args(args);
        echoes(peer, &self.stage, data);
    }
}

/// One question and its answer, with the peer's input open: over UDP nothing else would say that more may come.
#[track_caller]
fn asked(mut peer: Command, question: &[u8]) {
    peer.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = peer.spawn().expect("started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdin.write_all(question).expect("taken");
    let (say, said) = mpsc::channel();
    let mut answer = vec![0; question.len()];
    let reading = thread::spawn(move || {
        if stdout.read_exact(&mut answer).is_ok() {
            say.send(answer).ok();
        }
    });
    let answer = said.recv_timeout(PATIENCE);
    child.kill().expect("a child");
    child.wait().expect("a child");
    reading.join().expect("no panic");
    assert_eq!(answer.as_deref(), Ok(question), "{peer:?}");
}

const HOST: &str = "127.0.0.1";

#[test]
fn netcat_openbsd() {
    let echo = Echo::start();
    let nc = |args: &[&str], data: &[u8]| echo.through("nc.openbsd", "netcat-openbsd", args, data);
    nc(&["-N", HOST, &echo.tcp], &noise(1, 1 << 20));
    nc(&["-N", HOST, &echo.tcp], b"");
    nc(
        &["-N", "-U", echo.unix.to_str().expect("text")],
        &noise(2, 1 << 20),
    );
    echo.asked("nc.openbsd", "netcat-openbsd", &["-u", HOST, &echo.udp]);
}

#[test]
fn ncat() {
    let echo = Echo::start();
    let ncat = |args: &[&str], data: &[u8]| echo.through("ncat", "ncat", args, data);
    ncat(&[HOST, &echo.tcp], &noise(1, 1 << 20));
    ncat(
        &["-U", echo.unix.to_str().expect("text")],
        &noise(2, 1 << 16),
    );
    let ca = echo.ca();
    let ca = ca.to_str().expect("text");
    ncat(
        &[
            "--ssl-verify",
            "--ssl-trustfile",
            ca,
            "localhost",
            &echo.tls,
        ],
        &noise(3, 1 << 16),
    );
    echo.asked("ncat", "ncat", &["-u", HOST, &echo.udp]);
}

#[test]
fn socat() {
    let echo = Echo::start();
    let socat = |address: &str, data: &[u8]| {
        echo.through("socat", "socat", &["-t", "10", "-", address], data);
    };
    socat(&format!("TCP:{HOST}:{}", echo.tcp), &noise(1, 1 << 20));
    socat(
        &format!("UNIX-CONNECT:{}", echo.unix.display()),
        &noise(2, 1 << 20),
    );
    let ca = echo.ca();
    let tls = format!(
        "OPENSSL:localhost:{},pf=ip4,cafile={}",
        echo.tls,
        ca.display()
    );
    socat(&tls, &noise(3, 1 << 18));
    let udp = format!("UDP:{HOST}:{}", echo.udp);
    echo.asked("socat", "socat", &["-", &udp]);
}

#[test]
fn openssl() {
    let echo = Echo::start();
    let ca = echo.ca();
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = peer("openssl", "openssl");
        let to = format!("{HOST}:{}", echo.tls);
        openssl.args([
            "s_client",
            "-connect",
            &to,
            "-quiet",
            "-no_ign_eof",
            version,
        ]);
        openssl.args(["-verify_return_error", "-verify_ip", HOST, "-CAfile"]);
        // It leaves at the end of its input without reading on, so that waits for the answer.
        openssl
            .arg(&ca)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let errors = echo.stage.folder().join("errors");
        openssl.stderr(File::create(&errors).expect("created"));
        let mut child = openssl.spawn().expect("started");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(b"Hello\n").expect("taken");
        let mut answer = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut answer).expect("an answer");
        let said = || std::fs::read_to_string(&errors).expect("written");
        assert_eq!(answer, "Hello\n", "{version}: {}", said());
        drop(stdin);
        let status = ended(&mut child);
        assert!(status.success(), "{version}: {}", said());
    }
    for version in ["-tls1", "-tls1_1"] {
        let mut openssl = peer("openssl", "openssl");
        let to = format!("{HOST}:{}", echo.tls);
        openssl.args([
            "s_client",
            "-connect",
            &to,
            "-cipher",
            "ALL:@SECLEVEL=0",
            version,
        ]);
        let out = told(openssl, &echo.stage, b"Hello\n");
        assert!(!out.status.success(), "{version} is too old");
    }
}

/// Sockets and TLS as Python has them; a WebSocket by hand, since its library has none.
const PYTHON: &str = r#"
import base64, hashlib, os, socket, ssl, struct, sys
tcp, udp, tls, ws, unix, ca = sys.argv[1:]
H = "127.0.0.1"
socket.setdefaulttimeout(20)

def exactly(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        assert piece, "the end after %d of %d bytes" % (len(got), n)
        got += piece
    return got

def stream(s):
    data = os.urandom(100_000)
    s.sendall(data)
    assert exactly(s, len(data)) == data

with socket.create_connection((H, int(tcp))) as s:
    stream(s)
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b""
with socket.socket(socket.AF_UNIX) as s:
    s.connect(unix)
    stream(s)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect((H, int(udp)))
    for word in (b"one", b"", b"x" * 65507):
        s.send(word)
        assert s.recv(1 << 16) == word

trusting = ssl.create_default_context(cafile=ca)
with socket.create_connection((H, int(tls))) as s:
    with trusting.wrap_socket(s, server_hostname="localhost") as t:
        stream(t)
        assert t.version() == "TLSv1.3", t.version()
        t.unwrap()
for context, name in ((ssl.create_default_context(), H), (trusting, "elsewhere.example")):
    with socket.create_connection((H, int(tls))) as s:
        try:
            context.wrap_socket(s, server_hostname=name)
            sys.exit("it is trusted by " + name)
        except ssl.SSLCertVerificationError:
            pass

def frame(opcode, data):
    mask = os.urandom(4)
    n = len(data)
    size = bytes([0x80 | n]) if n < 126 else struct.pack("!BH", 0xFE, n)
    return bytes([0x80 | opcode]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))

def read_frame(s):
    first, size = exactly(s, 2)
    if size == 126:
        size, = struct.unpack("!H", exactly(s, 2))
    return first, exactly(s, size)

with socket.create_connection((H, int(ws))) as s:
    key = base64.b64encode(os.urandom(16))
    s.sendall(b"GET /chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Key: " + key + b"\r\nSec-WebSocket-Version: 13\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(s, 1)
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    assert head.startswith(b"HTTP/1.1 101 ") and accept in head, head
    for opcode, data in ((1, "Grüße".encode()), (2, os.urandom(5000)), (1, b"")):
        s.sendall(frame(opcode, data))
        assert read_frame(s) == (0x80 | opcode, data)
    s.sendall(frame(9, b"are you there?"))
    assert read_frame(s) == (0x8A, b"are you there?")
    s.sendall(frame(8, struct.pack("!H", 1000)))
    assert read_frame(s) == (0x88, struct.pack("!H", 1000))
    assert s.recv(1) == b""
print("done")
"#;

#[test]
fn python() {
    let echo = Echo::start();
    let mut python = peer("python3", "python3");
    python.args(["-c", PYTHON, &echo.tcp, &echo.udp, &echo.tls, &echo.ws]);
    python.arg(&echo.unix).arg(echo.ca());
    let out = told(python, &echo.stage, b"");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "done\n", "{said}");
}

/// An answer to whatever is asked, as HTTP has it.
const PAGE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";

fn curl(stage: &Stage, args: &[&str]) -> Output {
    let mut curl = peer("curl", "curl");
    let patience = PATIENCE.as_secs().to_string();
    curl.args([
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--max-time",
        &patience,
    ]);
    curl.args(args);
    told(curl, stage, b"")
}

#[test]
fn curl_reads_a_greeting() {
    let stage = Stage::new();
    let server = serve(&stage, &["greet", PAGE, "tcp://:0", "tls://:0"]);
    let out = curl(
        &stage,
        &[&format!("telnet://{HOST}:{}", port(&server.endpoint(0)))],
    );
    assert_eq!(String::from_utf8_lossy(&out.stdout), PAGE);
    let url = format!("https://{HOST}:{}", port(&server.endpoint(1)));
    let ca = stage.folder().join("bandy/ca.pem");
    let out = curl(&stage, &["--cacert", ca.to_str().expect("text"), &url]);
    assert_eq!(String::from_utf8_lossy(&out.stdout), "hello\n", "{out:?}");
    assert_eq!(curl(&stage, &[&url]).status.code(), Some(60), "not trusted");
}

/// Takes the authority off this machine again, also when a test fails.
struct Untrust<'a>(&'a Stage);

impl Drop for Untrust<'_> {
    fn drop(&mut self) {
        let mut untrust = Command::new(BANDY);
        untrust.arg("untrust").env("XDG_DATA_HOME", self.0.folder());
        drop(untrust.output());
    }
}

#[test]
fn the_machine_trusts_and_no_longer_trusts() {
    let stage = Stage::new();
    let server = serve(&stage, &["greet", PAGE, "tls://:0"]);
    let bandy = |args: &[&str]| {
        let (code, out, said) = Program::new(BANDY, &stage)
            .env("SUDO_USER", "")
            .args(args)
            .output();
        (code, format!("{out}{said}"))
    };
    if !is_root() {
        let (code, said) = bandy(&["trust"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("sudo XDG_DATA_HOME="), "{said}");
        return;
    }
    assert!(
        Path::new("/usr/sbin/update-ca-certificates").exists(),
        "update-ca-certificates is missing: apt-get install ca-certificates"
    );
    let at = port(&server.endpoint(0));
    let asks = |is_trusted: bool| {
        let mut openssl = peer("openssl", "openssl");
        openssl.args([
            "s_client",
            "-connect",
            &format!("{HOST}:{at}"),
            "-verify_return_error",
        ]);
        openssl.args(["-quiet", "-verify_ip", HOST, "-CApath", "/etc/ssl/certs"]);
        let openssl = told(openssl, &stage, b"").status.success();
        let curl = curl(&stage, &[&format!("https://{HOST}:{at}")])
            .status
            .success();
        let mut python = peer("python3", "python3");
        python
            .env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
            .args(["-c", TRUSTS, &at]);
        let python = told(python, &stage, b"").status.success();
        assert_eq!(
            [openssl, curl, python],
            [is_trusted; 3],
            "openssl, curl, python"
        );
    };
    asks(false);
    let guard = Untrust(&stage);
    let (code, said) = bandy(&["trust"]);
    assert_eq!(code, 0, "{said}");
    asks(true);
    let (code, said) = bandy(&["trust"]);
    assert!(code == 0 && said.starts_with("nothing to do"), "{said}");
    let (code, said) = bandy(&["untrust"]);
    assert!(code == 0 && said.starts_with("removed "), "{said}");
    asks(false);
    let (code, said) = bandy(&["untrust"]);
    assert!(code == 0 && said.starts_with("nothing to remove"), "{said}");
    drop(guard);
}

const TRUSTS: &str = r#"
import socket, ssl, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
    ssl.create_default_context().wrap_socket(s, server_hostname="127.0.0.1").recv(1)
"#;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn ask_reads_pythons_http_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let served = folder.path().join("served");
    std::fs::create_dir(&served).expect("made");
    std::fs::write(served.join("a.json"), "{\"n\": 1.50}").expect("written");
    let big = noise(5, 3 << 20);
    std::fs::write(served.join("big.bin"), &big).expect("written");
    let mut python = peer("python3", "python3")
        .args([
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(&served)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3");
    let mut ready = String::new();
    let stdout = python.stdout.take().expect("piped");
    BufReader::new(stdout)
        .read_line(&mut ready)
        .expect("a line");
    let url = ready.split(['(', ')']).nth(1).expect("a URL").to_owned();
    let ask = |args: &[&str]| {
        let mut command = Command::new(BANDY);
        let command = command.arg("ask").args(args).current_dir(folder.path());
        command.stdin(Stdio::null()).output().expect("run")
    };
    assert_eq!(ask(&[&format!("{url}a.json")]).stdout, b"{\"n\": 1.50}");
    let shown = ask(&[&format!("{url}a.json"), "--pretty=format"]).stdout;
    assert_eq!(String::from_utf8_lossy(&shown), "{\n  \"n\": 1.50\n}\n");
    assert_eq!(ask(&[&format!("{url}nothing")]).status.code(), Some(22));
    assert_eq!(ask(&["HEAD", &url]).status.code(), Some(0));
    assert!(ask(&[&format!("{url}big.bin"), "-d"]).status.success());
    let came = std::fs::read(folder.path().join("big.bin")).expect("saved");
    assert!(came == big, "as it was");
    python.kill().expect("it runs");
    python.wait().expect("it ended");
}
