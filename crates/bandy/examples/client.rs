//! The asking end: says each argument to an endpoint, and prints each answer.
//!
//! ```console
//! $ cargo run -p bandy --example client tls://:7101 Hello "How are you?"
//! ```

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use bandy::error::{Error, Kind, Side};
use bandy::{Endpoint, Result, connect};

/// Says one thing after the other, and gives the answers.
async fn ask(endpoint: &Endpoint, questions: &[String]) -> Result<Vec<String>> {
    // TLS and WebSocket handshakes are part of it: the URL says whether there are any.
    let mut messages = connect(endpoint).await?.messages();
    let mut answers = Vec::new();
    for question in questions {
        messages.send(question).await?;
        match messages.next().await? {
            Some(answer) => answers.push(String::from_utf8_lossy(&answer).into_owned()),
            None => break,
        }
    }
    messages.close().await;
    Ok(answers)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_default();
    let endpoint = url.parse().map_err(|e| usage().because(e))?;
    let questions: Vec<String> = arguments.collect();
    for answer in ask(&endpoint, &questions).await? {
        println!("{answer}");
    }
    Ok(())
}

fn usage() -> Error {
    Error::new(Kind::Usage, Side::Local, "choosing whom to ask").hint("client URL [QUESTION]...")
}
