//! `bandy reload`: tells the bandy that runs a file to read it again, or to make room for a new process.

use std::path::PathBuf;

use bandy::config::{self, Failed};
use bandy::error::Error;
use clap::Args;

use crate::control::{Asked, asking};
use crate::exit::Code;
use crate::{diagnostics, report};

/// Have the bandy that runs a configuration file read it again
#[derive(Debug, Args)]
#[command(after_help = "\
What is the same in the file is not touched. A server that was changed keeps its sockets, and what it has
begun goes on. A file that is wrong changes nothing. SIGHUP does the same, and the log says what came of it.

Examples:
  bandy reload                   read ./bandy.toml again
  bandy reload --upgrade         start this program anew, in place of the one that runs: nobody is refused")]
pub struct ReloadArgs {
    /// The configuration file, as it was given to `bandy run`
    #[arg(default_value = "bandy.toml")]
    pub file: PathBuf,
    /// Have a new process take the listening sockets over; the old one lets its conversations finish
    #[arg(long)]
    pub upgrade: bool,
}

/// Reloads.
pub fn reload(args: &ReloadArgs) -> Result<Code, Error> {
    // Looked at here first: what is wrong with it is shown as `bandy check` does.
    match config::load(&args.file) {
        Ok((_, found)) => diagnostics::print(&found),
        Err(Failed::Unread(error)) => return Err(error),
        Err(Failed::Invalid(found)) => {
            diagnostics::print(&found);
            return Ok(Code::Usage);
        }
    }
    let what = match args.upgrade {
        true => Asked::Upgrade,
        false => Asked::Reload,
    };
    let answer = asking::ask(&args.file, what)?;
    if answer.code == Code::Done as u8 {
        return report::result(&answer.said);
    }
    report::say(format_args!("bandy: {}", answer.said.trim_end()));
    if let Some(hint) = answer.hint {
        report::say(format_args!("  try: {hint}"));
    }
    Ok(match answer.code {
        code if code == Code::Usage as u8 => Code::Usage,
        _ => Code::Other,
    })
}
