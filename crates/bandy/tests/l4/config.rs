//! What a configuration says of names and PROXY headers, what is wrong with it, and how it is printed.

/// What was found in a configuration with these servers and pools, a line each.
fn found(text: &str) -> String {
    match bandy::config::parse("c", text) {
        Ok((_, report)) | Err(report) => report.lines(),
    }
}

#[test]
fn names_are_checked_as_hosts_and_pools_are() {
    let with = |listen: &str, balance: &str, backend: &str| {
        found(&format!(
            "[server.s]\nlisten = \"{listen}\"\nservice.balance = {balance}\n[pool.a]\nbackend = \"{backend}\"\n"
        ))
    };
    let named = r#"{ sni = { "A.example." = "a", "*.a.example" = "a", "*" = "a" } }"#;
    assert_eq!(with("tcp://:1", named, "tcp://:2"), "");
    assert_eq!(with("tls://:1", named, "tls://:2"), "");
    assert_eq!(
        with("tcp://:1", named, "tls://:2"),
        "c:3:44: pool `a` is asked over TLS, and what is passed on from tcp is TLS already\n\
         c:3:65: pool `a` is asked over TLS, and what is passed on from tcp is TLS already\n\
         c:3:76: pool `a` is asked over TLS, and what is passed on from tcp is TLS already"
    );
    assert_eq!(
        with("https://:1", r#"{ sni = { "*" = "a" } }"#, "http://:2"),
        "c:3:35: `sni` is for streams of TLS, and not for what comes in here (request)"
    );
    assert_eq!(
        with(
            "tcp://:1",
            r#"{ sni = { "a:1" = "a", "b/c" = "a", "d" = "b", "e" = "a", "E" = "a" } }"#,
            "tcp://:2"
        ),
        "c:3:29: `a:1` is not a host\n\
         c:3:42: `b/c` is not a host\n\
         c:3:61: there is no pool `b`\n\
         c:3:77: `e` stands here twice"
    );
    assert_eq!(
        with(
            "tcp://:1",
            r#"{ pool = "a", sni = { "*" = "a" } }"#,
            "tcp://:2"
        ),
        "c:3:39: `sni` and `pool` both say which pool answers"
    );
    for (balance, error) in [
        ("{ sni = {} }", "c:3:27: `sni` names no pool"),
        (
            r#"{ sni = "a" }"#,
            "c:3:27: `sni` takes a table of names and pools, not a string",
        ),
        (
            r#"{ sni = { "*" = 7 } }"#,
            "c:3:35: `sni` takes a string, not a number",
        ),
    ] {
        let all = with("tcp://:1", balance, "tcp://:2");
        assert!(all.lines().any(|line| line == error), "{all}");
    }
}

#[test]
fn a_proxy_header_stands_where_one_can_stand() {
    let with = |listen: &str, server: &str, backend: &str, pool: &str| {
        found(&format!(
            "[server.s]\nlisten = \"{listen}\"\nservice.balance = \"a\"\n{server}\n[pool.a]\nbackend = \"{backend}\"\n{pool}\n"
        ))
    };
    let believes = r#"proxy_protocol = ["10.0.0.0/8", "::1"]"#;
    assert_eq!(
        with("tcp://:1", believes, "tls://:2", "proxy_protocol = \"v2\""),
        ""
    );
    assert_eq!(with("https://:1", believes, "http://:2", ""), "");
    assert_eq!(
        with("ws://:1", "", "ws://:2", "proxy_protocol = \"v1\""),
        ""
    );
    assert_eq!(
        with("udp://:1", believes, "udp://:2", ""),
        "c:4:1: `proxy_protocol` has no effect: this server listens on no TCP"
    );
    for (server, error) in [
        (
            "proxy_protocol = true",
            "c:4:18: `proxy_protocol` takes a list of addresses, not a boolean",
        ),
        (
            r#"proxy_protocol = ["10.0.0.1/8"]"#,
            "c:4:19: `10.0.0.1/8` is not a range of addresses",
        ),
        (
            r#"proxy_protocol = "v1""#,
            "c:4:18: `v1` is not a range of addresses",
        ),
    ] {
        assert_eq!(with("tcp://:1", server, "tcp://:2", ""), error);
    }
    let tells = "proxy_protocol = \"v2\"";
    assert_eq!(with("http://:1", "", "http://:2", tells), "");
    let all = with("udp://:1", "", "udp://:2", tells);
    assert!(
        all.starts_with("c:3:19: pool `a` tells its backends whom it brings"),
        "{all}"
    );
    let both = format!("{tells}\nhttp = \"2\"");
    let all = with("http://:1", "", "http://:2", &both);
    assert!(all.contains("over HTTP/2 many share one"), "{all}");
    assert_eq!(
        with("tcp://:1", "", "tcp://:2", "proxy_protocol = \"v3\""),
        "c:7:18: `proxy_protocol` cannot be `v3`"
    );
}

#[test]
fn what_is_printed_means_the_same() {
    let text = r#"
[server.s]
listen = ["tcp://:1", "tls://:3"]
service.balance = { sni = { "a.example" = "a", "*.b.example" = "b", "*" = "a" } }
proxy_protocol = ["10.0.0.0/8", "::1"]
[pool.a]
backend = "tcp://:2"
proxy_protocol = "v1"
[pool.b]
backend = "unix:///b.sock"
proxy_protocol = "v2"
"#;
    let (plan, report) =
        bandy::config::parse("c", text).unwrap_or_else(|r| panic!("{}", r.lines()));
    assert_eq!(report.lines(), "");
    let printed = plan.to_toml();
    let (again, _) =
        bandy::config::parse("c", &printed).unwrap_or_else(|r| panic!("{}\n{printed}", r.lines()));
    assert_eq!(again, plan, "{printed}");
}
