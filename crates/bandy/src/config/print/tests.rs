//! What is printed means the same: any plan, and how it looks.

use super::*;
use crate::accounts;
use crate::config::parse;
use crate::config::plan::State;
use crate::endpoint::Scheme;
use crate::http::StatusCode;
use crate::http::router::{
    Access, Addresses, By, Certificates, Compression, Cors, Fields, Fixed, Layers, Range, Rate,
    Redirect, Scope, Secret, User,
};
use crate::limits::Overload;
use crate::net::proxied::Proxied;
use crate::net::tls::Identity;
use crate::server::Model;
use crate::services::{Route, To, admin, api, files};
use crate::state::Location;
use crate::state::backup::Schedule;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (1..100_000_u64).prop_map(Duration::from_secs),
        (1..u64::from(u32::MAX)).prop_map(Duration::from_nanos),
    ]
}

fn any_count() -> impl Strategy<Value = usize> {
    prop_oneof![
        1..10_000_usize,
        Just(u32::MAX as usize),
        1..u32::MAX as usize
    ]
}

fn any_service() -> impl Strategy<Value = Spec> {
    prop_oneof![
        Just(Spec::Echo),
        Just(Spec::Discard),
        Just(Spec::Chargen),
        any::<String>().prop_map(|text| Spec::Greet { text }),
        ("\\PC*", option::of(any_duration())).prop_map(|(text, pause)| Spec::Reply {
            template: format!("{}{{message}}", text.replace('{', "{{").replace('}', "}}")),
            pause,
        }),
        (vec("[^\0]+", 1..20), any_count())
            .prop_map(|(command, programs)| Spec::Exec { command, programs }),
        any_files().boxed().prop_map(Spec::Files),
        any_api().boxed().prop_map(Spec::Api),
    ]
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let host = prop_oneof![Just("app.example"), Just("*.example.com"), Just("[::1]")];
    let path = prop_oneof![Just("/*"), Just("/"), Just("/api/*"), Just("/users/{id}")];
    let method = prop_oneof![Just("GET"), Just("PURGE")];
    (vec(host, 0..3), path, vec(method, 0..3)).prop_map(|(hosts, path, methods)| Scope {
        hosts: hosts.iter().map(|h| h.parse().expect("a host")).collect(),
        path: path.parse().expect("a path"),
        methods: methods
            .iter()
            .map(|m| m.parse().expect("a method"))
            .collect(),
    })
}

fn any_to() -> impl Strategy<Value = To> {
    let fixed = (200..600_u16, "\\PC*").prop_map(|(status, body)| {
        let status = StatusCode::from_u16(status).expect("a status");
        let has_none = [204, 205, 304].contains(&status.as_u16());
        let body = if has_none { String::new() } else { body };
        To::Fixed(Fixed {
            status,
            media_type: match body.is_empty() {
                true => Fixed::MEDIA_TYPE.to_owned(),
                false => "text/html".to_owned(),
            },
            body,
        })
    });
    let redirect = select(&Redirect::STATUSES).prop_map(|status| {
        let to = "https://{host}{path_and_query}".parse().expect("a target");
        To::Redirect(Redirect { status, to })
    });
    let is_request = |spec: &Spec| spec.stands_on(Carries::Request);
    let service = any_service().boxed().prop_filter("requests", is_request);
    prop_oneof![fixed, redirect, service.prop_map(To::Service)]
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let name = || select(vec!["x-a", "server", "vary"]);
    let rules = (0..3_u8, name(), "[!-~]([ -~]*[!-~])?");
    vec(rules, 0..6).prop_map(|rules| {
        let fields = Fields::new();
        rules.iter().fold(fields, |fields, (way, name, value)| {
            match way {
                0 => fields.remove(name),
                1 => fields.set(name, value),
                _ => fields.add(name, value),
            }
            .expect("a rule")
        })
    })
}

