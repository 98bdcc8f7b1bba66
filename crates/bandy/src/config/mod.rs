//! Configuration: from what was written to what is to run.
//!
//! A file is read ([`load`], [`parse`]) into [`raw`] values that know where they were written; the command line builds
//! the same values. [`plan::check`] turns them into a [`Plan`], or says everything that is wrong as
//! [`diagnostic`]s. Nothing here binds, connects or reads a certificate: `app` does that with the plan. How diagnostics
//! look is the program's business.
//!
//! ```
//! let (plan, _) = bandy::config::parse("bandy.toml", r#"
//!     [server.echo]
//!     listen = ["tcp://127.0.0.1:7000", "udp://127.0.0.1:7000"]
//!     service = "echo"
//! "#).expect("a valid configuration");
//! assert_eq!(plan.servers[0].listen[1].to_string(), "udp://127.0.0.1:7000");
//! ```

mod admin;
mod api;
mod chat;
pub mod diagnostic;
mod files;
mod layers;
mod limits;
mod listen;
mod options;
pub mod plan;
mod pool;
mod print;
pub mod quantity;
pub mod raw;
mod read;
mod route;
mod state;
mod walk;

use std::io;
use std::path::Path;

pub use diagnostic::{Diagnostic, Report, Source};
pub use plan::{Plan, Server, check};

use crate::error::{Error, Kind, Plain, Side};

/// Why a configuration file gave no plan.
#[derive(Debug)]
pub enum Failed {
    /// It could not be read.
    Unread(Error),
    /// It was read, and has these errors.
    Invalid(Report),
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Error {
        match failed {
            Failed::Unread(error) => error,
            Failed::Invalid(report) => {
                let act = format!("checking the configuration {}", report.source.name);
                Error::new(Kind::Usage, Side::Local, act).because(report.lines())
            }
        }
    }
}

/// The largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Reads and checks a configuration file; the report has its warnings.
pub fn load(path: &Path) -> Result<(Plan, Report), Failed> {
    load_with(path, |_| {})
}

/// As [`load`], with what the command line says beside the file.
pub fn load_with(path: &Path, say: impl FnOnce(&mut raw::Table)) -> Result<(Plan, Report), Failed> {
    let text = read_file(path).map_err(|cause| {
        let is_missing = cause.kind() == io::ErrorKind::NotFound;
        let act = format!("reading the configuration {}", path.display());
        let error = Error::new(Kind::Usage, Side::Local, act).because(Plain(cause));
        Failed::Unread(if is_missing {
            error.hint("give the file's path, or serve without one: `bandy serve echo tcp://:7000`")
        } else {
            error
        })
    })?;
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_in(source, folder, say).map_err(Failed::Invalid)
}

/// Checks a configuration text; `name` is what messages call it. Relative paths stay as they are.
pub fn parse(name: &str, text: &str) -> Result<(Plan, Report), Report> {
    let source = Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    parse_in(source, Path::new(""), |_| {})
}

fn parse_in(
    source: Source,
    folder: &Path,
    say: impl FnOnce(&mut raw::Table),
) -> Result<(Plan, Report), Report> {
    let mut read = read::read(&source.text);
    say(&mut read.root);
    let config = raw::Config {
        root: read.root.clone(),
        folder: folder.to_owned(),
        source,
    };
    if read.errors.is_empty() {
        return check(&config);
    }
    // What the syntax errors left readable is checked too, so that all errors come at once.
    let (_, found) = plan::walk(&config, true);
    let is_certain = |d: &Diagnostic| read.is_certain(&d.primary.at);
    let mut diagnostics: Vec<Diagnostic> = found.into_iter().filter(is_certain).collect();
    diagnostics.extend(read.errors);
    plan::in_order(&mut diagnostics);
    Err(Report {
        source: config.source,
        diagnostics,
    })
}

