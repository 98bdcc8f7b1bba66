//! A service of one's own, wherever the URLs on the command line say:
//!
//! ```console
//! $ cargo run -p bandy --example shout tcp://:7100 tls://:7101 ws://:7102/shout
//! ```

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use bandy::{Conn, Result, Server, service_fn};

async fn shout(conn: Conn) -> Result<()> {
    let mut messages = conn.messages();
    while let Some(message) = messages.next().await? {
        messages.send(message.to_ascii_uppercase()).await?;
    }
    messages.close().await;
    Ok(())
}

fn main() -> Result<()> {
    let mut server = Server::new(service_fn(shout));
    for url in std::env::args().skip(1) {
        server = server.listen(&url)?;
    }
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint}");
    }
    running.wait()
}
