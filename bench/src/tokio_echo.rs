//! The peer for latency: what one writes first with tokio, a task and a buffer per connection on the work-stealing runtime.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Serves until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_io()
        .build()
        .context("starting tokio")?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("listening on tcp://127.0.0.1:0")?;
        println!(
            "listening on tcp://{} (echo)",
            listener
                .local_addr()
                .context("asking which port was taken")?
        );
        loop {
            let (mut stream, _) = listener.accept().await.context("accepting")?;
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                // The peer is the judge of an error: it misses its answer.
                while let Ok(got @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..got]).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}
