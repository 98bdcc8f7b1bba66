//! HTTP clients that other people wrote, against the program as its users run it.

mod browser;
mod curl;
mod nghttp2;
mod python;
mod schemathesis;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bandy_testkit::{Program, Running, Stage};
use rustix::process::Signal;

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");
/// What a client may take for everything that a test asks of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client; its Debian package is named where it is missing.
fn peer(program: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    assert!(is_there, "{program} is missing: apt-get install {package}");
    Command::new(program)
}

/// A Python that has the packages of `./test`. Where that did not run there may be none.
fn python() -> Option<Command> {
    if let Some(python) = std::env::var_os("TEST_PYTHON") {
        return Some(Command::new(python));
    }
    let notice =
        "skipped: TEST_PYTHON names no Python with HTTP in it. ./test makes one, and sets it\n";
    std::io::stderr()
        .write_all(notice.as_bytes())
        .expect("stderr");
    None
}

/// A client that has ended.
#[derive(Debug)]
struct Ran {
    /// Its exit code; none where it did not end by itself.
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// What it printed, if it succeeded.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self.out
    }
}

/// Runs a client to its end, with nothing to read.
#[track_caller]
fn run(client: Command) -> Ran {
    run_while(client, |_| {})
}

/// As [`run`]; meanwhile, `see` is shown what it has printed so far.
#[track_caller]
fn run_while(mut client: Command, mut see: impl FnMut(&str)) -> Ran {
    let (mut out, mut err) = (scratch(), scratch());
    client.stdin(Stdio::null());
    client.stdout(out.try_clone().expect("cloned"));
    client.stderr(err.try_clone().expect("cloned"));
    let mut child = client.spawn().expect("started");
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if since.elapsed() > PATIENCE {
            child.kill().expect("a child");
            child.wait().expect("a child");
            panic!(
                "{client:?} still runs:\n{}\n{}",
                text(&mut out),
                text(&mut err)
            );
        }
        see(&so_far(&mut out));
        std::thread::sleep(Duration::from_millis(2));
    };
    Ran {
        code: status.code(),
        out: text(&mut out),
        err: text(&mut err),
    }
}

fn scratch() -> File {
    tempfile::tempfile().expect("a file for temporary text")
}

/// What is written up to now: whoever writes goes on at the end.
fn so_far(file: &mut File) -> String {
    let mut bytes = vec![0; file.metadata().map_or(0, |file| file.len() as usize)];
    file.read_exact_at(&mut bytes, 0).expect("a file");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file");
    file.read_to_end(&mut bytes).expect("a file");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A service over HTTP and HTTPS, in a place of its own.
struct Site {
    stage: Stage,
    server: Running,
    http: String,
    https: String,
}

impl Site {
    fn start(service: &[&str]) -> Site {
        let stage = Stage::new();
        let root = stage.folder().join("root");
        std::fs::create_dir(&root).expect("created");
        let mut server = Program::new(BANDY, &stage).args(["serve"]).args(service);
        server = server.args(["http://:0", "https://:0"]);
        if service.first() == Some(&"files") {
            server = server.args(["--root", "root"]);
        }
        let server = server.start();
        let at = |i: usize| server.endpoint(i).port().expect("a port");
        Site {
            http: format!("http://127.0.0.1:{}", at(0)),
            https: format!("https://localhost:{}", at(1)),
            server,
            stage,
        }
    }

    /// The certificate of the authority that `https` is vouched for by.
    fn ca(&self) -> String {
        let path = self.stage.folder().join("bandy/ca.pem");
        path.into_os_string().into_string().expect("text")
    }

    /// Ends it; how many connections it had.
    #[track_caller]
    fn connections(self) -> usize {
        self.server.signal(Signal::TERM);
        self.connections_at_the_end()
    }

    /// As [`Site::connections`], of one that was told to end already: told twice, it would not wait for anybody.
    #[track_caller]
    fn connections_at_the_end(mut self) -> usize {
        assert_eq!(self.server.wait().code(), Some(0));
        let log = self.server.log_so_far();
        let is_one = |line: &&str| line.contains(r#""message":"conversation""#);
        log.lines().filter(is_one).count()
    }

    /// A file below the root of `files`.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.stage.file(&format!("root/{name}"), bytes);
    }

    fn has(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.stage.folder().join("root").join(name)).ok()
    }
}
