//! For which names a listener's certificate should be good.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::endpoint::{Endpoint, Host};

/// More addresses than a certificate should carry: a machine with hundreds of containers has as many.
const ADDRESSES_MAX: usize = 50;

/// The names under which clients will look for these listeners.
///
/// | listens on | names |
/// |---|---|
/// | a loopback address, `localhost`, or nothing with a host | `localhost`, `127.0.0.1`, `::1`, and the address |
/// | every interface (`0.0.0.0`, `[::]`) | those, this machine's name and its interfaces' addresses |
/// | any other address or name | itself |
///
/// Addresses are those that the machine has now: one that it takes later needs a listener started anew. Link-local
/// ones are left out, since a URL cannot carry their zone.
pub fn names_for<'a>(listeners: impl IntoIterator<Item = &'a Endpoint>) -> Vec<Host> {
    let mut names = Names::default();
    for listener in listeners {
        match listener.host() {
            Some(Host::Ip(ip)) if ip.is_unspecified() => {
                names.add_loopback();
                names.add_machine();
            }
            Some(Host::Ip(ip)) if ip.is_loopback() => {
                names.add_loopback();
                names.add(Host::Ip(*ip));
            }
            Some(Host::Name(name)) if name == "localhost" => names.add_loopback(),
            Some(host) => names.add(host.clone()),
            // A Unix socket or a name inside this process: whoever gets there is on this machine.
            None => names.add_loopback(),
        }
    }
    if names.0.is_empty() {
        names.add_loopback();
    }
    names.0
}

/// Names in the order they came, each once.
#[derive(Default)]
struct Names(Vec<Host>);

impl Names {
    fn add(&mut self, name: Host) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    fn add_loopback(&mut self) {
        self.add(Host::Name("localhost".to_owned()));
        self.add(Host::Ip(Ipv4Addr::LOCALHOST.into()));
        self.add(Host::Ip(Ipv6Addr::LOCALHOST.into()));
    }

    fn add_machine(&mut self) {
        if let Some(name) = machine_name() {
            self.add(Host::Name(name));
        }
        for ip in interface_addresses().into_iter().take(ADDRESSES_MAX) {
            self.add(Host::Ip(ip));
        }
    }
}

/// This machine's name in lower case; `None` when it is not one that DNS could carry.
pub(super) fn machine_name() -> Option<String> {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_str().ok()?.to_ascii_lowercase();
    let fits = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    // An all-numeric last label would be read as an address.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    (fits && !numeric).then_some(name)
}

/// The addresses of this machine's interfaces, as far as the kernel's tables can be read.
fn interface_addresses() -> BTreeSet<IpAddr> {
    // Read from /proc, not with getifaddrs(3), which no safe interface among our dependencies reaches.
    let v4 = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    let v4 = v4_addresses(&v4).filter(|ip| !ip.is_loopback() && !ip.is_link_local());
    let v6 = v6_addresses(&v6).filter(|ip| !ip.is_loopback());
    v4.map(IpAddr::V4).chain(v6.map(IpAddr::V6)).collect()
}

/// The local addresses in a routing table as `/proc/net/fib_trie` shows it: a line `|-- 10.0.0.5`, and among those under
/// it `/32 host LOCAL`.
fn v4_addresses(fib_trie: &str) -> impl Iterator<Item = Ipv4Addr> {
    let mut last = None;
    fib_trie.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
            return None;
        }
        if line == "/32 host LOCAL" { last } else { None }
    })
}

/// The addresses of global scope in `/proc/net/if_inet6`: 32 hex digits, index, prefix length, scope, flags, name.
fn v6_addresses(if_inet6: &str) -> impl Iterator<Item = Ipv6Addr> {
    if_inet6.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = fields.next()?;
        let scope = fields.nth(2)?;
        let bits = u128::from_str_radix(address, 16).ok()?;
        (scope == "00").then(|| Ipv6Addr::from(bits))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listeners: &[&str]) -> Vec<String> {
        let listeners: Vec<Endpoint> = listeners.iter().map(|l| l.parse().unwrap()).collect();
        names_for(&listeners)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn each_listener_gets_the_names_its_clients_use() {
        assert_eq!(names(&["tls://:1"]), ["localhost", "127.0.0.1", "[::1]"]);
        assert_eq!(
            names(&["tls://127.0.0.2:1", "tls://localhost:2"]),
            ["localhost", "127.0.0.1", "[::1]", "127.0.0.2"]
        );
        assert_eq!(
            names(&["wss://chat.example:1", "tls://192.0.2.1:1"]),
            ["chat.example", "192.0.2.1"]
        );
        assert_eq!(names(&[]), ["localhost", "127.0.0.1", "[::1]"]);
        let every = names(&["tls://0.0.0.0:1"]);
        assert!(every.starts_with(&["localhost".to_owned()]), "{every:?}");
        assert!(!every.contains(&"0.0.0.0".to_owned()));
    }

    #[test]
    fn addresses_in_the_kernels_tables() {
        let fib_trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 10.1.2.255\n        /32 link BROADCAST\n";
        assert_eq!(
            v4_addresses(fib_trie).collect::<Vec<_>>(),
            [Ipv4Addr::new(10, 1, 2, 3)]
        );
        let if_inet6 = "20010db8000000000000000000000001 02 40 00 80     eth0\nfe800000000000000000000000000001 02 40 20 80     eth0\n";
        assert_eq!(
            v6_addresses(if_inet6).collect::<Vec<_>>(),
            ["2001:db8::1".parse::<Ipv6Addr>().unwrap()]
        );
    }
}
