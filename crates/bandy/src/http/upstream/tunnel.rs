//! After 101: bytes both ways until both ends have said everything.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;

use crate::error::Result;
use crate::net::Conn;
use crate::net::pump::Pump;

/// Moves bytes between two connections until each has ended its direction. `first` came from the backend already.
///
/// While nothing comes it owns no buffer. It is under the deadlines of `downstream`'s server, which sees the bytes of
/// both directions on that connection.
pub(crate) async fn tunnel(mut downstream: Conn, mut upstream: Conn, first: Bytes) -> Result<()> {
    if !first.is_empty() {
        let written = downstream.write_all(&first).await;
        written.map_err(|e| downstream.failed("writing to", e))?;
        drop(first);
    }
    let (mut up, mut down) = (Pump::default(), Pump::default());
    let (mut up_over, mut down_over) = (false, false);
    let ended = poll_fn(|cx| {
        if !up_over {
            match up.poll(cx, &mut (&mut downstream, &mut upstream)) {
                Poll::Ready(Ok(())) => up_over = true,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err((failed, true))),
                Poll::Pending => {}
            }
        }
        if !down_over {
            match down.poll(cx, &mut (&mut upstream, &mut downstream)) {
                Poll::Ready(Ok(())) => down_over = true,
                Poll::Ready(Err(failed)) => return Poll::Ready(Err((failed, false))),
                Poll::Pending => {}
            }
        }
        match up_over && down_over {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    });
    let ended = ended.await;
    ended.map_err(|(failed, is_up)| {
        use crate::net::pump::Failed::{Reading, Writing};
        // The reset of one side is the other's too.
        let at_downstream = matches!((&failed, is_up), (Reading(_), true) | (Writing(_), false));
        let (failed_at, other) = match at_downstream {
            true => (&downstream, &upstream),
            false => (&upstream, &downstream),
        };
        other.end_with_reset();
        failed.name(failed_at)
    })
}
