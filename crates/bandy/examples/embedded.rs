//! A server inside a tokio program that has other things to do: bounded, and ended by the program.
//!
//! ```console
//! $ cargo run -p bandy --example embedded
//! ```

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::time::Duration;

use bandy::services::echo::Echo;
use bandy::{Limits, Result, Server, connect};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // The server has threads of its own: it answers whatever this program's runtime is busy with.
    let running = Server::new(Echo)
        .named("embedded", "echo")
        .listen("tcp://127.0.0.1:0")?
        .listen("mem://echo")?
        .limits(Limits {
            connections: 100,
            idle: Some(Duration::from_secs(60)),
            drain: Duration::from_millis(200),
            ..Limits::default()
        })
        .start()?;
    println!("listening on {}", running.endpoint());

    for endpoint in running.endpoints() {
        let mut messages = connect(endpoint).await?.messages();
        messages.send("Hello").await?;
        let answer = messages.next().await?.unwrap_or_default();
        println!("{} answered {answer:?}", endpoint.scheme());
        messages.close().await;
    }

    // One that goes on: it is waited for until the drain deadline, and then cut.
    let mut going_on = connect(running.endpoint()).await?.messages();
    going_on.send("Still there?").await?;
    going_on.next().await?;
    let cut = running.drain().await;
    println!("stopped, {cut} cut");
    Ok(())
}
