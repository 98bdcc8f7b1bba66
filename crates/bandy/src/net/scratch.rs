//! One large read buffer for each event loop, lent for the length of a poll.
//!
//! An idle connection owns no buffer: what arrives is read here, handed on at once, and only what the other side did
//! not take is copied into the connection. The size is worth a factor of two on bulk: each read costs a system call
//! whatever it brings.

use std::cell::RefCell;

/// Bytes read at most by one system call.
pub(crate) const SCRATCH: usize = 256 * 1024;

thread_local! {
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
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
