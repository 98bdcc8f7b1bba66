use std::sync::Arc;

use super::*;
use proptest::prelude::*;

/// The hello of a real client.
fn rustls_hello(name: &str, alpn: &[&str]) -> Vec<u8> {
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = name.to_owned().try_into().expect("a name");
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("written");
    bytes
}

/// A hello with these extensions, in one record.
fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend(vector(content));
    }
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &vector(&[0x13, 0x01]),
        &[1, 0],
        &vector(&all),
    ]
    .concat();
    record(&message(&body))
}

fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[CLIENT_HELLO][..], &length[1..], body].concat()
}

fn record(fragment: &[u8]) -> Vec<u8> {
    [&[HANDSHAKE, 3, 1][..], &vector(fragment)].concat()
}

fn vector(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&length[..], content].concat()
}

fn name(name: &[u8]) -> Vec<u8> {
    vector(&[&[HOST_NAME][..], &vector(name)].concat())
}

#[test]
fn a_real_clients_hello() {
    let bytes = rustls_hello("App.Example", &["h2", "http/1.1"]);
    let hello = parse(&bytes).expect("a hello").expect("whole");
    assert_eq!(hello.server_name.as_deref(), Some("app.example"));
    assert_eq!(hello.alpn, [&b"h2"[..], b"http/1.1"]);
    let nameless = rustls_hello("127.0.0.1", &[]);
    assert_eq!(parse(&nameless), Ok(Some(ClientHello::default())));
}

#[test]
fn names_as_they_may_be_and_as_not() {
    for (given, expected) in [
        (&b"a.example"[..], Some("a.example")),
        (b"A.EXAMPLE.", Some("a.example")),
        (b"_x-1", Some("_x-1")),
        (b"", None),
        (b".", None),
        (b"a\0.example", None),
        (b"a b", None),
        (b"\xc3\xa4.example", None),
        (&[b'a'; NAME_MAX + 1], None),
    ] {
        let bytes = made(&[(10, b"x"), (SERVER_NAME, &name(given))]);
        match expected {
            Some(expected) => {
                let hello = parse(&bytes).expect("a hello").expect("whole");
                assert_eq!(hello.server_name.as_deref(), Some(expected));
            }
            None => assert!(parse(&bytes).is_err(), "{given:?}"),
        }
    }
}

#[test]
fn what_is_no_hello() {
    let good = made(&[(SERVER_NAME, &name(b"a"))]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let two_names = [&[HOST_NAME][..], &vector(b"a"), &[HOST_NAME], &vector(b"b")].concat();
    for (what, bytes) in [
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec()),
        ("an alert", with(0, 21)),
        ("SSL 2", with(1, 2)),
        ("a server's hello", with(5, 2)),
        ("an empty record", record(b"")),
        ("a record too long", [HANDSHAKE, 3, 1, 0x40, 1].to_vec()),
        ("a message too long", record(&[CLIENT_HELLO, 0, 0x40, 1])),
        ("more in its record", record(&[&good[5..], b"x"].concat())),
        ("an empty body", record(&message(b""))),
        (
            "a name twice",
            made(&[(SERVER_NAME, &name(b"a")), (SERVER_NAME, &name(b"a"))]),
        ),
        ("two names", made(&[(SERVER_NAME, &vector(&two_names))])),
        ("no name in the list", made(&[(SERVER_NAME, &vector(b""))])),
        ("no protocol in the list", made(&[(ALPN, &vector(b""))])),
        ("an empty protocol", made(&[(ALPN, &vector(&[0]))])),
        ("a list cut", made(&[(ALPN, &vector(&[3, b'h', b'2']))])),
    ] {
        assert!(parse(&bytes).is_err(), "{what}");
    }
    let endless: Vec<u8> = std::iter::repeat_n(record(&[CLIENT_HELLO, 0, 0x3f, 0xff]), 1)
        .flatten()
        .chain(record(&[0; 1]).into_iter().cycle().take(2 * LENGTH_MAX))
        .collect();
    assert!(parse(&endless).is_err());
}

proptest! {
    /// The same hello however it was cut into records, and not before its last byte.
    #[test]
    fn cut_in_any_way(cuts in prop::collection::vec(1..400_usize, 1..20)) {
        let whole = rustls_hello("a.example", &["h2"]);
        let mut left = &whole[5..];
        let mut bytes = Vec::new();
        for cut in cuts.iter().cycle() {
            let (fragment, rest) = left.split_at(left.len().min(*cut));
            bytes.extend(record(fragment));
            left = rest;
            if left.is_empty() {
                break;
            }
        }
        if bytes.len() <= LENGTH_MAX {
            prop_assert_eq!(parse(&bytes), parse(&whole));
            for end in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
                prop_assert_eq!(parse(&bytes[..end]), Ok(None));
            }
            // What comes next is not looked at.
            bytes.extend(b"any");
            prop_assert_eq!(parse(&bytes), parse(&whole));
        }
    }

    #[test]
    fn a_verdict_stands(at in 0..300_usize, byte: u8, cut in 0..300_usize) {
        let mut bytes = rustls_hello("a.example", &["h2"]);
        bytes[at % 250] = byte;
        let whole = parse(&bytes);
        match parse(&bytes[..cut.min(bytes.len())]) {
            Ok(None) => {}
            decided => prop_assert_eq!(decided, whole),
        }
    }
}
