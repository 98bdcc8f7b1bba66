//! `bandy serve`: one server from the command line.
//!
//! It writes the configuration that a file would hold, and from there goes the file's way.

use bandy::config::diagnostic::Origin;
use bandy::config::raw::{Config, Data, Table};
use bandy::error::Error;
use bandy::services::Spec;

use crate::args::{AdminOptions, HttpOptions, LimitOptions, ServeArgs, TlsOptions};
use crate::exit::Code;
use crate::{report, start};

/// Serves one thing.
pub fn serve(args: &ServeArgs) -> Result<Code, Error> {
    start::from_arguments("serve", &written(args)?, args.print_config)
}

/// The configuration that the arguments mean.
fn written(args: &ServeArgs) -> Result<Config, Error> {
    let said = Said::sort(args)?;
    let name = args.name.as_ref().unwrap_or(&args.service);
    let mut config = Config::default();
    let mut server = Table::default();
    let url = flag("URL");
    server.set(&["listen"], Data::texts(&said.urls, &url), url.clone());
    write_service(&mut server, args, &said);
    write_options(
        &mut server,
        &args.model,
        &args.tls,
        &args.limits,
        &args.http,
    );
    let origin = flag(if args.name.is_some() {
        "--name"
    } else {
        "SERVICE"
    });
    write_admin(&mut config.root, &args.admin);
    write_state(&mut config.root, args);
    config
        .root
        .set(&["server", name], Data::Table(server), origin);
    Ok(config)
}

/// Where it remembers, and who may.
fn write_state(root: &mut Table, args: &ServeArgs) {
    let options = &args.service_options;
    if let Some(store) = &options.store {
        root.set(&["state", "store"], store.as_str(), flag("--store"));
    }
    if options.no_registration {
        let path = &["accounts", "registration"];
        root.set(path, Data::Boolean(false), flag("--no-registration"));
    }
}

/// Where it can be looked after, and who may. What is said here stands before what a file says.
pub fn write_admin(root: &mut Table, options: &AdminOptions) {
    let Some(url) = &options.admin else { return };
    root.set(&["admin", "listen"], url.as_str(), flag("--admin"));
    match (&options.admin_token, std::env::var(ADMIN_TOKEN)) {
        (Some(token), _) => root.set(&["admin", "token"], token.as_str(), flag("--admin-token")),
        (None, Ok(token)) => root.set(&["admin", "token"], token, flag(ADMIN_TOKEN)),
        (None, Err(_)) => {}
    }
}

/// The environment's variable for the admin endpoint's token: on the command line everybody on the machine reads it.
pub const ADMIN_TOKEN: &str = "BANDY_ADMIN_TOKEN";

pub fn flag(name: &str) -> Origin {
    Origin::Flag(name.to_owned())
}

