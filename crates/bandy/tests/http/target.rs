//! A server in a process of its own, to be attacked: its memory and its files are nobody else's.

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bandy::Endpoint;
use bandy_testkit::{Process, eventually};

use super::*;

/// Names the limits that the process takes, in its environment.
const LIMITS: &str = "TARGET_LIMITS";

pub struct Target {
    process: Child,
    endpoint: Endpoint,
    memory: u64,
    files: usize,
}

impl Target {
    /// With the limits that any server has.
    pub fn usual() -> Target {
        Target::start("usual")
    }

    /// With the limits of [`quick`].
    pub fn quick() -> Target {
        Target::start("quick")
    }

    fn start(limits: &str) -> Target {
        let mut process = Command::new(env::current_exe().expect("this program"))
            .args(["target::the_server", "--exact", "--ignored", "--nocapture"])
            .env(LIMITS, limits)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let url = lines
            .map(|line| line.expect("text"))
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        let mut target = Target {
            process,
            endpoint: url.expect("a server").parse().expect("a URL"),
            memory: 0,
            files: 0,
        };
        target.files = target.stats().open_files();
        // What every event loop needs once is there before memory is measured.
        for _ in 0..16 {
            target.answers();
        }
        target.is_left_alone();
        target.memory = target.stats().memory_bytes();
        target
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn client(&self) -> Raw {
        Raw(BufReader::new(raw::tcp(&self.endpoint)))
    }

    /// Answers somebody else, and soon.
    pub fn answers(&self) {
        let since = Instant::now();
        let mut client = self.client();
        client.say("POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        client.say("hello");
        assert_eq!(client.hear().body, "5");
        let took = since.elapsed();
        assert!(took < Duration::from_secs(3), "answered after {took:?}");
    }

    fn stats(&self) -> Process {
        Process(self.process.id())
    }

    /// Its memory has at no time grown by more than this since it began.
    #[track_caller]
    pub fn grew_at_most(&self, mib: u64) {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(path).expect("a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.split_whitespace().next());
        let kib: u64 = peak.expect("VmHWM").parse().expect("a number");
        let grown = kib.saturating_sub(self.memory >> 10);
        assert!(grown <= mib << 10, "grew by {grown} KiB");
    }

    /// Every connection comes to its end.
    pub fn is_left_alone(&self) {
        eventually("all connections to end", || {
            match self.stats().open_files() {
                files if files <= self.files => Ok(()),
                files => Err(format!("{files} files, {} before", self.files)),
            }
        });
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Nothing to do about one that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Deadlines that a test can wait for.
fn quick() -> HttpLimits {
    HttpLimits {
        head: Duration::from_secs(2),
        keep_alive: Some(Duration::from_secs(1)),
        body_grace: Duration::from_secs(1),
        body_rate: 1_000_000,
        send: Duration::from_secs(1),
        ..HttpLimits::default()
    }
}

/// What is asked of it: a body that never ends, an answer that never comes, the length of what was sent, 4 KiB.
async fn service(request: Request) -> Result<Response> {
    match request.uri().path() {
        "/endless" => {
            let (sender, body) = http::Body::channel(1);
            tokio::spawn(async move {
                // One piece, over and over: what memory this costs is not the service's.
                let piece = bytes::Bytes::from_static(&[b'x'; 64 << 10]);
                while sender.send(Ok(piece.clone())).await.is_ok() {}
            });
            Ok(Response::new(body))
        }
        "/never" => std::future::pending().await,
        "/count" => {
            let mut body = request.into_body();
            let mut count = 0;
            while let Some(data) = body.data().await? {
                count += data.len();
            }
            Ok(http::text(StatusCode::OK, count.to_string()))
        }
        _ => Ok(http::text(StatusCode::OK, "x".repeat(4 << 10))),
    }
}

#[test]
#[ignore = "the server that the attacks are on"]
fn the_server() {
    let stage = Stage::new();
    let limits = match env::var(LIMITS).as_deref() {
        Ok("quick") => quick(),
        Ok(_) => HttpLimits::default(),
        Err(_) => return,
    };
    let server = serve(&stage, service_fn(service), limits);
    let said = writeln!(std::io::stdout(), "\nlistening on {}", server.endpoint());
    said.expect("a pipe");
    // Whoever started it is gone when its stdin ends.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
