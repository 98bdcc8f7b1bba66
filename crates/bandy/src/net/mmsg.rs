//! Many datagrams in one system call: `recvmmsg(2)` and `sendmmsg(2)`.
//!
//! The one module with `unsafe` in it: the system wants structures that point at each other. A batch owns its
//! structures and what they point to in boxes that are made once and never moved or resized, so that the pointers hold
//! for as long as the batch lives.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use bytes::Bytes;
use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};

/// Datagrams for each system call.
pub(super) const BATCH: usize = 32;
/// The longest UDP payload is 65,527 bytes (IPv6 without extension headers).
const SLOT_BYTES: usize = 64 * 1024;
/// Room for one `in_pktinfo` or `in6_pktinfo` with its header, aligned as `cmsghdr` is.
const CONTROL_WORDS: usize = 8;

type Control = [usize; CONTROL_WORDS];

/// A datagram as it came.
pub(super) struct Received<'a> {
    pub(super) data: &'a [u8],
    pub(super) peer: SocketAddr,
    /// Which of our addresses it was sent to; known where the socket was told to say so.
    pub(super) to: Option<IpAddr>,
    /// It was longer than any buffer, and `data` is only its beginning.
    pub(super) truncated: bool,
}

/// A datagram to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) data: Bytes,
    pub(super) peer: SocketAddr,
    /// Which of our addresses it leaves from, where that is not the socket's own.
    pub(super) from: Option<IpAddr>,
}

/// Buffers for receiving.
pub(super) struct ReceiveBatch {
    buffers: Box<[u8]>,
    names: Box<[sockaddr_storage]>,
    controls: Box<[Control]>,
    /// Pointed at by `headers`, and only kept alive here.
    _slices: Box<[iovec]>,
    headers: Box<[mmsghdr]>,
    received: usize,
}

// SAFETY: the raw pointers in `headers` and `_slices` point into the boxes beside them, which move with the batch by
// their handle only: nothing they point at is shared with another thread.
unsafe impl Send for ReceiveBatch {}