/// `service = "echo"`, `service.greet = "Hello"`, or with more options `service.reply = { … }`.
fn write_service(server: &mut Table, args: &ServeArgs, said: &Said) {
    let name = args.service.as_str();
    let given = &args.service_options;
    let mut options = Table::default();
    let texts = [
        (
            "text",
            "TEXT",
            said.text.as_ref().filter(|_| name == "greet"),
        ),
        (
            "template",
            "TEMPLATE",
            said.text.as_ref().filter(|_| name == "reply"),
        ),
        ("text", "--text", given.text.as_ref()),
        ("template", "--template", given.template.as_ref()),
    ];
    for (key, origin, value) in texts {
        if let Some(value) = value {
            options.set(&[key], value.as_str(), flag(origin));
        }
    }
    if !args.command.is_empty() {
        let command = Data::texts(&args.command, &flag("CMD"));
        options.set(&["command"], command, flag("CMD"));
    }
    if let Some(pause) = &given.pause {
        options.set(&["pause"], Data::from_flag(pause), flag("--pause"));
    }
    if let Some(programs) = &given.programs {
        options.set(&["programs"], Data::from_flag(programs), flag("--programs"));
    }
    let texts = [
        ("root", "--root", &given.root),
        ("cache_control", "--cache-control", &given.cache_control),
        ("room", "--room", &given.room),
        ("create", "--create", &given.create),
        ("welcome", "--welcome", &given.welcome),
    ];
    for (key, origin, value) in texts {
        if let Some(value) = value {
            options.set(&[key], value.as_str(), flag(origin));
        }
    }
    if let Some(max) = &given.upload_max {
        options.set(&["upload_max"], Data::from_flag(max), flag("--upload-max"));
    }
    let quantities = [
        ("pace", "--pace", &given.pace),
        ("history", "--history", &given.history),
    ];
    for (key, origin, value) in quantities {
        if let Some(value) = value {
            options.set(&[key], Data::from_flag(value), flag(origin));
        }
    }
    let switches = [
        ("listing", "--no-listing", given.no_listing, false),
        ("hidden", "--hidden", given.hidden, true),
        ("upload", "--upload", given.upload, true),
        ("delete", "--delete", given.delete, true),
        ("testing", "--no-testing", given.no_testing, false),
        ("guests", "--no-guests", given.no_guests, false),
    ];
    for (key, origin, is_given, value) in switches {
        if is_given {
            options.set(&[key], Data::Boolean(value), flag(origin));
        }
    }
    let service = flag("SERVICE");
    match (options.0.as_slice(), name) {
        ([], _) => server.set(&["service"], name, service),
        // One that can be written without its name.
        ([(key, value)], "greet" | "reply" | "exec" | "files")
            if matches!(key.name.as_str(), "text" | "template" | "command" | "root") =>
        {
            server.set(&["service", name], value.data.clone(), value.origin.clone());
        }
        _ => server.set(&["service", name], Data::Table(options), service),
    }
}

/// What every server can be told.
pub fn write_options(
    server: &mut Table,
    model: &Option<String>,
    tls: &TlsOptions,
    limits: &LimitOptions,
    http: &HttpOptions,
) {
    let texts = [
        (&["model"][..], "--model", model),
        (&["tls", "cert"], "--cert", &tls.cert),
        (&["tls", "key"], "--key", &tls.key),
        (&["tls", "client_ca"], "--client-ca", &tls.client_ca),
        (&["tls", "clients"], "--clients", &tls.clients),
        (&["limits", "overload"], "--overload", &limits.overload),
    ];
    for (path, origin, value) in texts {
        if let Some(value) = value {
            server.set(path, value.as_str(), flag(origin));
        }
    }
    if !tls.origin.is_empty() {
        let origin = flag("--origin");
        let origins = Data::texts(&tls.origin, &origin);
        server.set(&["origins"], origins, origin);
    }
    let quantities = [
        ("connections", "--connections", &limits.connections),
        ("handshake", "--handshake", &limits.handshake),
        ("idle", "--idle", &limits.idle),
        ("lifetime", "--lifetime", &limits.lifetime),
        ("drain", "--drain", &limits.drain),
        ("message", "--message", &limits.message),
        ("flows", "--flows", &limits.flows),
        ("flow_idle", "--flow-idle", &limits.flow_idle),
        ("flow_queue", "--flow-queue", &limits.flow_queue),
        ("head", "--head", &http.head),
        ("keep_alive", "--keep-alive", &http.keep_alive),
        ("head_size", "--head-size", &http.head_size),
        ("target", "--target", &http.target),
        ("fields", "--fields", &http.fields),
        ("body", "--body", &http.body),
        ("body_rate", "--body-rate", &http.body_rate),
        ("body_grace", "--body-grace", &http.body_grace),
        ("send", "--send", &http.send),
        ("requests", "--requests", &http.requests),
        ("streams", "--streams", &http.streams),
    ];
    for (key, origin, value) in quantities {
        if let Some(value) = value {
            server.set(&["limits", key], Data::from_flag(value), flag(origin));
        }
    }
}