fn read_file(path: &Path) -> io::Result<String> {
    use io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return invalid(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    String::from_utf8(bytes).or_else(|e| {
        let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&b| b == b'\n').count() + 1;
        invalid(format!("line {line} is not UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::router::By;
    use crate::net::tls::{ClientAuth, Identity};
    use crate::services::{Answers, Route, Spec, To};
    use proptest::prelude::*;

    /// What is said about a server with these lines, each line of it with its place.
    fn said(lines: &str) -> String {
        let text = format!("[server.s]\n{lines}");
        match parse("c", &text) {
            Ok((_, report)) | Err(report) => report.lines(),
        }
    }

    #[test]
    fn a_chat_of_one_at_a_time_is_refused() {
        let lines = "listen = \"http://:1\"\nmodel = \"sequential\"\n";
        for service in [
            "service = \"chat\"\n",
            "[[server.s.route]]\nservice = \"files\"\n[[server.s.route]]\nservice = \"chat\"\n",
        ] {
            let said = said(&format!("{lines}{service}"));
            assert!(said.contains("whoever comes second would wait"), "{said}");
        }
        let threads = format!("{lines}service = \"chat\"\n").replace("sequential", "threads");
        assert_eq!(said(&threads), "");
    }

    #[test]
    fn every_way_to_write_a_service() {
        let service = |line: &str| {
            let text = format!("[server.s]\nlisten = \"tcp://:1\"\n{line}\n");
            let (plan, _) = parse("c", &text).unwrap_or_else(|r| panic!("{line}: {}", r.lines()));
            match plan.servers[0].answers.clone() {
                Answers::Service(spec) => spec,
                Answers::Routes(routes) => panic!("{routes:?}"),
            }
        };
        let greet = Spec::Greet {
            text: "Hi".to_owned(),
        };
        assert_eq!(service("service = \"echo\""), Spec::Echo);
        assert_eq!(service("service = { echo = {} }"), Spec::Echo);
        assert_eq!(service("service.greet = \"Hi\""), greet);
        assert_eq!(service("[server.s.service.greet]\ntext = \"Hi\""), greet);
        let reply = |pause| Spec::Reply {
            template: "{n}".to_owned(),
            pause,
        };
        assert_eq!(service("service.reply = \"{n}\""), reply(Some(Spec::PAUSE)));
        let none = "service.reply = { template = \"{n}\", pause = \"none\" }";
        assert_eq!(service(none), reply(None));
        assert_eq!(
            service("service.exec = { command = [\"cat\"], programs = 2 }"),
            Spec::Exec {
                command: vec!["cat".to_owned()],
                programs: 2
            }
        );
    }

    /// The one route with these lines.
    fn route(lines: &str) -> Route {
        let text = format!("[server.s]\nlisten = \"http://:1\"\n[[server.s.route]]\n{lines}\n");
        let (plan, report) = parse("c", &text).unwrap_or_else(|r| panic!("{lines}: {}", r.lines()));
        assert_eq!(report.lines(), "", "{lines}");
        match &plan.servers[0].answers {
            Answers::Routes(routes) => routes[0].clone(),
            Answers::Service(spec) => panic!("{spec}"),
        }
    }

    #[test]
    fn every_way_to_answer_a_route() {
        assert_eq!(route("service = \"echo\"").to, To::Service(Spec::Echo));
        let greet = Spec::Greet {
            text: "Hi".to_owned(),
        };
        assert_eq!(route("service.greet = \"Hi\"").to, To::Service(greet));
        let redirect = |line: &str| match route(line).to {
            To::Redirect(redirect) => format!("{} {}", redirect.status.as_u16(), redirect.to),
            to => panic!("{to:?}"),
        };
        assert_eq!(redirect("redirect = \"/new\""), "307 /new");
        assert_eq!(
            redirect("redirect = { to = \"https://{host}{path}\", status = 301 }"),
            "301 https://{host}{path}"
        );
        let respond = |line: &str| match route(line).to {
            To::Fixed(fixed) => format!("{} {}", fixed.status.as_u16(), fixed.body),
            to => panic!("{to:?}"),
        };
        assert_eq!(respond("respond = 404"), "404 ");
        assert_eq!(respond("respond = \"Hi\""), "200 Hi");
        assert_eq!(
            respond("respond = { status = 503, body = \"<p>\", type = \"text/html\" }"),
            "503 <p>"
        );
    }

    #[test]
    fn what_a_route_has_on_the_way() {
        let layers = |line: &str| route(&format!("service = \"echo\"\n{line}")).layers;
        let rate = layers("rate = { requests = 5, every = \"1m\", by = \"user\" }").rate;
        let rate = rate.expect("a rate");
        assert_eq!((rate.requests, rate.burst, rate.by), (5, 5, By::User));
        let smaller = |line| layers(line).compression.map(|c| c.min_bytes);
        assert_eq!(smaller("compress = true"), Some(1024));
        assert_eq!(smaller("compress = false"), None);
        assert_eq!(smaller("compress.min = \"2KiB\""), Some(2048));
        let cors = layers("cors = \"HTTPS://App.example\"").cors.expect("cors");
        assert!(cors.allows("https://app.example") && !cors.credentials);
        let body = layers("body = \"5GiB\"").body_bytes;
        assert_eq!(body, Some(5 << 30));
        let access = layers("allow = \"10.0.0.0/8\"\nusers.ada = \"one\"\ntokens = { ci = \"t\" }");
        let access = access.access;
        assert_eq!(access.addresses.allow[0].to_string(), "10.0.0.0/8");
        assert_eq!(access.users[0].name, "ada");
        assert_eq!(access.tokens[0].secret.reveal(), "t");
        let path = "path = \"/api/v1/*\"\nstrip = \"/api/\"";
        assert_eq!(layers(path).strip.as_deref(), Some("/api"));
    }

    #[test]
    fn what_takes_longer_bodies_raises_the_servers_limit() {
        let text = "[server.s]\nlisten = \"http://:1\"\n\
            [[server.s.route]]\npath = \"/up/*\"\nservice.files = { root = \"up\", upload = true }\n\
            [[server.s.route]]\nservice = \"echo\"\n";
        let (plan, _) = parse("c", text).expect("a plan");
        assert_eq!(plan.servers[0].limits.http.body_bytes, 1 << 30);
        let Answers::Routes(routes) = &plan.servers[0].answers else {
            panic!("no routes");
        };
        let bodies: Vec<_> = routes.iter().map(|r| r.layers.body_bytes).collect();
        assert_eq!(bodies, [None, Some(16 << 20)]);
    }

    #[test]
    fn a_login_needs_accounts_and_a_store_somebody_who_remembers() {
        let edge = "[server.s]\nlisten = \"http://:1\"\n[[server.s.route]]\nservice = \"echo\"\n";
        let heard = |text: &str| match parse("c", text) {
            Ok((_, report)) | Err(report) => report.lines(),
        };
        assert_eq!(
            heard(&format!("{edge}require = \"login\"\n")),
            "c:5:11: nobody can log in here: there are no accounts"
        );
        let state = "[state]\nstore = \"sqlite:a.db\"\n";
        assert_eq!(heard(&format!("{state}{edge}require = \"login\"\n")), "");
        assert_eq!(
            heard(&format!("{state}{edge}")),
            "c:1:2: `state` has no effect: nothing here remembers anything"
        );
        assert_eq!(
            heard("[server.a]\nlisten = \"http://:1\"\nservice = \"api\"\n"),
            ""
        );
    }

    #[test]
    fn certificates_are_beside_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("bandy.toml");
        let text = "[server.s]\nlisten = \"tls://:1\"\nservice = \"echo\"\n\
                    tls = { cert = \"c.pem\", key = \"/k.pem\", client_ca = \"ca.pem\" }\n";
        std::fs::write(&file, text).expect("written");
        let (plan, report) = load(&file).expect("a plan");
        assert_eq!(report.diagnostics, []);
        let tls = &plan.servers[0].tls;
        let identity = Identity {
            cert: folder.path().join("c.pem"),
            key: "/k.pem".into(),
        };
        assert_eq!(tls.identity, Some(identity));
        assert_eq!(
            tls.clients,
            ClientAuth::Required(folder.path().join("ca.pem"))
        );
    }

    #[test]
    fn all_errors_come_at_once_in_the_order_of_the_file() {
        assert_eq!(
            said(
                "listen = [\"tcp://:1\", \"tcp://x\"]\nmodle = \"async\"\nservice.greet = 7\nlimits = { idle = \"5\", drain = \"none\" }\n"
            ),
            "c:2:23: `tcp://x` is not an endpoint: it names no port\n\
             c:3:1: server `s` has no key `modle`\n\
             c:4:17: `greet` takes a string, not a number\n\
             c:5:19: `5` is not a duration\n\
             c:5:32: `drain` cannot be none"
        );
    }

    #[test]
    fn a_syntax_error_does_not_hide_the_others() {
        assert_eq!(
            said("listen = [\"tcp://:1\"]\nmodel = async\nservice = \"ecko\"\nidle = 3s\n"),
            "c:3:9: a string must stand in quotes\n\
             c:4:11: there is no service `ecko`\n\
             c:5:1: server `s` has no key `idle`\n\
             c:5:8: a string must stand in quotes"
        );
        // And what it hides is not called missing.
        assert_eq!(
            said("service = \"ecko\"\nlisten = [\"tcp://:1\",\nmodel = \"async\"\n[server.t]\n"),
            "c:2:11: there is no service `ecko`\nc:3:10: this `[` is never closed"
        );
        assert_eq!(
            said("listen = [\"tcp://:1]\nmodel = \"x\"\nname\nservice = {\ndrain = \"1s\"\n"),
            "c:2:21: the string is never closed\n\
             c:3:9: `model` cannot be `x`\n\
             c:4:5: `name` has no value\n\
             c:5:11: this `{` is never closed\n\
             c:6:1: server `s` has no key `drain`"
        );
    }

    #[test]
    fn a_place_is_taken_once() {
        let twice = "listen = [\"tcp://:1\", \"tls://:1\", \"udp://:1\", \"tcp://:0\", \"tcp://:0\"]\nservice = \"echo\"\n";
        assert_eq!(
            said(twice),
            "c:2:23: `tls://127.0.0.1:1` and `tcp://127.0.0.1:1` are both TCP 127.0.0.1:1"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*|([a-z.]{1,8}( = )?[\\[\\]{}\"'=\n,é1-9:/ -]{0,6}){0,20}") {
            let _ = parse("c", &text).map_err(|r| r.lines());
        }

        #[test]
        fn no_broken_file_panics(at in 0..600_usize, length in 0..20_usize, with in "[\\[\\]{}\"'=\n,é]{0,2}") {
            let mut text = BROKEN_BELOW.to_owned();
            let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let place = |n: usize| boundaries[n.min(boundaries.len() - 1)];
            text.replace_range(place(at)..place(at + length), &with);
            if let Err(report) = parse("c", &text) {
                for d in &report.diagnostics {
                    if let diagnostic::Origin::File(span) = &d.primary.at {
                        prop_assert!(text.get(span.clone()).is_some(), "{d:?}");
                    }
                }
            }
        }
    }

    const BROKEN_BELOW: &str = r#"# é
[server.edge]
listen = ["tcp://:1", "tls://:2", "ws://[::1]:3/x"]
service.reply = { template = "{n} é {message}", pause = "none" }
model = "threads"
origins = ["https://app.example"]
tls = { cert = 'c.pem', key = """k.pem""", client_ca = "ca", clients = "optional" }
limits = { connections = 10, idle = "5m", message = "64KiB" }
[server.run]
listen = "unix://x.sock"
service.exec = { command = ["sh", "-c", "cat"], programs = 3 }
"#;
}