fn any_access() -> impl Strategy<Value = Access> {
    let ranges = || vec(select(vec!["10.0.0.0/8", "::1", "2001:db8::/32"]), 0..3);
    let users = || {
        let user = |(name, secret): (String, String)| User {
            name,
            secret: Secret::new(secret),
        };
        proptest::collection::btree_map("[a-zé .]{1,9}", "[!-~]{1,20}", 0..3)
            .prop_map(move |users| users.into_iter().map(user).collect())
    };
    let names = option::of(vec("[a-z@]{1,9}", 0..3));
    let certificates = names.prop_map(|names| Some(Certificates { names: names? }));
    (ranges(), ranges(), users(), users(), certificates).prop_map(
        |(allow, deny, users, tokens, certificates)| {
            let parsed = |texts: Vec<&str>| {
                let ranges = texts.iter().map(|t| t.parse().expect("a range"));
                ranges.collect::<Vec<Range>>()
            };
            Access {
                addresses: Addresses {
                    allow: parsed(allow),
                    deny: parsed(deny),
                },
                certificates,
                users,
                tokens,
                login: None,
            }
        },
    )
}

fn any_cors() -> impl Strategy<Value = Cors> {
    let names = || vec(select(vec!["x-a", "x-b"]), 0..3);
    let age = option::of((0..100_000_u64).prop_map(Duration::from_secs));
    let origins = vec(select(vec!["https://a.example", "http://b:1"]), 1..3);
    (origins, names(), names(), any::<bool>(), age).prop_map(
        |(origins, headers, expose, credentials, max_age)| {
            let names = |names: Vec<&str>| names.iter().map(|n| n.parse().expect("it")).collect();
            Cors {
                origins: origins.into_iter().map(str::to_owned).collect(),
                methods: Vec::new(),
                headers: names(headers),
                expose: names(expose),
                credentials,
                max_age,
            }
        },
    )
}

fn any_route() -> impl Strategy<Value = Route> {
    let rate = (1..u32::MAX, any_duration(), 1..u32::MAX, select(&By::ALL));
    let rate = rate.prop_map(|(requests, every, burst, by)| Rate {
        requests,
        every,
        burst,
        by,
    });
    let bytes = || 1..1_u64 << 60;
    let compression = bytes().prop_map(|min_bytes| Compression { min_bytes });
    let strip = any::<bool>();
    let some = (
        option::of(rate),
        option::of(compression),
        option::of(any_cors()),
    );
    let rest = (
        option::of(bytes()),
        any_fields().boxed(),
        any_fields().boxed(),
        any_access().boxed(),
    );
    (any_scope(), any_to().boxed(), strip, some, rest).prop_map(
        |(scope, to, strip, (rate, compression, cors), rest)| {
            let (body_bytes, request, response, access) = rest;
            let is_below = scope.path.always_begins_with("/api");
            let layers = Layers {
                strip: (strip && is_below).then(|| "/api".to_owned()),
                request,
                response,
                body_bytes,
                access,
                rate,
                compression,
                cors,
            };
            Route { scope, layers, to }
        },
    )
}

/// Routes, on endpoints that have ports of their own, from `first` on.
fn any_router(first: usize) -> impl Strategy<Value = Server> {
    let identity = ClientAuth::Optional("ca.pem".into());
    (vec(any_route().boxed(), 1..4), any_limits().boxed()).prop_map(move |(routes, limits)| {
        let mut answers = Answers::Routes(routes);
        crate::config::route::longest_body(&mut answers);
        let listen = ["http", "https"].iter().zip(first..);
        let listen = listen.map(|(scheme, port)| format!("{scheme}://[::1]:{port}"));
        Server {
            name: format!("edge{first}"),
            listen: listen
                .map(|url| url.parse().expect("an endpoint"))
                .collect(),
            answers,
            model: Model::Async,
            tls: ServerTls {
                identity: None,
                clients: identity.clone(),
            },
            origins: Vec::new(),
            proxied: Proxied::default(),
            limits,
        }
    })
}

fn any_state() -> impl Strategy<Value = State> {
    let backup = (any_count(), 1..100_000_u64, "[^\0]+").prop_map(|(keep, every, folder)| {
        let every = Duration::from_secs(every);
        Schedule {
            every,
            keep,
            folder: folder.into(),
        }
    });
    let sqlite =
        ("[a-z./]{0,9}[a-z]", option::of(backup)).prop_filter_map("a file", |(path, backup)| {
            let store = format!("sqlite:{path}").parse().ok()?;
            Some(State { store, backup })
        });
    let memory = State {
        store: Location::Memory,
        backup: None,
    };
    prop_oneof![sqlite, Just(memory)]
}

fn any_accounts() -> impl Strategy<Value = accounts::Options> {
    let times = (any_duration(), any_duration());
    (any::<bool>(), times, any_count()).prop_map(|(registration, (session, idle), min)| {
        accounts::Options {
            registration,
            session,
            idle,
            password_min: min,
            ..accounts::Options::default()
        }
    })
}

