//! A program that is told to read its file again, and one that makes room for the next.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bandy::Endpoint;
use bandy_testkit::{Process, Program, Running, Stage, eventually, raw};
use rustix::process::Signal;

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");

/// The file, on a free port that stays the same.
struct File {
    stage: Stage,
    port: u16,
}

impl File {
    fn new() -> File {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let file = File {
            stage: Stage::new(),
            port: free.local_addr().expect("an address").port(),
        };
        file.says("one");
        file
    }

    fn write(&self, text: &str) {
        let path = self.stage.folder().join("bandy.toml");
        let beside = self.stage.folder().join("new.toml");
        fs::write(&beside, text).expect("written");
        fs::rename(beside, path).expect("in place");
    }

    fn says(&self, what: &str) {
        let (port, folder) = (self.port, self.stage.folder().display());
        self.write(&format!(
            "[server.web]\nlisten = \"http://127.0.0.1:{port}\"\nservice.greet = \"{what}\"\n\
             [server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n\
             [server.file]\nlisten = \"unix://{folder}/echo.sock\"\nservice = \"echo\"\n"
        ));
    }

    fn run(&self, more: &[&str]) -> Running {
        let program = Program::new(BANDY, &self.stage).args(["run"]).args(more);
        program.start()
    }

    fn reload(&self, more: &[&str]) -> (i32, String, String) {
        let program = Program::new(BANDY, &self.stage).args(["reload"]);
        program.args(more).output()
    }
}

/// Asks once, on a connection of its own: what is answered, or what went wrong.
fn get(at: &Endpoint) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(raw::address(at))?;
    stream.set_read_timeout(Some(bandy_testkit::PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard)?;
    let body = heard
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.trim_end().to_owned());
    body.ok_or_else(|| std::io::Error::other(format!("no answer: {heard:?}")))
}

