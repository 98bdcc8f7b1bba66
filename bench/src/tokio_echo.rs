//! What one writes first with tokio: over TCP, the peer for latency, a task and a buffer per connection on the work-stealing runtime;
//! over UDP, a loop that receives one datagram and sends it back.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

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

/// Serves datagrams until it is killed.
pub fn serve_udp() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("starting tokio")?;
    runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0")
            .await
            .context("listening on udp://127.0.0.1:0")?;
        let at = socket.local_addr().context("asking which port was taken")?;
        println!("listening on udp://{at} (echo)");
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (got, peer) = socket.recv_from(&mut buffer).await.context("receiving")?;
            socket
                .send_to(&buffer[..got], peer)
                .await
                .context("sending")?;
        }
    })
}
