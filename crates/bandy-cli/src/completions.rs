//! `bandy completions` and `bandy man`: made from the definitions that parse the command line.

use bandy::error::{Error, Kind, Side};
use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit::Code;
use crate::report;

/// Prints a shell's completion script.
pub fn completions(args: &CompletionsArgs) -> Result<Code, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bandy", &mut script);
    report::result(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the program or of one command.
pub fn man(args: &ManArgs) -> Result<Code, Error> {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            // `build` has made its name `bandy-serve`, as manual pages are called.
            Some(command) => command.clone(),
            None => {
                let names: Vec<&str> = program.get_subcommands().map(|c| c.get_name()).collect();
                return Err(report::usage(
                    format!("printing the manual page of `{}`", name.escape_debug()),
                    "there is no such command",
                    format!("one of {}", names.join(", ")),
                ));
            }
        },
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|e| Error::new(Kind::Other, Side::Local, "making the manual page").because(e))?;
    report::result(&String::from_utf8_lossy(&page))
}
