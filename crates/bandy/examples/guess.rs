//! A game with state of both sorts: a number for each connection, and a score that all of them share.
//!
//! ```console
//! $ cargo run -p bandy --example guess tcp://:7100 ws://:7101
//! ```

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use bandy::{Conn, Result, Server, Service};

/// One value answers every player at once, so what it remembers it keeps behind its own synchronisation.
#[derive(Default)]
struct Guess {
    games_won: AtomicU32,
}

impl Service<Conn> for Guess {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        let secret = RandomState::new().hash_one(0) % 100 + 1;
        let mut tries = 0;
        let mut player = conn.messages();
        player.send("Guess my number, from 1 to 100").await?;
        while let Some(line) = player.next().await? {
            let Ok(guess) = String::from_utf8_lossy(&line).trim().parse::<u64>() else {
                player.send("That is not a number").await?;
                continue;
            };
            tries += 1;
            if guess == secret {
                let won = self.games_won.fetch_add(1, Relaxed) + 1;
                let end = format!("Yes! You took {tries}. Games won here so far: {won}");
                player.send(end).await?;
                break;
            }
            let hint = if guess < secret { "More" } else { "Less" };
            player.send(hint).await?;
        }
        player.close().await;
        Ok(())
    }
}

fn main() -> Result<()> {
    let mut server = Server::new(Guess::default()).named("guess", "guess");
    for url in std::env::args().skip(1) {
        server = server.listen(&url)?;
    }
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!("listening on {endpoint}");
    }
    running.wait()
}
