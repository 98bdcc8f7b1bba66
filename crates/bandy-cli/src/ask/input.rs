//! What is said when it comes from stdin: chunks of bytes as they come, read by a thread that waits when nobody takes
//! them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use bandy::client::Script;
use bandy::error::{Error, Kind, Side};
use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks that wait to be sent.
const CHUNKS: usize = 4;

/// A script of stdin's bytes.
///
/// # Errors
/// What the system says of stdin.
pub fn stdin_chunks() -> Result<Script, Error> {
    stdin().map(Script::chunks)
}

/// Stdin's bytes.
///
/// # Errors
/// What the system says of stdin.
pub fn stdin() -> Result<mpsc::Receiver<io::Result<Bytes>>, Error> {
    // Not `io::stdin()`: it would copy everything through a buffer of its own.
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => Ok(chunks(File::from(fd))),
        Err(e) => Err(Error::new(Kind::Io, Side::Local, "opening stdin").because(e)),
    }
}

/// Whether stdin is a file, a pipe or a socket: something that was put there to be read.
pub fn is_redirected() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(io::stdin().as_fd()).is_ok_and(|stat| {
        let kind = FileType::from_raw_mode(stat.st_mode);
        matches!(
            kind,
            FileType::RegularFile | FileType::Fifo | FileType::Socket
        )
    })
}

/// A file's bytes as they come.
pub fn chunks(mut file: File) -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    // The thread is never joined: a read of a terminal may never return.
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = match file.read(&mut chunk) {
                Ok(0) => return,
                Ok(n) => {
                    chunk.truncate(n);
                    Ok(chunk.into())
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let is_last = read.is_err();
            if sender.blocking_send(read).is_err() || is_last {
                return;
            }
        }
    });
    chunks
}
