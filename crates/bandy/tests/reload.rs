//! A plan that becomes another one while it runs: what the change does not touch is not cut, and nobody is refused.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bandy::app::{App, Changes};
use bandy::config::{self, Plan};
use bandy::net::Inherited;

fn plan(text: &str) -> Plan {
    let (plan, _) = config::parse("bandy.toml", text).unwrap_or_else(|r| panic!("{}", r.lines()));
    plan
}

fn start(text: &str) -> App {
    App::start(&plan(text), Inherited::none()).expect("started")
}

fn address(app: &App, server: usize) -> SocketAddr {
    let endpoint = app.listeners().nth(server).expect("a listener").0;
    endpoint.socket_addr().expect("an address")
}

/// A peer that talks in lines.
struct Peer(BufReader<TcpStream>);

impl Peer {
    fn connect(to: SocketAddr) -> Peer {
        Peer(BufReader::new(TcpStream::connect(to).expect("connected")))
    }

    fn say(&mut self, line: &str) {
        let stream = self.0.get_mut();
        stream.write_all(line.as_bytes()).expect("sent");
        stream.write_all(b"\n").expect("sent");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("heard");
        line.trim_end().to_owned()
    }

    /// Asks for `/` on this connection, and gives the body.
    fn get(&mut self) -> String {
        self.say("GET / HTTP/1.1\r\nHost: a\r\n\r");
        let mut length = 0;
        loop {
            let line = self.hear();
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        String::from_utf8(body).expect("text")
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

const ONE: &str = r#"
[server.echo]
listen = ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"]
service = "echo"

[server.reply]
listen = "tcp://127.0.0.1:0"
service.reply = "one {message}"

[server.web]
listen = "http://127.0.0.1:0"
service.greet = "one"

[server.gone]
listen = "tcp://127.0.0.1:0"
service = "echo"
"#;

#[test]
fn what_is_the_same_is_not_touched_and_what_stands_goes_on() {
    let mut app = start(ONE);
    let (echo, flow) = (address(&app, 0), address(&app, 1));
    let (reply, web, gone) = (address(&app, 2), address(&app, 3), address(&app, 4));
    let mut kept = Peer::connect(echo);
    let asker = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let mut old = Peer::connect(reply);
    let mut browser = Peer::connect(web);
    let mut leaving = Peer::connect(gone);
    old.say("a");
    assert_eq!(old.hear(), "one a");
    assert_eq!(browser.get(), "one\n");
    leaving.say("a");
    assert_eq!(leaving.hear(), "a");

    let two = ONE
        .replace("one {message}", "two {message}")
        .replace("service.greet = \"one\"", "service.greet = \"two\"")
        .replace("[server.gone]", "[server.new]");
    let changes = app.reload(&plan(&two)).expect("reloaded");
    let expected = Changes {
        added: names(&["new"]),
        changed: names(&["reply", "web"]),
        removed: names(&["gone"]),
        kept: names(&["echo"]),
    };
    assert_eq!(changes, expected);

    // The same sockets.
    assert_eq!(address(&app, 0), echo);
    assert_eq!((address(&app, 2), address(&app, 3)), (reply, web));
    kept.say("still here");
    assert_eq!(kept.hear(), "still here");
    asker.send_to(b"and I", flow).expect("sent");
    let mut heard = [0; 16];
    let (n, _) = asker.recv_from(&mut heard).expect("heard");
    assert_eq!(&heard[..n], b"and I");
    // A conversation goes on as it began; the next one is another.
    old.say("b");
    assert_eq!(old.hear(), "one b");
    let mut next = Peer::connect(reply);
    next.say("c");
    assert_eq!(next.hear(), "two c");
    // A connection of requests goes over, and is not closed for it.
    assert_eq!(browser.get(), "two\n");
    assert_eq!(browser.get(), "two\n");
    // Who talks to a server that is there no more may finish; nobody new comes in.
    leaving.say("b");
    assert_eq!(leaving.hear(), "b");
    drop(leaving);
    let closed = || match TcpStream::connect(gone) {
        Ok(_) => Err("it is open"),
        Err(_) => Ok(()),
    };
    bandy_testkit::eventually("its port is closed", closed);
}

#[test]
fn a_plan_that_cannot_be_run_changes_nothing() {
    let mut app = start(ONE);
    let reply = address(&app, 2);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = taken.local_addr().expect("an address");
    let one = plan(ONE);
    for (wrong, why) in [
        (
            ONE.replace(
                "service.greet = \"one\"",
                "service.files = { root = \"/nowhere/at/all\" }",
            ),
            "/nowhere/at/all",
        ),
        (
            format!("{ONE}\n[server.late]\nlisten = \"tcp://{taken}\"\nservice = \"echo\""),
            "already in use",
        ),
        (
            ONE.replace(
                "service.reply = \"one {message}\"",
                "service.reply = \"two\"\nmodel = \"threads\"",
            ),
            "--upgrade",
        ),
    ] {
        let error = app.reload(&plan(&wrong)).expect_err("refused");
        let said = format!("{error} {}", error.next_step().unwrap_or_default());
        assert!(said.contains(why), "{said}");
        assert_eq!(*app.plan(), one);
        let mut peer = Peer::connect(reply);
        peer.say("a");
        assert_eq!(peer.hear(), "one a");
    }
}

#[test]
fn an_address_goes_from_one_server_to_another_and_nobody_is_refused() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        free.local_addr().expect("an address").port()
    };
    let text = |name: &str| {
        format!("[server.{name}]\nlisten = \"http://127.0.0.1:{port}\"\nservice.greet = \"{name}\"")
    };
    let mut app = start(&text("a"));
    let to = address(&app, 0);
    let is_over = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicUsize::new(0));
    let asking = {
        let (is_over, answered) = (is_over.clone(), answered.clone());
        std::thread::spawn(move || {
            while !is_over.load(Relaxed) {
                let said = Peer::connect(to).get();
                assert!(matches!(said.as_str(), "a\n" | "b\n"), "{said}");
                answered.fetch_add(1, Relaxed);
            }
        })
    };
    for turn in 0..20 {
        let before = answered.load(Relaxed);
        let name = if turn % 2 == 0 { "b" } else { "a" };
        app.reload(&plan(&text(name))).expect("reloaded");
        bandy_testkit::eventually("others ask", || match answered.load(Relaxed) {
            some if some > before + 3 => Ok(()),
            some => Err(format!("{some} answers so far")),
        });
        // Those who had connected before are still answered by the other one.
        bandy_testkit::eventually("it answers", || match Peer::connect(to).get() {
            said if said.trim_end() == name => Ok(()),
            said => Err(said),
        });
    }
    is_over.store(true, Relaxed);
    asking.join().expect("nobody was refused");
}

