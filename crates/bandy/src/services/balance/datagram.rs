//! Messages to messages: datagrams and WebSocket.

use super::stream::connected;
use crate::error::Result;
use crate::net::Conn;
use crate::pool::Pool;

/// Leases a backend, and passes on each message until one side has ended.
pub(super) async fn balance(pool: &Pool, mut conn: Conn) -> Result<()> {
    let (_lease, mut upstream) = connected(pool, &conn).await?;
    loop {
        tokio::select! {
            message = conn.recv() => match message? {
                Some(message) => upstream.send(message).await?,
                None => break,
            },
            message = upstream.recv() => match message? {
                Some(message) => conn.send(message).await?,
                None => break,
            },
        }
    }
    upstream.close().await;
    conn.finish().await
}
