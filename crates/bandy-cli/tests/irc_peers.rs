//! IRC clients that other people wrote, as Debian has them, in a room with each other and with people who speak lines.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bandy_testkit::{PATIENCE, Program, Running, Stage, eventually};

const BANDY: &str = env!("CARGO_BIN_EXE_bandy");
const PASSWORD: &str = "correct horse battery";

/// A peer program; its Debian package is named where it is missing.
fn peer(program: &str, package: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    assert!(is_there, "{program} is missing: apt-get install {package}");
    Command::new(program)
}

/// A chat with an account `ada`, at IRC and at lines.
struct Chat {
    stage: Stage,
    server: Running,
}

impl Chat {
    fn start() -> Chat {
        let stage = Stage::new();
        let store = format!("sqlite:{}", stage.folder().join("chat.db").display());
        let password = stage.file("password", format!("{PASSWORD}\n"));
        let mut add = Command::new(BANDY);
        add.args(["user", "add", "ada", "--password-stdin", "--store", &store]);
        add.stdin(fs::File::open(password).expect("written"));
        let added = add.output().expect("run");
        let said = String::from_utf8_lossy(&added.stderr);
        assert!(added.status.success(), "{said}");
        let listen = ["irc://:0", "ircs://:0", "tcp://:0"];
        let args = [
            &["serve", "chat", "--store", &store, "--pace", "none"][..],
            &listen,
        ]
        .concat();
        let server = Program::new(BANDY, &stage).args(args).start();
        Chat { stage, server }
    }

    fn port(&self, at: usize) -> String {
        self.server.endpoint(at).port().expect("a port").to_string()
    }

    /// Somebody who speaks IRC by hand.
    fn by_hand(&self, nick: &str) -> Hand {
        let stream =
            TcpStream::connect(("127.0.0.1", self.server.endpoint(0).port().expect("a port")));
        let stream = stream.expect("connected");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket takes options");
        let mut hand = Hand(BufReader::new(stream));
        hand.say(&format!(
            "NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN #lobby"
        ));
        hand.hears(" 366 ");
        hand
    }
}

struct Hand(BufReader<TcpStream>);

impl Hand {
    fn say(&mut self, line: &str) {
        write!(self.0.get_mut(), "{line}\r\n").expect("taken");
    }

    /// The next line that has this in it.
    fn hears(&mut self, part: &str) -> String {
        let mut heard = String::new();
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line);
            assert!(
                read.is_ok_and(|n| n > 0),
                "no line with {part:?} in:\n{heard}"
            );
            if line.contains(part) {
                return line;
            }
            heard.push_str(&line);
        }
    }
}

/// A client that is ended with the test, however that ends.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended by itself, or does now.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until a file that a client writes has this in it.
#[track_caller]
fn shows(file: &Path, part: &str) {
    eventually(format!("{part:?} in {}", file.display()), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        match text.contains(part) {
            true => Ok(()),
            false => Err(text),
        }
    });
}

/// irssi in a terminal of its own, with a log of each window; `server` says how it connects.
fn irssi(chat: &Chat, server: &str) -> (Client, PathBuf) {
    let home = chat.stage.folder().join("irssi");
    fs::create_dir(&home).expect("made");
    let config = format!(
        r##"servers = ( {{ address = "localhost"; chatnet = "bandy"; autoconnect = "yes"; {server} }} );
chatnets = {{ bandy = {{ type = "IRC"; nick = "ada"; sasl_mechanism = "plain"; sasl_username = "ada";
  sasl_password = "{PASSWORD}"; }}; }};
channels = ( {{ name = "#lobby"; chatnet = "bandy"; autojoin = "yes"; }} );
settings = {{ core = {{ nick = "ada"; user_name = "ada"; real_name = "Ada"; }};
  "fe-common/core" = {{ autolog = "yes"; autolog_level = "all"; autolog_path = "{home}/log-$0"; }}; }};
"##,
        home = home.display()
    );
    fs::write(home.join("config"), config).expect("written");
    drop(peer("irssi", "irssi"));
    let mut script = peer("script", "bsdutils");
    let run = format!("exec irssi --home {}", home.display());
    script.args(["-q", "-f", "-e", "-c", &run, "/dev/null"]);
    script.env("TERM", "xterm").stdin(Stdio::piped());
    script.stdout(Stdio::null()).stderr(Stdio::null());
    (
        Client(script.spawn().expect("started")),
        home.join("log-#lobby"),
    )
}

