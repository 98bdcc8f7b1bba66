//! `bandy check`: whether a configuration file is right, without running it.

use bandy::config::{self, Failed, Plan, Report};
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

/// `bandy.toml is right: 2 servers`, and a line for each listener.
fn summary(plan: &Plan, found: &Report) -> String {
    let servers = match plan.servers.len() {
        1 => "1 server".to_owned(),
        n => format!("{n} servers"),
    };
    let mut text = format!("{}: {servers}, no errors\n", found.source.name);
    let width = |s: &config::Server| s.name.chars().count();
    let width = plan.servers.iter().map(width).max().unwrap_or(0);
    for server in &plan.servers {
        let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
        let (name, service) = (&server.name, &server.service);
        text.push_str(&format!(
            "  {name:width$}  {service:7}  {}\n",
            listen.join(" ")
        ));
    }
    text
}
