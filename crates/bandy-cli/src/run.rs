//! `bandy run`: what a configuration file declares.

use bandy::config;
use bandy::error::Error;

use crate::args::RunArgs;
use crate::exit::Code;
use crate::running::File;
use crate::serve::write_admin;
use crate::{diagnostics, start};

/// Runs a configuration file.
pub fn run(args: &RunArgs) -> Result<Code, Error> {
    match config::load_with(&args.file, |root| write_admin(root, &args.admin)) {
        Ok((plan, report)) => {
            diagnostics::print(&report);
            let file = File {
                path: args.file.clone(),
                watch: args.watch,
                take_over: args.take_over,
                admin: args.admin.clone(),
            };
            start::start(plan, Some(file))
        }
        Err(config::Failed::Unread(error)) => Err(error),
        Err(config::Failed::Invalid(report)) => {
            diagnostics::print(&report);
            Ok(Code::Usage)
        }
    }
}
