//! `bandy backup`: a copy of the store, taken while it is used.

use std::path::PathBuf;

use bandy::error::Error;
use clap::Args;

use crate::exit::Code;
use crate::report;
use crate::store::{self, StoreOption};

/// Copy the store into a file, also while a server uses it
#[derive(Debug, Args)]
#[command(after_help = "\
The copy is a store of its own, as of one moment, and readable by its owner only. To go back to it,
stop the server and put the copy in the store's place.

Examples:
  bandy backup bandy-monday.db
  bandy backup /backup/bandy.db --store sqlite:/var/lib/bandy/bandy.db
  bandy user list --store sqlite:bandy-monday.db")]
pub struct BackupArgs {
    /// The copy; one that is there is replaced when the new one is whole
    pub file: PathBuf,
    #[command(flatten)]
    pub store: StoreOption,
}

/// Runs `bandy backup`.
///
/// # Errors
/// What `Store::backup` refuses.
pub fn backup(args: &BackupArgs) -> Result<Code, Error> {
    let store = store::open(&args.store, false)?;
    store::block_on(async {
        let done = store.backup(&args.file).await;
        let closed = store.close().await;
        done.and(closed)
    })??;
    report::result(&format!("wrote {}\n", args.file.display()))
}
