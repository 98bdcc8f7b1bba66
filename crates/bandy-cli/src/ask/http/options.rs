//! The options of `bandy ask` that are about HTTP.

use std::path::PathBuf;

use bandy::http::client::Version;
use clap::{Args, ValueEnum};

use super::output::Pretty;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub struct HttpOptions {
    /// Show the whole exchange: on stderr all but the answer's body
    #[arg(short, long)]
    pub verbose: bool,
    /// Print the answer's head instead of its body
    #[arg(long, conflicts_with_all = ["download", "json"])]
    pub head: bool,
    /// Send the items as a form; with files in it as multipart/form-data
    #[arg(short, long)]
    pub form: bool,
    /// Send the items as multipart/form-data
    #[arg(long)]
    pub multipart: bool,
    /// Follow redirects, 10 at most
    #[arg(short = 'F', long)]
    pub follow: bool,
    /// Keep cookies under this name, for the next time
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Who asks, by password (Basic)
    #[arg(short, long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    pub auth: Option<String>,
    /// Who asks, by token
    #[arg(long, value_name = "TOKEN")]
    pub bearer: Option<String>,
    /// Save the answer's body as a file; the same command again goes on where it broke off
    #[arg(short, long, conflicts_with = "json")]
    pub download: bool,
    /// The file to save it as [default: as the server or the URL names it]
    #[arg(short, long, value_name = "FILE", requires = "download")]
    pub output: Option<PathBuf>,
    /// Speak 1.1 or 2 only [default: with TLS what the server prefers, else 1.1]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    pub http: Option<Version>,
    /// How text is shown: all, format, colors or none [default: all on a terminal, else none]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    pub pretty: Option<PrettyChoice>,
    /// Print the curl command that asks the same, and ask nothing
    #[arg(long)]
    pub curl: bool,
}

/// `--pretty`, as HTTPie has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrettyChoice {
    All,
    Format,
    #[value(alias = "colours")]
    Colors,
    None,
}

impl PrettyChoice {
    pub fn pretty(self) -> Pretty {
        Pretty {
            format: matches!(self, PrettyChoice::All | PrettyChoice::Format),
            colour: matches!(self, PrettyChoice::All | PrettyChoice::Colors),
        }
    }
}

/// A version of HTTP, as it is typed.
pub fn version(text: &str) -> Result<Version, String> {
    match text {
        "1.1" | "1" => Ok(Version::Http1),
        "2" | "2.0" => Ok(Version::Http2),
        _ => Err("1.1 and 2 are spoken".to_owned()),
    }
}

impl HttpOptions {
    /// The first of them that is given, for endpoints that are not HTTP.
    pub fn given(&self) -> Option<&'static str> {
        let options = [
            ("--verbose", self.verbose),
            ("--head", self.head),
            ("--form", self.form),
            ("--multipart", self.multipart),
            ("--follow", self.follow),
            ("--session", self.session.is_some()),
            ("--auth", self.auth.is_some()),
            ("--bearer", self.bearer.is_some()),
            ("--download", self.download),
            ("--http", self.http.is_some()),
            ("--pretty", self.pretty.is_some()),
            ("--curl", self.curl),
        ];
        let mut given = options.into_iter().filter(|(_, is_given)| *is_given);
        given.next().map(|(option, _)| option)
    }
}
