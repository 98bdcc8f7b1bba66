//! `bandy check`: whether a configuration file is right, without running it.

use bandy::config::{self, Failed, Plan, Report, Server};
use bandy::error::Error;

use crate::args::CheckArgs;
use crate::exit::Code;
use crate::{diagnostics, report};

/// Checks a configuration file.
pub fn check(args: &CheckArgs) -> Result<Code, Error> {
    let (plan, found) = match config::load(&args.file) {
        Ok((plan, found)) => (Some(plan), found),
        Err(Failed::Invalid(found)) => (None, found),
        Err(Failed::Unread(error)) => return Err(error),
    };
    if args.json {
        let mut text = diagnostics::json(&found, plan.as_ref().filter(|_| args.print));
        text.push('\n');
        report::result(&text)?;
    } else {
        diagnostics::print(&found);
        match &plan {
            Some(plan) if args.print => report::result(&plan.to_toml())?,
            Some(plan) => report::result(&summary(plan, &found))?,
            None => Code::Usage,
        };
    }
    Ok(match plan {
        Some(_) => Code::Done,
        None => Code::Usage,
    })
}

/// `bandy.toml: 2 servers, no errors`, and a line for each server.
fn summary(plan: &Plan, found: &Report) -> String {
    let servers = match plan.servers.len() {
        1 => "1 server".to_owned(),
        n => format!("{n} servers"),
    };
    let mut text = format!("{}: {servers}, no errors\n", found.source.name);
    let widest = |width: fn(&Server) -> usize| plan.servers.iter().map(width).max().unwrap_or(0);
    let names = widest(|s| s.name.len());
    let services = widest(|s| s.answers.name().len());
    for server in &plan.servers {
        let (name, service) = (&server.name, server.answers.name());
        let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
        let listen = listen.join(" ");
        text.push_str(&format!("  {name:names$}  {service:services$}  {listen}\n"));
    }
    text
}