/// Two backends that say who they are, as an app of their own, and what a balancer before them is told.
struct Balanced {
    backends: App,
    port: u16,
}

impl Balanced {
    fn new() -> Balanced {
        let backends = start(
            "[server.a]\nlisten = \"http://127.0.0.1:0\"\nservice.greet = \"a\"\n\
             [server.b]\nlisten = \"http://127.0.0.1:0\"\nservice.greet = \"b\"\n\
             [server.echo]\nlisten = \"tcp://127.0.0.1:0\"\nservice = \"echo\"\n",
        );
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = free.local_addr().expect("an address").port();
        Balanced { backends, port }
    }

    /// The balancer's file: requests go to these, with this told besides of the pool and of the service.
    fn text(&self, to: &[usize], pool: &str, service: &str) -> String {
        let url = |n: &usize| format!("\"http://{}\"", address(&self.backends, *n));
        let urls: Vec<String> = to.iter().map(url).collect();
        let (port, echo) = (self.port, address(&self.backends, 2));
        format!(
            "[server.web]\nlisten = \"http://127.0.0.1:{port}\"\nservice.balance = {{ pool = \"web\"{service} }}\n\
             [server.tcp]\nlisten = \"tcp://127.0.0.1:0\"\nservice.balance = \"tcp\"\n\
             [pool.web]\nbackend = [{}]\n{pool}\n[pool.tcp]\nbackend = \"tcp://{echo}\"\n",
            urls.join(", ")
        )
    }
}

#[test]
fn a_balancer_is_told_anew_under_load_and_every_request_is_answered() {
    let all = Balanced::new();
    let plans = [
        all.text(&[0], "", ""),
        all.text(&[0, 1], "strategy = \"least-connections\"", ""),
        all.text(
            &[1],
            "deadlines = { total = \"20s\" }",
            ", forwarded = true",
        ),
        all.text(
            &[1, 0],
            "strategy = \"p2c\"\nmax = 50",
            ", request_id = false",
        ),
    ]
    .map(|text| plan(&text));
    let mut app = App::start(&plans[0], Inherited::none()).expect("started");
    let (web, tcp) = (address(&app, 0), address(&app, 1));
    let mut stream = Peer::connect(tcp);
    stream.say("a");
    assert_eq!(stream.hear(), "a");
    let is_over = Arc::new(AtomicBool::new(false));
    let answered: Arc<[AtomicUsize; 2]> = Arc::default();
    // Half of them keep their connection for all they ask, half come anew each time.
    let asking: Vec<_> = (0..6)
        .map(|n| {
            let (is_over, answered) = (is_over.clone(), answered.clone());
            std::thread::spawn(move || {
                let (mut asked, mut peer) = (0, Peer::connect(web));
                while !is_over.load(Relaxed) {
                    if n % 2 == 0 {
                        peer = Peer::connect(web);
                    }
                    asked += 1;
                    match peer.get().as_str() {
                        "a\n" => answered[0].fetch_add(1, Relaxed),
                        "b\n" => answered[1].fetch_add(1, Relaxed),
                        other => panic!("nobody says {other:?}"),
                    };
                }
                asked
            })
        })
        .collect();
    let count = || {
        answered
            .iter()
            .map(|count| count.load(Relaxed))
            .sum::<usize>()
    };
    for turn in 1..=24 {
        let before = count();
        let changes = app.reload(&plans[turn % plans.len()]).expect("reloaded");
        assert!(
            changes.changed.contains(&"pool web".to_owned()),
            "{changes:?}"
        );
        assert!(changes.kept.contains(&"pool tcp".to_owned()), "{changes:?}");
        bandy_testkit::eventually("others ask", || match count() {
            some if some > before + 50 => Ok(()),
            some => Err(format!("{some} answers so far")),
        });
        // What the change does not touch goes on.
        stream.say("still here");
        assert_eq!(stream.hear(), "still here");
    }
    is_over.store(true, Relaxed);
    let asked: usize = asking
        .into_iter()
        .map(|one| one.join().expect("every request was answered"))
        .sum();
    assert_eq!(asked, count());
    assert!(
        answered.iter().all(|count| count.load(Relaxed) > 0),
        "{answered:?}"
    );
}
