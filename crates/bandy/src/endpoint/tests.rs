//! One spelling for each endpoint, and one line for everything that can be wrong.

use super::*;

fn round(text: &str) -> String {
    text.parse::<Endpoint>()
        .map_or_else(|e| format!("{e}; {}", e.hint()), |e| e.to_string())
}

#[test]
fn one_spelling_for_each() {
    for (written, printed) in [
        ("tcp://127.0.0.1:7000", "tcp://127.0.0.1:7000"),
        ("tcp://:7000", "tcp://127.0.0.1:7000"),
        ("TCP://LocalHost:7000/", "tcp://localhost:7000"),
        ("udp://[::]:53", "udp://[::]:53"),
        ("tls://[2001:DB8::1]:443", "tls://[2001:db8::1]:443"),
        ("tcp://db.example.:5432", "tcp://db.example:5432"),
        ("unix:///run/app.sock", "unix:///run/app.sock"),
        ("unix:app.sock", "unix://app.sock"),
        ("unix://@abstract", "unix://@abstract"),
        ("unix:///a%20b%25", "unix:///a%20b%25"),
        ("ws://localhost", "ws://localhost:80"),
        (
            "wss://:8443/chat?room=1",
            "wss://127.0.0.1:8443/chat?room=1",
        ),
        ("ws://h:1?x", "ws://h:1/?x"),
        ("mem://inner", "mem://inner"),
    ] {
        assert_eq!(round(written), printed, "for {written}");
    }
}

#[test]
fn what_is_wrong_and_what_to_write() {
    for (written, expected) in [
        (
            "localhost:7000",
            "`localhost:7000` is not an endpoint: it names no scheme; put what is spoken in front, as in `tcp://localhost:7000`",
        ),
        (
            ":7000",
            "`:7000` is not an endpoint: it names no scheme; put what is spoken in front, as in `tcp://:7000`",
        ),
        (
            "\u{1b}[2J:1",
            "`\\u{1b}[2J:1` is not an endpoint: it names no scheme; put what is spoken in front, as in `tcp://\\u{1b}[2J:1`",
        ),
        (
            "//:7000",
            "`//:7000` is not an endpoint: it names no scheme; put what is spoken in front, as in `tcp://:7000`",
        ),
        (
            "tpc://:7000",
            "`tpc://:7000` is not an endpoint: there is no scheme `tpc`; did you mean `tcp://`?",
        ),
        (
            "ssl://:1",
            "`ssl://:1` is not an endpoint: there is no scheme `ssl`; did you mean `tls://`?",
        ),
        (
            "gopher://x:1",
            "`gopher://x:1` is not an endpoint: there is no scheme `gopher`; the schemes are tcp, udp, tls, unix, ws, wss, http, https, irc, ircs, mem",
        ),
        (
            "tcp://host",
            "`tcp://host` is not an endpoint: it names no port; write host and port, as in `tcp://127.0.0.1:7000` (0 takes a free port when listening)",
        ),
        (
            "tcp://:65536",
            "`tcp://:65536` is not an endpoint: `65536` is not a port; a port is a number from 0 to 65535",
        ),
        (
            "tcp://:+1",
            "`tcp://:+1` is not an endpoint: `+1` is not a port; a port is a number from 0 to 65535",
        ),
        (
            "tcp://::1:7000",
            "`tcp://::1:7000` is not an endpoint: its IPv6 address is not in brackets; write `tcp://[::1]:7000`",
        ),
        (
            "tcp://[fe80::1%eth0]:1",
            "`tcp://[fe80::1%eth0]:1` is not an endpoint: `fe80::1%eth0` is not an IPv6 address; an IPv6 address stands in brackets, as in `tcp://[::1]:7000`; zones are not taken",
        ),
        (
            "tcp://127.1:1",
            "`tcp://127.1:1` is not an endpoint: `127.1` is not a host; a host is an IPv4 address, an IPv6 address in brackets, or a DNS name",
        ),
        (
            "tcp://a b:1",
            "`tcp://a b:1` is not an endpoint: `a b` is not a host; a host is an IPv4 address, an IPv6 address in brackets, or a DNS name",
        ),
        (
            "tcp://u@h:1",
            "`tcp://u@h:1` is not an endpoint: it cannot have a user name; leave it out",
        ),
        (
            "tcp://h:1/x",
            "`tcp://h:1/x` is not an endpoint: it cannot have a path; leave it out",
        ),
        (
            "ws://h:1/#f",
            "`ws://h:1/#f` is not an endpoint: it cannot have a fragment; leave it out",
        ),
        (
            "unix://",
            "`unix://` is not an endpoint: it names no socket file; write the socket file's path, as in `unix:///run/app.sock`",
        ),
        (
            "unix:///a%2",
            "`unix:///a%2` is not an endpoint: a `%` in it is not followed by two hex digits; write a literal % as %25",
        ),
        (
            "mem://a/b",
            "`mem://a/b` is not an endpoint: `a/b` is not a name; a name is letters, digits, `-`, `_` and `.`",
        ),
        (
            "tcp://\u{1b}[2J:1",
            "`tcp://\\u{1b}[2J:1` is not an endpoint: `\\u{1b}[2J` is not a host; a host is an IPv4 address, an IPv6 address in brackets, or a DNS name",
        ),
    ] {
        assert_eq!(round(written), expected);
    }
}
