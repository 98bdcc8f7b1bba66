//! The application server in a program of one's own: accounts, records, a page, with what it remembers in memory.
//!
//! ```console
//! $ cargo run -p bandy --example records http://:8000
//! ```

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use bandy::accounts::{self, Accounts};
use bandy::http::Http;
use bandy::services::api::{Api, Options};
use bandy::{Result, Server, state};

fn main() -> Result<()> {
    // `sqlite:records.db` is there tomorrow as well.
    let store = state::open("memory:")?;
    let accounts = Accounts::open(store.clone(), accounts::Options::default())?;
    let api = Api::new(Options::default(), store, accounts)?;

    let mut server = Server::new(Http::new(api));
    for url in std::env::args().skip(1) {
        server = server.listen(&url)?;
    }
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint}");
    }
    running.wait()
}
