//! The bandy program: both ends of the client-server conversation.
//!
//! One file a command; [`args`] has what was typed, and the library does the work. Only this crate prints or exits.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its user"
)]

mod args;
mod ask;
mod backup;
mod balance;
mod chat;
mod check;
mod completions;
mod control;
mod diagnostics;
mod exit;
mod load;
mod log;
mod models;
mod prompt;
mod reload;
mod report;
mod run;
mod running;
mod serve;
mod start;
mod store;
mod top;
mod trust;
mod user;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    // Before anything else can ask for TLS: without it, two providers in one program end in a panic at first use.
    bandy::net::tls::install_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `--help` and `--version` come this way too; clap knows which stream and which code.
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let log = log::start(&cli.log);
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Balance(args) => balance::balance(&args),
        Command::Top(args) => top::top(&args),
        Command::Ask(args) => ask::ask(*args),
        Command::Chat(args) => chat::chat(*args),
        Command::Load(args) => load::load(*args),
        Command::Models(args) => models::models(&args),
        Command::Trust(args) => trust::trust(&args).map(|()| exit::Code::Done),
        Command::Untrust(args) => trust::untrust(&args).map(|()| exit::Code::Done),
        Command::User(args) => user::user(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => completions::man(&args),
    };
    // Writes what is still in the queue, so that an error is the last line.
    drop(log);
    match done {
        Ok(code) => code.into(),
        Err(error) => {
            report::error(&error);
            exit::Code::of(&error).into()
        }
    }
}
