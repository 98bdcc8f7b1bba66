//! The store that a command works on, and the runtime that it does so in.

use std::future::Future;
use std::sync::Arc;

use bandy::error::{Error, Kind, Side};
use bandy::state::{self, Location, Store};
use clap::Args;

use crate::report;

/// Where the store is when nothing says otherwise.
const DEFAULT: &str = "sqlite:bandy.db";

#[derive(Debug, Clone, Args)]
pub struct StoreOption {
    /// The store, as in sqlite:/srv/bandy.db [default: sqlite:bandy.db]
    #[arg(long, global = true, value_name = "STORE")]
    pub store: Option<String>,
}

/// Opens the store. Where there is none it is made only if that is what the command is for: a mistyped
/// path is not an empty store.
///
/// # Errors
/// What `bandy::state::open` refuses; a store that is not there, or would not outlast the command.
pub fn open(option: &StoreOption, may_create: bool) -> Result<Arc<dyn Store>, Error> {
    let text = option.store.as_deref().unwrap_or(DEFAULT);
    let act = || format!("opening the store {text}");
    match text.parse()? {
        Location::Memory => Err(report::usage(
            act(),
            "what is in memory ends with this command",
            "--store sqlite:PATH names one in a file",
        )),
        Location::Sqlite(path) if !may_create && !path.exists() => Err(report::usage(
            act(),
            "there is no such file",
            "--store sqlite:PATH names another one",
        )),
        _ => state::open(text),
    }
}

/// Runs what waits for the store.
///
/// # Errors
/// When the system has no room for an event loop.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
    Ok(runtime.block_on(work))
}
