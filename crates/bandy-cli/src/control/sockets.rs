//! Handing sockets to another process, and taking them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sockets that travel with one byte; the system allows 253.
pub const TOGETHER: usize = 64;
/// More are coming.
const MORE: u8 = b'+';
/// That was all.
const END: u8 = b'.';

/// Hands over some of them, [`TOGETHER`] at most; without any, says that those were all.
///
/// # Errors
/// The system's, `WouldBlock` among them on a stream that does not block.
pub fn hand(to: impl AsFd, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(TOGETHER))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let mark = [if sockets.is_empty() { END } else { MORE }];
    if !sockets.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(to, &[IoSlice::new(&mark)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes all that are handed over, on a stream that blocks.
///
/// # Errors
/// The system's; that the other side closed before it was done.
pub fn take(from: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::new();
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(TOGETHER))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut mark = [0];
        let parts = &mut [IoSliceMut::new(&mut mark)];
        let got = recvmsg(from.as_fd(), parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                all.extend(sockets);
            }
        }
        match (got.bytes, mark) {
            (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (_, [END]) => return Ok(all),
            (_, [MORE]) => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_handed_over_is_what_is_taken() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
        hand(&here, &[tcp.as_fd(), udp.as_fd()]).expect("handed");
        hand(&here, &[udp.as_fd()]).expect("handed");
        hand(&here, &[]).expect("ended");
        let taken = take(&there).expect("taken");
        assert_eq!(taken.len(), 3);
        let address = tcp.local_addr().expect("an address");
        drop(tcp);
        let mut taken = taken.into_iter();
        let tcp = TcpListener::from(taken.next().expect("the first"));
        assert_eq!(tcp.local_addr().expect("an address"), address);
    }

    #[test]
    fn who_breaks_off_has_handed_over_nothing() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
        hand(&here, &[udp.as_fd()]).expect("handed");
        drop(here);
        let error = take(&there).expect_err("not all");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
