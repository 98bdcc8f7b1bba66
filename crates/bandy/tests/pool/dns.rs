//! Names of backends, and a name server that changes its mind.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::thread;

use bandy::server::Loops;
use bandy_testkit::eventually;

use super::*;

/// What a name server says of a name.
#[derive(Clone)]
enum Says {
    Addresses(Vec<[u8; 4]>),
    /// Priority, weight, port and host.
    Services(Vec<(u16, u16, u16, &'static str)>),
    /// That it failed.
    Failure,
}

type Zone = Arc<Mutex<HashMap<&'static str, Says>>>;

/// A name server on a thread of its own, which ends with the test's process. Every answer holds for a second.
fn name_server(zone: &Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("an address");
    let zone = zone.clone();
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut question) {
            let answer = answer(&question[..n], &zone.lock().expect("no panic"));
            socket.send_to(&answer, from).expect("sent");
        }
    });
    address
}

/// RFC 1035, section 4.
fn answer(question: &[u8], zone: &HashMap<&'static str, Says>) -> Vec<u8> {
    const A: u16 = 1;
    const SRV: u16 = 33;
    let (name, end) = name_at(question, 12);
    let kind = u16::from_be_bytes([question[end], question[end + 1]]);
    let says = zone.get(name.to_ascii_lowercase().as_str());
    let records: Vec<Vec<u8>> = match says {
        Some(Says::Addresses(ips)) if kind == A => ips.iter().map(|ip| ip.to_vec()).collect(),
        Some(Says::Services(all)) if kind == SRV => all.iter().map(service).collect(),
        _ => Vec::new(),
    };
    let code = match says {
        Some(Says::Failure) => 2,
        None => 3,
        _ => 0,
    };
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80 | code]);
    out.extend([0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend(&question[12..end + 4]);
    for record in records {
        // The name is the question's; class IN, a second.
        out.extend([0xC0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 1]);
        out.extend((record.len() as u16).to_be_bytes());
        out.extend(record);
    }
    out
}

fn service((priority, weight, port, host): &(u16, u16, u16, &str)) -> Vec<u8> {
    let mut out = Vec::new();
    for n in [priority, weight, port] {
        out.extend(n.to_be_bytes());
    }
    for label in host.split('.') {
        out.push(label.len() as u8);
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

/// The name there, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let len = message[at] as usize;
        labels.push(String::from_utf8_lossy(&message[at + 1..at + 1 + len]).into_owned());
        at += 1 + len;
    }
    (labels.join("."), at + 1)
}

fn kept(mut options: Options, zone: &Zone) -> (Arc<Pool>, Loops) {
    options.resolver = Some(name_server(zone));
    let pool = pool(options);
    let loops = Loops::start_some(1).expect("a loop");
    loops.spawn(pool.keep());
    (pool, loops)
}

#[track_caller]
fn has(pool: &Pool, wanted: &[&str]) {
    eventually(format!("the backends {wanted:?}"), || match names(pool) {
        names if names == wanted => Ok(()),
        names => Err(format!("{names:?}")),
    });
}

fn say(zone: &Zone, name: &'static str, says: Says) {
    zone.lock().expect("no panic").insert(name, says);
}

#[test]
fn a_name_is_a_backend_at_each_of_its_addresses() {
    let zone = Zone::default();
    let two = Says::Addresses(vec![[127, 0, 0, 3], [127, 0, 0, 2]]);
    say(&zone, "app.test", two);
    let endpoint = "http://app.test:5001".parse().expect("an endpoint");
    let (pool, _loops) = kept(Options::new("p", [endpoint]), &zone);
    has(&pool, &["http://127.0.0.2:5001", "http://127.0.0.3:5001"]);
    let first = pool.members()[0].clone();
    assert_eq!(first.endpoint().to_string(), "http://app.test:5001");
    let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    assert_eq!(first.address(), Some(SocketAddr::new(ip, 5001)));
    let held = leased(&pool);
    assert!(Arc::ptr_eq(held.backend(), &first));
    // One goes, another comes, and the one that stays is who it was.
    let other = Says::Addresses(vec![[127, 0, 0, 2], [127, 0, 0, 4]]);
    say(&zone, "app.test", other);
    has(&pool, &["http://127.0.0.2:5001", "http://127.0.0.4:5001"]);
    assert!(Arc::ptr_eq(&pool.members()[0], &first));
    assert_eq!(first.active(), 1);
}

#[test]
fn a_lookup_that_fails_changes_nothing() {
    let zone = Zone::default();
    say(&zone, "app.test", Says::Addresses(vec![[127, 0, 0, 2]]));
    say(&zone, "other.test", Says::Addresses(vec![[127, 0, 0, 3]]));
    let endpoints = ["tcp://app.test:7000", "tcp://other.test:7000"];
    let endpoints = endpoints.map(|e| e.parse().expect("an endpoint"));
    let (pool, _loops) = kept(Options::new("p", endpoints), &zone);
    has(&pool, &["tcp://127.0.0.2:7000", "tcp://127.0.0.3:7000"]);
    say(&zone, "app.test", Says::Failure);
    // By the time that the other one has changed, this one was asked for too.
    say(&zone, "other.test", Says::Addresses(vec![[127, 0, 0, 4]]));
    has(&pool, &["tcp://127.0.0.2:7000", "tcp://127.0.0.4:7000"]);
    say(&zone, "other.test", Says::Addresses(vec![[127, 0, 0, 5]]));
    has(&pool, &["tcp://127.0.0.2:7000", "tcp://127.0.0.5:7000"]);
}

#[test]
fn a_service_has_hosts_ports_and_weights() {
    let zone = Zone::default();
    say(
        &zone,
        "_api._tcp.test",
        Says::Services(vec![
            (10, 3, 8001, "one.test"),
            (10, 1, 8002, "two.test"),
            (20, 9, 8003, "spare.test"),
        ]),
    );
    say(&zone, "one.test", Says::Addresses(vec![[127, 0, 0, 1]]));
    say(&zone, "two.test", Says::Addresses(vec![[127, 0, 0, 2]]));
    let text = "[server.s]\nlisten = \"https://:1\"\nservice.balance = \"p\"\n\
        [pool.p]\nbackend = { srv = \"_api._tcp.test\", scheme = \"https\" }\n";
    let (plan, _) = bandy::config::parse("c", text).expect("a plan");
    let (pool, _loops) = kept(plan.pools[0].clone(), &zone);
    let wanted = [
        "_api._tcp.test/127.0.0.1:8001",
        "_api._tcp.test/127.0.0.2:8002",
    ];
    eventually("its hosts", || match pool.members().len() {
        2 => Ok(()),
        n => Err(n),
    });
    let members = pool.members();
    let weights: Vec<u32> = members.iter().map(|b| b.weight()).collect();
    assert_eq!(weights, [3, 1]);
    // Its certificate is to be good for the host that has the service.
    assert_eq!(members[0].endpoint().to_string(), "https://one.test:8001");
    assert_eq!(names(&pool), wanted);
}