fn any_files() -> impl Strategy<Value = files::Options> {
    let bools = vec(any::<bool>(), 5);
    let index = vec("[a-z.]{1,9}[a-z]", 0..3);
    let bytes = (0..1_u64 << 60, 1..1_u64 << 60);
    let origins = vec(select(vec!["*", "https://app.example"]), 0..3);
    let control = option::of("[!-~]+");
    (("[^\0]+", index), bools, bytes, control, origins).prop_map(
        |((root, index), bools, (cache_bytes, upload_bytes), cache_control, origins)| {
            files::Options {
                root: root.into(),
                index,
                listing: bools[0],
                hidden: bools[1],
                precompressed: bools[2],
                cache_bytes,
                cache_control,
                upload: bools[3],
                upload_bytes: match bools[3] {
                    true => upload_bytes,
                    false => files::Options::UPLOAD_BYTES,
                },
                delete: bools[4],
                origins: origins.into_iter().map(str::to_owned).collect(),
            }
        },
    )
}

fn any_api() -> impl Strategy<Value = api::Options> {
    let counts = (any_count(), any_count(), any_count());
    let times = (any_duration(), any_duration(), any_duration());
    (any::<bool>(), counts, times).prop_map(|(testing, counts, times)| api::Options {
        testing,
        body_bytes: counts.0,
        depth: counts.1,
        changes: counts.2 as u64,
        stale: times.0,
        heartbeat: times.1,
        longest: times.2,
    })
}

fn any_tls() -> impl Strategy<Value = ServerTls> {
    let clients = prop_oneof![
        Just(ClientAuth::None),
        "[^\0]+".prop_map(|ca| ClientAuth::Optional(ca.into())),
        "[^\0]+".prop_map(|ca| ClientAuth::Required(ca.into())),
    ];
    let identity = ("[^\0]+", "[^\0]+").prop_map(|(cert, key)| Identity {
        cert: cert.into(),
        key: key.into(),
    });
    (option::of(identity), clients).prop_map(|(identity, clients)| ServerTls { identity, clients })
}

fn any_http() -> impl Strategy<Value = HttpLimits> {
    let times = (any_duration(), any_duration(), any_duration());
    let counts = (any_count(), any_count(), any_count(), any_count());
    let keep_alive = option::of(any_duration());
    let rest = (0..1_u64 << 60, 0..100_u64, 1..u32::MAX);
    (times, counts, keep_alive, rest).prop_map(|(times, counts, keep_alive, rest)| HttpLimits {
        head: times.0,
        keep_alive,
        head_bytes: counts.0,
        target_bytes: counts.1,
        fields: counts.2,
        body_bytes: rest.0 + 1,
        body_rate: rest.0,
        body_grace: times.1,
        send: times.2,
        requests: rest.1,
        streams: rest.2,
    })
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let counts = (any_count(), any_count(), any_count(), any_count());
    let times = (any_duration(), any_duration(), any_duration());
    let optional = (option::of(any_duration()), option::of(any_duration()));
    (
        counts,
        times,
        optional,
        select(&Overload::ALL),
        any_http().boxed(),
    )
        .prop_map(|(counts, times, optional, overload, http)| Limits {
            connections: counts.0,
            overload,
            handshake: times.0,
            idle: optional.0,
            lifetime: optional.1,
            drain: times.1,
            message_bytes: counts.1,
            flows: counts.2,
            flow_idle: times.2,
            flow_queue: counts.3,
            http,
        })
}