impl ReceiveBatch {
    pub(super) fn new() -> ReceiveBatch {
        // Zeroed pages come untouched from the system: small datagrams touch one page of each slot.
        let mut buffers = vec![0u8; BATCH * SLOT_BYTES].into_boxed_slice();
        // SAFETY: `sockaddr_storage` is plain old data, for which all zeroes is a value.
        let mut names = vec![unsafe { zeroed::<sockaddr_storage>() }; BATCH].into_boxed_slice();
        let mut controls = vec![[0; CONTROL_WORDS]; BATCH].into_boxed_slice();
        let mut slices: Box<[iovec]> = buffers
            .chunks_exact_mut(SLOT_BYTES)
            .map(|slot| iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            })
            .collect();
        let headers = (names.iter_mut().zip(&mut controls).zip(&mut slices))
            .map(|((name, control), slice)| header(name, control, std::slice::from_mut(slice)))
            .collect();
        ReceiveBatch {
            buffers,
            names,
            controls,
            _slices: slices,
            headers,
            received: 0,
        }
    }

    /// Receives what is there, at most a batch, without waiting; gives how many.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // The system overwrote these lengths in the headers it used.
        for header in self.headers.iter_mut().take(self.received) {
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_hdr.msg_controllen = size_of::<Control>();
            header.msg_hdr.msg_flags = 0;
        }
        self.received = 0;
        // SAFETY: `headers` has BATCH entries, each pointing at a name, a control buffer and a slice of the stated
        // lengths, all owned by `self` and not borrowed elsewhere while `&mut self` is held.
        let n = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// A datagram of the last [`ReceiveBatch::receive`]; `None` beyond the last, and for one whose sender has no IP
    /// address.
    pub(super) fn get(&self, i: usize) -> Option<Received<'_>> {
        let header = self.headers.get(i).filter(|_| i < self.received)?;
        let slot = self.buffers.get(i * SLOT_BYTES..)?;
        Some(Received {
            data: slot.get(..(header.msg_len as usize).min(SLOT_BYTES))?,
            peer: from_storage(self.names.get(i)?)?,
            to: self
                .controls
                .get(i)
                .and_then(|c| packet_info(c, header.msg_hdr.msg_controllen)),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

/// Sends datagrams from the front of `queue`, at most a batch, without waiting; gives how many went.
///
/// With `runs`, datagrams of one length to one peer that follow each other pass through the system as one, which cuts
/// it up again at the end (`UDP_SEGMENT`, udp(7)): a third of the cost is gone. A system or an interface that cannot do
/// so refuses the whole batch.
///
/// # Errors
/// Those of the first datagram or run. One later in the batch is tried again, and reported, by the next call.
pub(super) fn send<'a>(
    socket: BorrowedFd<'_>,
    queue: impl Iterator<Item = &'a Outgoing>,
    runs: bool,
) -> io::Result<usize> {
    // Left uninitialised beyond what is used: most batches are short.
    let mut names = [const { MaybeUninit::<sockaddr_storage>::uninit() }; BATCH];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; BATCH];
    // SAFETY: plain old data, for which all zeroes is a value.
    let mut slices: [iovec; BATCH] = unsafe { zeroed() };
    let mut headers = [const { MaybeUninit::<mmsghdr>::uninit() }; BATCH];
    let mut lengths = [0usize; BATCH];
    let mut queue = queue.take(BATCH).peekable();
    let mut slices_left = &mut slices[..];
    let mut count = 0;
    let entries = names
        .iter_mut()
        .zip(&mut controls)
        .zip(&mut headers)
        .zip(&mut lengths);
    for (((name, control), header_at), length) in entries {
        let Some(first) = queue.next() else { break };
        let mut run = 1;
        if let Some(slice) = slices_left.first_mut() {
            *slice = slice_of(first);
        }
        while runs && first.is_run_with_next(run, queue.peek().copied()) {
            let (Some(next), Some(slice)) = (queue.next(), slices_left.get_mut(run)) else {
                break;
            };
            *slice = slice_of(next);
            run += 1;
        }
        // As many slices as datagrams were taken off the queue, which are at most BATCH.
        let Some((used, left)) = slices_left.split_at_mut_checked(run) else {
            break;
        };
        slices_left = left;
        let segment = if run > 1 {
            u16::try_from(first.data.len()).ok()
        } else {
            None
        };
        // SAFETY: plain old data, for which all zeroes is a value.
        let name = name.write(unsafe { zeroed() });
        let control = control.write([0; CONTROL_WORDS]);
        let mut header = header(name, control, used);
        header.msg_hdr.msg_namelen = into_storage(first.peer, name);
        header.msg_hdr.msg_controllen = set_control(control, first.from, segment);
        header_at.write(header);
        *length = run;
        count += 1;
    }
    // SAFETY: the first `count` headers are initialised and point at names, controls and slices on this stack frame;
    // the slices point at the queue's datagrams, which are borrowed for the length of this call, and which the system
    // only reads.
    let n = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
        )
    };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    Ok(lengths.iter().take(n).sum())
}

fn slice_of(outgoing: &Outgoing) -> iovec {
    iovec {
        iov_base: outgoing.data.as_ptr().cast_mut().cast(),
        iov_len: outgoing.data.len(),
    }
}

/// The longest datagram that takes part in a run: an Ethernet frame's payload less its headers. Bytes.
const SEGMENT_MAX: usize = 1400;

impl Outgoing {
    /// Whether `next` belongs to the run that begins with this datagram and has `run` of them already.
    fn is_run_with_next(&self, run: usize, next: Option<&Outgoing>) -> bool {
        let length = self.data.len();
        let fits =
            (1..=SEGMENT_MAX).contains(&length) && (run + 1) * length <= u16::MAX as usize / 2;
        next.is_some_and(|next| {
            fits && next.data.len() == length && next.peer == self.peer && next.from == self.from
        })
    }
}

