use super::*;
use proptest::prelude::*;

fn ip(from: &str, to: &str) -> Told {
    let parsed = |text: &str| text.parse().expect("an address");
    let (from, to) = (parsed(from), parsed(to));
    Told::Ip { from, to }
}

fn v2_bytes(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("short").to_be_bytes();
    [V2_START, &[command, family], &length, body].concat()
}

/// The examples of the specification, section 2.1, and their like.
#[test]
fn lines_of_version_1() {
    let four = ip("255.255.255.255:65535", "255.255.255.255:65535");
    for (line, told) in [
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            four,
        ),
        (
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            ip("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 0 1\r\n",
            ip("[2001:db8::1]:0", "[::1]:1"),
        ),
        ("PROXY UNKNOWN\r\n", Told::Unknown),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Told::Unknown,
        ),
    ] {
        let with_more = [line.as_bytes(), b"GET / HTTP/1.1\r\n"].concat();
        let read = parse(&with_more);
        assert_eq!(read, Ok(Some((told, line.len()))), "{line}");
        for cut in 0..line.len() {
            assert_eq!(parse(&line.as_bytes()[..cut]), Ok(None), "{line} at {cut}");
        }
    }
}

#[test]
fn what_is_no_line_of_version_1() {
    for line in [
        "GET / HTTP/1.1\r\n",
        "PROXY\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 x\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
        "PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
        "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP6 ::1%lo ::1 1 1\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r1\r\n",
        "PROXY UNKNOWN \rx",
        "PROXY UNKNOWN \u{7f}\n",
    ] {
        assert!(parse(line.as_bytes()).is_err(), "{line:?}");
    }
    // 107 bytes without an end, and a line that ends right behind them.
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert!(parse(long.as_bytes()).is_err());
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(parse(longest.as_bytes()), Ok(Some((Told::Unknown, V1_MAX))));
    assert!(parse(b"PROXY UNKNOWN \xff\r\n").is_err());
}

#[test]
fn version_2_passes_over_what_it_need_not_know() {
    let addresses = [1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 1, 187];
    let told = ip("1.2.3.4:80", "5.6.7.8:443");
    // An authority (RFC 6066), an empty NOOP, one of nobody's.
    let more = [
        &addresses[..],
        b"\x02\x00\x0bexample.com\x04\x00\x00\xea\x00\x02zz",
    ]
    .concat();
    for (command, family, body, expected) in [
        (0x21, 0x11, &addresses[..], Some(told.clone())),
        (0x21, 0x12, &addresses[..], Some(told.clone())),
        (0x21, 0x11, &more, Some(told)),
        (0x20, 0x11, &more, Some(Told::Local)),
        (0x20, 0x00, b"", Some(Told::Local)),
        (0x20, 0x99, b"any", Some(Told::Local)),
        (0x21, 0x00, b"any", Some(Told::Unknown)),
        // Too short, cut, of no family, no command, no version.
        (0x21, 0x11, &addresses[..11], None),
        (0x21, 0x21, &addresses, None),
        (0x21, 0x31, &[0; 215], None),
        (0x21, 0x11, &more[..more.len() - 1], None),
        (0x21, 0x13, &addresses, None),
        (0x21, 0x41, &addresses, None),
        (0x21, 0x01, &addresses, None),
        (0x22, 0x11, &addresses, None),
        (0x11, 0x11, &addresses, None),
        (0x31, 0x11, &addresses, None),
        (0x21, 0x00, &[0; V2_REST_MAX + 1], None),
    ] {
        let bytes = v2_bytes(command, family, body);
        match expected {
            Some(told) => assert_eq!(parse(&bytes), Ok(Some((told, bytes.len())))),
            None => assert!(parse(&bytes).is_err(), "{command:x} {family:x} {body:?}"),
        }
    }
}

fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let four = any::<([u8; 4], u16, [u8; 4], u16)>()
        .prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
    let six = any::<([u8; 16], u16, [u8; 16], u16)>()
        .prop_map(|(a, p, b, q)| ((a, p).into(), (b, q).into()));
    prop_oneof![four, six]
}

fn tellings() -> impl Strategy<Value = Told> {
    let path = "(/[a-z]{1,100})?".prop_map(String::into_bytes);
    prop_oneof![
        Just(Told::Local),
        Just(Told::Unknown),
        addresses().prop_map(|(from, to)| Told::Ip { from, to }),
        (path.clone(), path).prop_map(|(from, to)| Told::Unix { from, to }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(told in tellings(), behind: Vec<u8>) {
        for version in Version::ALL {
            let mut bytes = Vec::new();
            write(version, &told, &mut bytes);
            let len = bytes.len();
            for cut in 0..len {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(None));
            }
            bytes.extend(&behind);
            let expected = match (version, &told) {
                (Version::V1, Told::Local | Told::Unix { .. }) => Told::Unknown,
                _ => told.clone(),
            };
            prop_assert_eq!(parse(&bytes), Ok(Some((expected, len))));
            prop_assert!(version == Version::V2 || len <= V1_MAX);
        }
    }

    /// More bytes never change what was decided.
    #[test]
    fn a_verdict_stands(
        start in prop::sample::select(vec![&b""[..], b"PROXY ", V2_START, b"PROXY TCP4 1.2.3.4 "]),
        rest: Vec<u8>,
    ) {
        let bytes = [start, &rest].concat();
        let whole = parse(&bytes);
        for cut in 0..bytes.len() {
            match parse(&bytes[..cut]) {
                Ok(None) => {}
                decided => prop_assert_eq!(&decided, &whole),
            }
        }
    }
}

#[test]
fn two_families_in_one_header() {
    let told = ip("1.2.3.4:5", "[::1]:6");
    for version in Version::ALL {
        let mut bytes = Vec::new();
        write(version, &told, &mut bytes);
        let read = parse(&bytes).expect("a header").expect("whole").0;
        assert_eq!(read, ip("[::ffff:1.2.3.4]:5", "[::1]:6"));
    }
}
