//! One large read buffer for each event loop, lent for the length of a poll.
//!
//! An idle connection owns no buffer: what arrives is read here, handed on at once, and only what the other side did
//! not take is copied into the connection. The size is worth a factor of two on bulk: each read costs a system call
//! whatever it brings.

use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes read at most by one system call.
pub(crate) const SCRATCH: usize = 256 * 1024;

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Room for what is read to be passed on; a new read has at least so much of it.
const BULK: usize = 512 * 1024;
const BULK_READ: usize = 128 * 1024;
/// What is shorter is copied, so that it does not keep all of what was read with it.
const SMALL: usize = 4 * 1024;

thread_local! {
    static BULK_BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Reads what is passed on as it is, without a copy. Nothing is the end.
///
/// The room is the thread's, and is used again once everything that was read in it is gone; what somebody still holds
/// by then keeps it, and the thread takes a new one.
pub(crate) fn poll_bulk<R: AsyncRead + Unpin>(
    mut from: Pin<&mut R>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    BULK_BUFFER.with_borrow_mut(|room| {
        if room.capacity() - room.len() < BULK_READ && !room.try_reclaim(BULK_READ) {
            *room = BytesMut::with_capacity(BULK);
        }
        let mut limited = (&mut *room).limit(SCRATCH);
        let len = ready!(pin!(from.read_buf(&mut limited)).poll(cx))?;
        Poll::Ready(Ok(match len < SMALL {
            true => {
                let copy = Bytes::copy_from_slice(room);
                room.clear();
                copy
            }
            false => room.split().freeze(),
        }))
    })
}

/// Lends the thread's buffer to `f`. Its content is whatever the last borrower left.
///
/// Never called inside itself; should it be, the inner call works on a buffer of its own.
pub(crate) fn with<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.is_empty() {
                // Zeroed pages come untouched from the system: a thread that reads little pays for little.
                *buffer = vec![0; SCRATCH];
            }
            f(&mut buffer)
        }
        Err(_) => f(&mut vec![0; 16 * 1024]),
    })
}

/// Lends a thread's empty buffer to put together what is written next. It keeps its capacity.
///
/// Never called inside itself; should it be, the inner call works on a buffer of its own.
pub(crate) fn out<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    OUT.with(|out| match out.try_borrow_mut() {
        Ok(mut out) => {
            out.clear();
            f(&mut out)
        }
        Err(_) => f(&mut Vec::new()),
    })
}