/// The positional arguments, told apart.
struct Said {
    urls: Vec<String>,
    /// greet's text or reply's template, where no flag gives it.
    text: Option<String>,
}

impl Said {
    fn sort(args: &ServeArgs) -> Result<Said, Error> {
        let service = args.service.as_str();
        let act = format!("serving `{}`", service.escape_debug());
        if is_url(service) {
            let hint = format!("bandy serve echo {service}");
            return Err(report::usage(
                act,
                "the service stands before the URLs",
                hint,
            ));
        }
        if service == "balance" {
            let hint = "bandy balance http://:8080 --to http://:5001 --to http://:5002";
            return Err(report::usage(
                act,
                "balancing is a command of its own",
                hint,
            ));
        }
        let options = &args.service_options;
        let (what, by_flag) = match service {
            "greet" => ("TEXT", options.text.is_some()),
            "reply" => ("TEMPLATE", options.template.is_some()),
            _ => ("", true),
        };
        let mut said = Said {
            urls: Vec::new(),
            text: None,
        };
        if !Spec::NAMES.contains(&service) {
            // What the other arguments are is not known; the check says that there is no such service.
            said.urls = args.urls.iter().filter(|a| is_url(a)).cloned().collect();
        } else if what.is_empty() || by_flag {
            // Whatever is no URL is a URL that is wrong, and the check says how.
            said.urls = args.urls.clone();
        } else {
            let (urls, texts): (Vec<_>, Vec<_>) =
                args.urls.iter().cloned().partition(|a| is_url(a));
            said.urls = urls;
            said.text = one_text(service, what, texts)?;
        }
        if service == "exec" && args.command.is_empty() {
            let hint =
                "put the program behind two dashes: bandy serve exec tcp://:9000 -- ./handler.py";
            return Err(report::usage(act, "no program is given", hint));
        }
        if said.urls.is_empty() && Spec::NAMES.contains(&service) {
            let sample = match &said.text {
                Some(text) => format!("{text:?} "),
                None => String::new(),
            };
            let rest = match service {
                "exec" => "tcp://:7000 -- CMD",
                "files" => "http://:8000 --root DIR",
                "api" => "http://:8000",
                "chat" => "http://:8001 tcp://:7001",
                _ => "tcp://:7000",
            };
            let hint = format!("bandy serve {service} {sample}{rest}");
            return Err(report::usage(act, "no URL says where", hint));
        }
        Ok(said)
    }
}

/// The one argument that is no URL.
fn one_text(service: &str, what: &str, texts: Vec<String>) -> Result<Option<String>, Error> {
    let act = format!("serving `{service}`");
    let sample = match service {
        "greet" => "\"Hello\"",
        _ => "\"Server received: {message}\"",
    };
    match <[String; 1]>::try_from(texts) {
        Ok([text]) => Ok(Some(text)),
        Err(texts) if texts.is_empty() => {
            let why = format!("no {what} is given");
            let hint = format!("bandy serve {service} {sample} tcp://:7000");
            Err(report::usage(act, why, hint))
        }
        Err(texts) => {
            let quoted: Vec<String> = texts
                .iter()
                .map(|t| format!("`{}`", t.escape_debug()))
                .collect();
            let why = format!(
                "{} are no URLs, and only one can be the {what}",
                quoted.join(" and ")
            );
            let hint =
                "quote a text with spaces, and write URLs with their scheme, as in tcp://:7000";
            Err(report::usage(act, why, hint))
        }
    }
}

/// Whether an argument is meant as an endpoint: `scheme://…` or `unix:…`, right or wrong.
pub fn is_url(argument: &str) -> bool {
    let is_scheme = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    match argument.split_once("://") {
        Some((scheme, _)) => is_scheme(scheme),
        None => argument.starts_with("unix:"),
    }
}