/// Asks until this is answered: who connected before something changed is still answered as before.
fn get_soon(at: &Endpoint, wanted: &str) {
    eventually("the new answer", || match get(at) {
        Ok(said) if said == wanted => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// Those who ask again and again, each on a new connection.
struct Crowd {
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    asking: Vec<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Crowd {
    fn ask(at: &Endpoint) -> Crowd {
        let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let one = || {
            let (at, is_over) = (at.clone(), is_over.clone());
            let answered: Arc<AtomicUsize> = Arc::clone(&answered);
            std::thread::spawn(move || {
                while !is_over.load(Relaxed) {
                    get(&at)?;
                    answered.fetch_add(1, Relaxed);
                }
                Ok(())
            })
        };
        let asking = (0..4).map(|_| one()).collect();
        Crowd {
            is_over,
            answered,
            asking,
        }
    }

    /// Waits until many more have been answered.
    fn some_more(&self) {
        let before = self.answered.load(Relaxed);
        eventually("answers", || match self.answered.load(Relaxed) {
            now if now > before + 100 => Ok(()),
            now => Err(format!("{now} after {before}")),
        });
    }

    fn was_never_refused(self) {
        self.is_over.store(true, Relaxed);
        for one in self.asking {
            one.join().expect("a thread").expect("answered, each time");
        }
    }
}

#[test]
fn a_file_is_read_again_and_a_wrong_one_changes_nothing() {
    let file = File::new();
    let mut program = file.run(&[]);
    let web = program.endpoint(0);
    let talk = raw::tcp(&program.endpoint(1));
    assert_eq!(raw::echo(&talk, b"a"), b"a");
    assert_eq!(get(&web).expect("answered"), "one");
    let crowd = Crowd::ask(&web);
    crowd.some_more();

    file.says("two");
    let (code, out, _) = file.reload(&[]);
    assert_eq!((code, out.as_str()), (0, "reloaded: changed web"));
    get_soon(&web, "two");
    let (code, out, _) = file.reload(&[]);
    assert_eq!((code, out.as_str()), (0, "reloaded: nothing has changed"));

    file.write("[server.web]\nlisten = \"http://127.0.0.1:80a\"\nservice = \"ecko\"\n");
    let (code, _, said) = file.reload(&[]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("did you mean `echo`?"), "{said}");
    program.signal(Signal::HUP);
    program.log("of the wrong file", |line| {
        line.says("not reloaded: nothing has changed")
    });
    assert_eq!(get(&web).expect("answered"), "two");

    file.says("three");
    program.signal(Signal::HUP);
    program.log("of the right file", |line| {
        line.says("reloaded") && line.text("changes") == "changed web"
    });
    get_soon(&web, "three");
    crowd.some_more();
    crowd.was_never_refused();
    assert_eq!(raw::echo(&talk, b"still here"), b"still here");
    drop(talk);
    assert_eq!(program.stop(), 0);
    let (code, _, said) = file.reload(&[]);
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("there is none"), "{said}");
}

#[test]
fn a_file_that_is_watched_is_read_when_it_changes() {
    let file = File::new();
    let program = file.run(&["--watch"]);
    let web = program.endpoint(0);
    for what in ["two", "three"] {
        file.says(what);
        get_soon(&web, what);
    }
}

#[test]
fn a_new_process_takes_over_and_nobody_is_refused() {
    let file = File::new();
    let mut old = file.run(&[]);
    let web = old.endpoint(0);
    let talk = raw::tcp(&old.endpoint(1));
    assert_eq!(raw::echo(&talk, b"a"), b"a");
    let crowd = Crowd::ask(&web);
    crowd.some_more();

    file.says("two");
    let mut new = file.run(&["--take-over"]);
    assert_eq!(new.endpoint(0), web);
    new.log("of the old one", |line| {
        line.says("taken over from the process before")
    });
    crowd.some_more();
    // What was begun there goes on.
    assert_eq!(raw::echo(&talk, b"still here"), b"still here");
    drop(talk);
    assert_eq!(old.wait().code(), Some(0));
    crowd.some_more();
    crowd.was_never_refused();
    get_soon(&web, "two");
    // The socket file went over too.
    let unix = raw::unix(&new.endpoint(2));
    drop(unix);
    // And so did the name that it is reached by.
    file.says("three");
    assert_eq!(file.reload(&[]).1, "reloaded: changed web");
    assert_eq!(new.stop(), 0);
    assert!(!file.stage.folder().join("echo.sock").exists());
}

#[test]
fn a_process_is_told_to_start_the_next() {
    let file = File::new();
    let mut old = file.run(&[]);
    let web = old.endpoint(0);
    let crowd = Crowd::ask(&web);
    crowd.some_more();
    file.says("two");
    let (code, out, said) = file.reload(&["--upgrade"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "another process answers now"),
        "{said}"
    );
    let line = old.log("of the new one", |line| {
        line.says("a new process is to take over")
    });
    let new = Process(u32::try_from(line.number("pid")).expect("a process number"));
    crowd.some_more();
    get_soon(&web, "two");
    crowd.was_never_refused();
    eventually("the old one's end", || match old.is_alive() {
        true => Err("it lives"),
        false => Ok(()),
    });
    new.signal(Signal::TERM);
    assert_eq!(old.wait().code(), Some(0));
}

#[test]
fn a_process_that_cannot_take_over_changes_nothing() {
    let file = File::new();
    let mut old = file.run(&[]);
    let web = old.endpoint(0);
    file.write(
        "[server.web]\nlisten = \"http://127.0.0.1:0\"\nservice.files = { root = \"/nowhere\" }\n",
    );
    let new = Program::new(BANDY, &file.stage).args(["run", "--take-over"]);
    assert_eq!(new.output().0, 2);
    assert_eq!(get(&web).expect("answered"), "one");
    let (code, _, said) = file.reload(&["--upgrade"]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(get(&web).expect("answered"), "one");
    assert_eq!(old.stop(), 0);
}

/// A balancer makes room for the next one while requests go through it: those that are on their way are answered, and whoever
/// comes finds one or the other.
#[test]
fn a_balancer_is_replaced_under_load() {
    let file = File::new();
    let backend = Program::new(BANDY, &file.stage).args(["serve", "greet", "http://:0"]);
    let backend = backend.args(["--text", "hello"]).start();
    let (port, to) = (file.port, backend.endpoint(0));
    let balances = |pool: &str| {
        file.write(&format!(
            "[server.web]\nlisten = \"http://127.0.0.1:{port}\"\nservice.balance = \"api\"\n\
             [pool.api]\nbackend = \"{to}\"\n{pool}\n"
        ));
    };
    balances("");
    let mut old = file.run(&[]);
    let web = old.endpoint(0);
    let crowd = Crowd::ask(&web);
    crowd.some_more();
    // The file is read again, with another pool each time.
    for n in 1..=5 {
        balances(&format!("max = {}", n * 100));
        assert_eq!(file.reload(&[]).1, "reloaded: changed pool api");
        crowd.some_more();
    }
    let mut new = file.run(&["--take-over"]);
    assert_eq!(new.endpoint(0), web);
    new.log("of the old one", |line| {
        line.says("taken over from the process before")
    });
    crowd.some_more();
    assert_eq!(old.wait().code(), Some(0));
    crowd.some_more();
    crowd.was_never_refused();
    assert_eq!(get(&web).expect("answered"), "hello");
    assert_eq!(new.stop(), 0);
}
