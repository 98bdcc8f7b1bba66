//! The application server in a program of one's own, with its state in a file: `cargo run --example records`, then open
//! the page at the address that it prints.

use bandy::accounts::{self, Accounts};
use bandy::http::Http;
use bandy::services::api::{Api, Options};
use bandy::{Result, Server, state};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next();
    let listen = listen.as_deref().unwrap_or("http://127.0.0.1:8000");
    let store = arguments.next();
    let store = state::open(store.as_deref().unwrap_or("sqlite:records.db"))?;

    let accounts = Accounts::open(store.clone(), accounts::Options::default())?;
    let api = Api::new(Options::default(), store, accounts)?;
    Server::new(Http::new(api)).listen(listen)?.run()
}