fn types(client: &mut Client, line: &str) {
    let terminal = client.0.stdin.as_mut().expect("piped");
    // The key that ends a line is a carriage return.
    terminal
        .write_all(format!("{line}\r").as_bytes())
        .expect("taken");
}

#[test]
fn irssi_logs_in_and_talks() {
    let chat = Chat::start();
    let mut bob = chat.by_hand("bob");
    let port = format!("port = \"{}\";", chat.port(0));
    let (mut ada, log) = irssi(&chat, &port);
    bob.hears(":ada!ada@user/ada JOIN #lobby");
    bob.say("PRIVMSG #lobby :hello, irssi");
    shows(&log, "< bob> hello, irssi");
    types(&mut ada, "/msg #lobby hello, bob");
    bob.hears(":ada!ada@user/ada PRIVMSG #lobby :hello, bob");
    types(&mut ada, "/action #lobby waves");
    bob.hears(":ada!ada@user/ada PRIVMSG #lobby :\u{1}ACTION waves\u{1}");
    types(&mut ada, "/away tea");
    types(&mut ada, "/msg bob a word");
    bob.hears(":ada!ada@user/ada PRIVMSG bob :a word");
    bob.say("PRIVMSG ada :there?");
    bob.hears(" 301 bob ada :tea");
    types(&mut ada, "/quit done");
    bob.hears(":ada!ada@user/ada QUIT :Quit: done");
    eventually("irssi to end", || match ada.0.try_wait() {
        Ok(Some(status)) if status.success() => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn irssi_over_tls() {
    let chat = Chat::start();
    let mut bob = chat.by_hand("bob");
    let ca = chat.stage.folder().join("bandy/ca.pem");
    let server = format!(
        "port = \"{}\"; use_tls = \"yes\"; tls_verify = \"yes\"; tls_cafile = \"{}\";",
        chat.port(1),
        ca.display()
    );
    let (mut ada, log) = irssi(&chat, &server);
    bob.hears(":ada!ada@user/ada JOIN #lobby");
    bob.say("PRIVMSG #lobby :in secret");
    shows(&log, "< bob> in secret");
    types(&mut ada, "/quit");
    bob.hears("QUIT");
}

#[test]
fn ii_and_somebody_with_netcat() {
    let chat = Chat::start();
    let mut lines =
        TcpStream::connect(("127.0.0.1", chat.server.endpoint(2).port().expect("a port")))
            .expect("connected");
    lines
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket takes options");
    let home = chat.stage.folder().join("ii");
    let mut ii = peer("ii", "ii");
    ii.args(["-s", "127.0.0.1", "-p", &chat.port(0), "-n", "eve", "-i"])
        .arg(&home);
    ii.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _ii = Client(ii.spawn().expect("started"));
    let server = home.join("127.0.0.1");
    shows(&server.join("out"), "End of /MOTD");
    let tell = |folder: &Path, line: &str| {
        let mut fifo = OpenOptions::new()
            .write(true)
            .open(folder.join("in"))
            .expect("a fifo");
        // In one write: a line without its end is lost to ii.
        let line = format!("{line}\n");
        fifo.write_all(line.as_bytes()).expect("taken");
    };
    tell(&server, "/j #lobby");
    let room = server.join("#lobby");
    shows(&room.join("out"), "eve");
    lines.write_all(b"hello from lines\n").expect("taken");
    shows(&room.join("out"), "hello from lines");
    tell(&room, "hello from ii");
    let mut reader = BufReader::new(lines);
    let mut heard = String::new();
    while !heard.contains("hello from ii") {
        let read = reader.read_line(&mut heard);
        assert!(read.is_ok_and(|n| n > 0), "{heard}");
    }
    tell(&room, "/t a topic of their own");
    tell(&room, "/l");
}

/// WeeChat without a screen, logged in as ada; what it is to do comes through a pipe, what it heard is in its logs.
fn weechat(chat: &Chat) -> (Client, PathBuf) {
    let home = chat.stage.folder().join("weechat");
    fs::create_dir(&home).expect("made");
    let mut weechat = peer("weechat-headless", "weechat-headless");
    weechat.arg("--dir").arg(&home);
    let fifo = home.join("fifo");
    for command in [
        format!("/set fifo.file.path {}", fifo.display()),
        "/fifo enable".to_owned(),
        "/set logger.file.flush_delay 0".to_owned(),
        format!("/server add bandy 127.0.0.1/{}", chat.port(0)),
        // As versions before 4 call it, and as those since then do.
        "/set irc.server.bandy.ssl off".to_owned(),
        "/set irc.server.bandy.tls off".to_owned(),
        "/set irc.server.bandy.nicks ada".to_owned(),
        "/set irc.server.bandy.sasl_username ada".to_owned(),
        format!("/set irc.server.bandy.sasl_password {PASSWORD}"),
        // It would say one thing every two seconds.
        "/set irc.server.bandy.anti_flood_prio_high 0".to_owned(),
        "/set irc.server.bandy.anti_flood_prio_low 0".to_owned(),
        "/set irc.server.bandy.anti_flood 0".to_owned(),
        "/set irc.server.bandy.autojoin #lobby".to_owned(),
        "/connect bandy".to_owned(),
    ] {
        weechat.arg("--run-command").arg(command);
    }
    weechat.stdin(Stdio::null());
    weechat.stdout(Stdio::null()).stderr(Stdio::null());
    (Client(weechat.spawn().expect("started")), home)
}

#[test]
fn weechat_logs_in_and_talks() {
    let chat = Chat::start();
    let mut bob = chat.by_hand("bob");
    let (mut ada, home) = weechat(&chat);
    bob.hears(":ada!ada@user/ada JOIN #lobby");
    bob.say("PRIVMSG #lobby :hello, weechat");
    let log = |name: &str| home.join(format!("logs/irc.{name}.weechatlog"));
    shows(&log("bandy.#lobby"), "bob\thello, weechat");
    let does = |buffer: &str, line: &str| {
        let mut fifo = OpenOptions::new()
            .write(true)
            .open(home.join("fifo"))
            .expect("a fifo");
        let line = format!("irc.{buffer} *{line}\n");
        fifo.write_all(line.as_bytes()).expect("taken");
    };
    does("bandy.#lobby", "hello, bob");
    bob.hears(":ada!ada@user/ada PRIVMSG #lobby :hello, bob");
    does("bandy.#lobby", "/me waves");
    bob.hears(":ada!ada@user/ada PRIVMSG #lobby :\u{1}ACTION waves\u{1}");
    // Whether its version asks for its own words to come back or not, they are shown once.
    let shown = fs::read_to_string(log("bandy.#lobby")).expect("a log");
    assert_eq!(shown.matches("hello, bob").count(), 1, "{shown}");
    does("server.bandy", "/join #own");
    does("server.bandy", "/topic #own all of it");
    shows(&log("bandy.#own"), "all of it");
    does("server.bandy", "/msg bob a word");
    bob.hears(":ada!ada@user/ada PRIVMSG bob :a word");
    bob.say("AWAY :tea");
    bob.hears(" 306 ");
    does("server.bandy", "/whois bob");
    shows(&log("server.bandy"), "is away: tea");
    does("server.bandy", "/quit done");
    bob.hears(":ada!ada@user/ada QUIT :Quit: done");
    eventually("weechat to end", || match ada.0.try_wait() {
        Ok(Some(status)) if status.success() => Ok(()),
        other => Err(format!("{other:?}")),
    });
}
