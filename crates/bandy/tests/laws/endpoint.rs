//! An endpoint has one spelling, and a text that is none says what to write.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;

use bandy::Endpoint;
use bandy::endpoint::{Carries, Scheme};
use proptest::prelude::*;

fn net_scheme() -> impl Strategy<Value = Scheme> {
    let schemes: Vec<Scheme> = Scheme::ALL
        .into_iter()
        .filter(|s| !matches!(s, Scheme::Unix | Scheme::Mem))
        .collect();
    prop::sample::select(schemes)
}

/// A socket file's path: any bytes that the system takes, `@` for the abstract namespace among them.
fn path() -> impl Strategy<Value = OsString> {
    prop_oneof![
        "[@/]?[a-z/. %?#é]{1,40}".prop_map(String::into_bytes),
        prop::collection::vec(1..=255u8, 1..=107),
    ]
    .prop_filter("a name", |bytes| bytes != b"@")
    .prop_map(OsString::from_vec)
}

fn name() -> impl Strategy<Value = String> {
    let label = "[a-z0-9_-]{1,20}";
    (prop::collection::vec(label, 0..3), "[a-z][a-z0-9-]{0,20}")
        .prop_map(|(labels, last)| [labels, vec![last]].concat().join("."))
}

fn target(scheme: Scheme) -> BoxedStrategy<String> {
    if matches!(scheme.carries(), Carries::Message | Carries::Request) {
        "(/[!-\"$-~]{0,30})?".boxed()
    } else {
        Just(String::new()).boxed()
    }
}

/// An endpoint with a DNS name, as it is printed.
fn named() -> impl Strategy<Value = String> {
    net_scheme().prop_flat_map(|scheme| {
        (name(), any::<u16>(), target(scheme))
            .prop_map(move |(name, port, target)| format!("{scheme}://{name}:{port}{target}"))
    })
}

/// Any valid endpoint, made as a program makes it or parsed.
fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        (net_scheme(), any::<SocketAddr>())
            .prop_map(|(scheme, address)| Endpoint::at(scheme, address).expect("it has a port")),
        path().prop_map(Endpoint::unix),
        "[A-Za-z0-9_.-]{1,40}".prop_map(Endpoint::mem),
        named().prop_map(|text| text.parse().expect("valid")),
    ]
}

/// Text that is near to an endpoint, and text that is not.
fn text() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        4 => prop::sample::select(Scheme::ALL.to_vec()).prop_map(|s| s.to_string()),
        1 => "[a-zA-Z:]{0,9}",
    ];
    let soup = "[a-c0-9.:/@%?#\\[\\]\u{0}\u{1b}é _-]{0,24}";
    prop_oneof![
        (scheme, "(://|:|//|)", soup).prop_map(|(scheme, colon, rest)| scheme + &colon + &rest),
        any::<String>(),
    ]
}

proptest! {
    #[test]
    fn every_endpoint_prints_to_what_parses_to_it(endpoint in endpoint()) {
        let printed = endpoint.to_string();
        prop_assert_eq!(printed.parse(), Ok(endpoint), "{}", printed);
    }

    #[test]
    fn a_printed_endpoint_is_plain_ascii(endpoint in endpoint()) {
        prop_assert!(endpoint.to_string().bytes().all(|b| b.is_ascii_graphic()), "{}", endpoint);
    }

    #[test]
    fn what_parses_prints_to_a_fixed_point_and_what_does_not_has_a_hint(text in text()) {
        match text.parse::<Endpoint>() {
            Ok(endpoint) => {
                let printed = endpoint.to_string();
                let again: Endpoint = printed.parse().expect("printed endpoints parse");
                prop_assert_eq!(again.to_string(), printed);
                prop_assert_eq!(again, endpoint);
            }
            Err(error) => {
                let said = [error.to_string(), error.hint()];
                for line in said {
                    prop_assert!(!line.is_empty());
                    prop_assert!(!line.contains(char::is_control), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn case_and_a_last_dot_do_not_matter(text in named()) {
        let (scheme, rest) = text.split_once("://").expect("an endpoint");
        let (host, rest) = rest.split_once(':').expect("a port");
        let other = format!("{}://{}.:{rest}", scheme.to_uppercase(), host.to_uppercase());
        prop_assert_eq!(other.parse::<Endpoint>(), text.parse());
    }

    #[test]
    fn where_it_was_bound_keeps_the_rest(text in named(), address: SocketAddr) {
        let asked: Endpoint = text.parse().expect("valid");
        let bound = asked.with_addr(address);
        prop_assert_eq!((bound.scheme(), bound.target()), (asked.scheme(), asked.target()));
        prop_assert_eq!(bound.port(), Some(address.port()));
        prop_assert_eq!(bound.socket_addr().map(|a| a.ip()), Some(address.ip()));
    }
}