/// A server whose endpoints have ports of their own, from `first` on.
fn any_server(first: usize) -> impl Strategy<Value = Server> {
    let schemes = vec(select(&Scheme::ALL), 1..8);
    let origins = vec(
        select(vec!["*", "null", "https://app.example", "http://a:1"]),
        0..4,
    );
    let rest = (
        select(&Model::ALL),
        any_tls(),
        (origins, vec(select(vec!["10.0.0.0/8", "::1"]), 0..3)),
        any_limits().boxed(),
    );
    (any_service(), schemes, "[a-zA-Z0-9_-]{0,8}", rest).prop_map(
        move |(service, schemes, name, (model, tls, (origins, proxied), limits))| {
            // Every service stands on a stream or on requests.
            let schemes = [&Scheme::Tcp, &Scheme::Http]
                .into_iter()
                .chain(schemes.iter());
            let schemes = schemes.filter(|s| service.stands_on(s.carries()));
            let endpoint = |(n, scheme): (usize, &Scheme)| {
                let n = first + n;
                let text = match scheme {
                    Scheme::Unix => format!("unix:///tmp/{n} é.sock"),
                    Scheme::Mem => format!("mem://inner-{n}"),
                    Scheme::Ws => format!("ws://[::1]:{n}/chat?q={n}"),
                    scheme => format!("{scheme}://host-{n}.example:{n}"),
                };
                text.parse().expect("an endpoint")
            };
            let answers = Answers::Service(service.clone());
            let model = match answers.is_chat() {
                // A chat is not sequential.
                true if model == Model::Sequential => Model::Threads,
                _ => model,
            };
            Server {
                name: format!("{name}{first}"),
                listen: schemes.enumerate().map(endpoint).collect(),
                answers,
                model,
                tls,
                origins: origins.into_iter().map(str::to_owned).collect(),
                proxied: Proxied {
                    from: proxied
                        .iter()
                        .map(|r| r.parse().expect("a range"))
                        .collect(),
                },
                limits,
            }
        },
    )
}

fn any_admin() -> impl Strategy<Value = admin::Options> {
    let token = "[!-~]{16,40}".prop_map(|text: String| admin::Token::new(&text).expect("a token"));
    let token = token.boxed();
    let local = select(vec![
        "http://127.0.0.1:9901",
        "https://[::1]:0",
        "unix:///run/admin",
    ]);
    let anywhere = select(vec!["https://0.0.0.0:9901", "https://admin.example:9901"]);
    let options = |(listen, token): (&str, Option<admin::Token>)| admin::Options {
        listen: listen.parse().expect("an endpoint"),
        token,
    };
    prop_oneof![
        (local, option::of(token.clone())).prop_map(options),
        (anywhere, token.prop_map(Some)).prop_map(options),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same_plan(
        servers in (
            any_server(1).boxed(),
            any_router(100).boxed(),
            any_server(200).boxed(),
            1..=3_usize,
        ),
        state in option::of(any_state().boxed()),
        accounts in any_accounts().boxed(),
        admin in option::of(any_admin().boxed()),
    ) {
        let (a, b, c, n) = servers;
        let plan = Plan {
            admin,
            state,
            accounts,
            pools: Vec::new(),
            servers: [a, b, c].into_iter().take(n).collect(),
        };
        let text = plan.to_toml();
        match parse("printed", &text) {
            Ok((again, _)) => prop_assert_eq!(again, plan, "{}", text),
            Err(report) => prop_assert!(false, "{}\n{}", report.lines(), text),
        }
    }
}

#[test]
fn routes_are_written_as_people_write_them() {
    let text = "[server.edge]\nlisten = \"http://:8080\"\n\
        [[server.edge.route]]\npath = \"/api/*\"\nservice = \"echo\"\nrate.requests = 10\n\
        response.set.x-a = \"b\"\n\
        [[server.edge.route]]\nredirect = \"/api\"\n";
    let (plan, _) = parse("a", text).expect("a plan");
    let toml = plan.to_toml();
    let routes = toml.find("[[").map(|at| &toml[at..]);
    let printed = "\
[[server.edge.route]]
path = \"/api/*\"
service = \"echo\"
response.set.x-a = \"b\"
rate = { requests = 10, every = \"1s\", burst = 10, by = \"address\" }

[[server.edge.route]]
redirect = { to = \"/api\", status = 307 }

";
    assert!(routes.is_some_and(|r| r.starts_with(printed)), "{toml}");
}

#[test]
fn defaults_are_written_out() {
    let text = "[server.a]\nlisten = \"tcp://:7000\"\nservice.reply = \"say \\\"{message}\\\"\"\nmodel = \"threads\"\n";
    let (plan, _) = parse("a", text).expect("a plan");
    let printed = "\
[server.a]
listen = [\"tcp://127.0.0.1:7000\"]
service.reply = { template = 'say \"{message}\"', pause = \"200ms\" }
model = \"threads\"

[server.a.limits]
connections = 1000
overload = \"wait\"
handshake = \"10s\"
idle = \"5m\"
lifetime = \"none\"
drain = \"10s\"
message = \"1MiB\"
flows = 10000
flow_idle = \"30s\"
flow_queue = 256
";
    assert_eq!(plan.to_toml(), printed);
}