/// Has the system say, with each datagram, which of our addresses it was sent to.
pub(super) fn ask_for_packet_info(socket: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    let (level, option) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let on: c_int = 1;
    // SAFETY: the option's value is a `c_int`, which lives for the length of the call and is as long as stated.
    let result = unsafe {
        let value: *const c_int = &raw const on;
        let len = size_of::<c_int>() as socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, value.cast(), len)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn header(name: &mut sockaddr_storage, control: &mut Control, slices: &mut [iovec]) -> mmsghdr {
    // SAFETY: `mmsghdr` is plain old data (musl's has private padding, hence not a literal); null pointers with zero
    // lengths are valid.
    let mut header: mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = std::ptr::from_mut(name).cast();
    header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
    header.msg_hdr.msg_iov = slices.as_mut_ptr();
    header.msg_hdr.msg_iovlen = slices.len();
    header.msg_hdr.msg_control = control.as_mut_ptr().cast();
    header.msg_hdr.msg_controllen = size_of::<Control>();
    header
}

fn from_storage(storage: &sockaddr_storage) -> Option<SocketAddr> {
    let at: *const sockaddr_storage = storage;
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: `sockaddr_storage` is as large and as aligned as every address; the family says which it is.
            let v4 = unsafe { &*at.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn into_storage(address: SocketAddr, storage: &mut sockaddr_storage) -> socklen_t {
    let at: *mut sockaddr_storage = storage;
    match address {
        SocketAddr::V4(v4) => {
            // SAFETY: `sockaddr_storage` is as large and as aligned as every address, and is zeroed: any view of it
            // as an address is initialised.
            let out = unsafe { &mut *at.cast::<libc::sockaddr_in>() };
            out.sin_family = libc::AF_INET as _;
            out.sin_port = v4.port().to_be();
            out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            size_of::<libc::sockaddr_in>() as socklen_t
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let out = unsafe { &mut *at.cast::<libc::sockaddr_in6>() };
            out.sin6_family = libc::AF_INET6 as _;
            out.sin6_port = v6.port().to_be();
            out.sin6_flowinfo = v6.flowinfo();
            out.sin6_addr.s6_addr = v6.ip().octets();
            out.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>() as socklen_t
        }
    }
}

/// A control buffer as the macros of cmsg(3) want it.
fn control_header(control: *mut c_void, len: usize) -> libc::msghdr {
    // SAFETY: `msghdr` is plain old data; null pointers with zero lengths are valid.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_control = control;
    header.msg_controllen = len;
    header
}

/// The destination address of a received datagram, out of its first control message.
fn packet_info(control: &Control, len: usize) -> Option<IpAddr> {
    let len = len.min(size_of::<Control>());
    let header = control_header(control.as_ptr().cast_mut().cast(), len);
    // SAFETY: `header` describes `len` bytes inside `control`, which is aligned for `cmsghdr`; nothing is written.
    // CMSG_FIRSTHDR gives null where `len` has no room for a header. The payload is read only if the message's own
    // length covers it, and unaligned, since the system promises no alignment for it.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        if first.is_null() {
            return None;
        }
        let payload = libc::CMSG_DATA(first);
        match ((*first).cmsg_level, (*first).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if covers::<libc::in_pktinfo>(&*first, len) => {
                let info = payload.cast::<libc::in_pktinfo>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)
                if covers::<libc::in6_pktinfo>(&*first, len) =>
            {
                let info = payload.cast::<libc::in6_pktinfo>().read_unaligned();
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

fn covers<T>(message: &libc::cmsghdr, len: usize) -> bool {
    // SAFETY: CMSG_LEN only computes.
    let needed = unsafe { libc::CMSG_LEN(size_of::<T>() as _) } as usize;
    message.cmsg_len >= needed && len >= needed
}

/// Writes the source address and the length of a run's segments as control messages; gives the length of the buffer's
/// used part.
fn set_control(control: &mut Control, from: Option<IpAddr>, segment: Option<u16>) -> usize {
    let mut used = 0;
    match from {
        Some(IpAddr::V4(ip)) => {
            let address = libc::in_addr {
                s_addr: u32::from(ip).to_be(),
            };
            let any = libc::in_addr { s_addr: 0 };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: any,
            };
            used += put_control(control, used, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        Some(IpAddr::V6(ip)) => {
            let address = libc::in6_addr {
                s6_addr: ip.octets(),
            };
            let info = libc::in6_pktinfo {
                ipi6_addr: address,
                ipi6_ifindex: 0,
            };
            used += put_control(control, used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
        None => {}
    }
    if let Some(segment) = segment {
        used += put_control(control, used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
    }
    used
}

/// Writes a control message `at` bytes into the buffer, if there is room; gives how many bytes it takes there.
fn put_control<T: Copy>(
    control: &mut Control,
    at: usize,
    level: c_int,
    kind: c_int,
    payload: T,
) -> usize {
    // SAFETY: CMSG_SPACE only computes.
    let space = unsafe { libc::CMSG_SPACE(size_of::<T>() as _) } as usize;
    let Some(room) = control.get_mut(at / size_of::<usize>()..) else {
        return 0;
    };
    if !at.is_multiple_of(size_of::<usize>()) || size_of_val(room) < space {
        return 0;
    }
    let header = control_header(room.as_mut_ptr().cast(), space);
    // SAFETY: `room` has at least `space` bytes and is aligned for `cmsghdr` as `usize` is, so CMSG_FIRSTHDR is its
    // beginning, and CMSG_DATA has room for a `T` behind it.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        (*first).cmsg_level = level;
        (*first).cmsg_type = kind;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<T>() as _) as _;
        libc::CMSG_DATA(first).cast::<T>().write_unaligned(payload);
    }
    space
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    #[test]
    fn a_batch_there_and_back() {
        let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let theirs = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let peer = ours.local_addr().expect("bound");
        let out: Vec<Outgoing> = (0..40u8)
            .map(|i| Outgoing {
                data: Bytes::from(vec![i; usize::from(i) * 100]),
                peer,
                from: None,
            })
            .collect();
        let sent = send(theirs.as_fd(), out.iter(), false).expect("room in the socket");
        assert_eq!(sent, BATCH, "one call sends one batch");
        let mut batch = ReceiveBatch::new();
        for _ in 0..2 {
            // Twice, because the second call runs on headers that the first one used.
            assert_eq!(batch.receive(ours.as_fd()).expect("they are there"), BATCH);
            for (i, out) in out.iter().take(BATCH).enumerate() {
                let got = batch.get(i).expect("received");
                assert_eq!(got.data, &out.data[..]);
                assert_eq!(got.peer, theirs.local_addr().expect("bound"));
                assert_eq!((got.to, got.truncated), (None, false));
            }
            assert!(batch.get(BATCH).is_none());
            send(theirs.as_fd(), out.iter(), false).expect("room in the socket");
        }
    }

    #[test]
    fn a_run_arrives_as_it_was_queued() {
        let ours = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let theirs = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let other = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let peers = [&ours, &other].map(|socket| socket.local_addr().expect("bound"));
        // Runs of different lengths and peers, an empty datagram, and one that is alone.
        let lengths = [64, 64, 64, 0, 0, 9, 64, 64, 1400, 1400, 1401, 1401, 64];
        let out: Vec<Outgoing> = (lengths.iter().enumerate())
            .map(|(i, length)| {
                let data = Bytes::from(vec![i as u8; *length]);
                Outgoing {
                    data,
                    peer: peers[usize::from(i == 7)],
                    from: None,
                }
            })
            .collect();
        let sent = send(theirs.as_fd(), out.iter(), true).expect("loopback takes runs");
        assert_eq!(sent, out.len());
        let mut batch = ReceiveBatch::new();
        let n = batch.receive(ours.as_fd()).expect("they are there");
        let got: Vec<&[u8]> = (0..n)
            .filter_map(|i| batch.get(i))
            .map(|d| d.data)
            .collect();
        let expected: Vec<&[u8]> = out
            .iter()
            .filter(|o| o.peer == peers[0])
            .map(|o| &o.data[..])
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn addresses_survive_the_way_through_storage() {
        for text in ["1.2.3.4:5", "[2001:db8::1]:65535"] {
            let address: SocketAddr = text.parse().expect("an address");
            // SAFETY: plain old data.
            let mut storage = unsafe { zeroed() };
            into_storage(address, &mut storage);
            assert_eq!(from_storage(&storage), Some(address));
        }
    }

    #[test]
    fn packet_info_reads_what_it_writes() {
        for text in ["127.0.0.9", "::1"] {
            let ip: IpAddr = text.parse().expect("an address");
            let mut control = [0; CONTROL_WORDS];
            let len = set_control(&mut control, Some(ip), None);
            assert!(len <= size_of::<Control>());
            let with_run = set_control(&mut [0; CONTROL_WORDS], Some(ip), Some(64));
            assert!(
                with_run > len && with_run <= size_of::<Control>(),
                "both fit"
            );
            match ip {
                // The system writes where it came to, we write where it leaves from: other fields for IPv4.
                IpAddr::V4(_) => assert_eq!(
                    packet_info(&control, len),
                    Some("0.0.0.0".parse().expect("ip"))
                ),
                IpAddr::V6(_) => assert_eq!(packet_info(&control, len), Some(ip)),
            }
            assert_eq!(
                packet_info(&control, 3),
                None,
                "a cut control message is not read"
            );
        }
    }
}
