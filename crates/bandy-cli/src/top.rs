//! `bandy top`: what goes on in a running bandy, in the terminal.
//!
//! It reads `/status` of the admin endpoint. What the numbers come to is in `rates`, how they look in `screen` and, where
//! there is no terminal, in `table`.

mod ask;
mod rates;
mod screen;
mod status;
mod table;

use std::io::{self, IsTerminal};

use bandy::endpoint::Endpoint;
use bandy::error::{Error, Kind, Side};
use clap::Args;

use crate::exit::Code;
use crate::serve::ADMIN_TOKEN;
use crate::{report, serve};
use ask::Source;
use status::Status;

/// Watch a running bandy in the terminal
#[derive(Debug, Args)]
#[command(after_help = "\
It asks the admin endpoint, which `admin.listen` in the configuration or --admin opens. q ends it.
Without a terminal it prints one table.

Examples:
  bandy top                              the one at http://127.0.0.1:9901
  bandy top unix:///run/bandy.sock
  bandy top --json | jq .pools           what it says, once, for scripts")]
pub struct TopArgs {
    /// The admin endpoint
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:9901")]
    pub url: String,
    /// Print what it says once, as JSON
    #[arg(long)]
    pub json: bool,
    /// What the endpoint wants to be sent [default: BANDY_ADMIN_TOKEN]
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
}

/// Shows what goes on, until it is told to stop.
pub fn top(args: &TopArgs) -> Result<Code, Error> {
    let source = Source {
        endpoint: endpoint(&args.url)?,
        token: args.token.clone().or(std::env::var(ADMIN_TOKEN).ok()),
    };
    if args.json {
        let mut said = source.ask()?;
        said.push('\n');
        return report::result(&said);
    }
    let stdout = io::stdout();
    if !stdout.is_terminal() || !io::stdin().is_terminal() {
        return report::result(&table::of(&source.status()?));
    }
    // Before the screen is another: what cannot be reached at all is said as any error is.
    let first = source.status()?;
    let has_colour = report::takes_colour(&stdout);
    let shown = screen::show(source, first, has_colour);
    shown.map_err(|e| Error::new(Kind::Io, Side::Local, "drawing on the terminal").because(e))?;
    Ok(Code::Done)
}

/// `http://127.0.0.1:9901`, or `:9901`.
fn endpoint(text: &str) -> Result<Endpoint, Error> {
    let text = match serve::is_url(text) {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let parsed = text.parse::<Endpoint>();
    parsed.map_err(|e| {
        let hint = e.hint();
        report::usage("choosing what to watch", e.to_string(), hint)
    })
}
