//! What a member costs who only listens, while nobody speaks: the server's anonymous memory over 10,000 of them in one room.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::crowd::Crowd;
use super::speech::Speech;
use super::subject::Subject;
use crate::machine::Interrupt;
use crate::proc;
use crate::stable::Stable;

#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    pub members: usize,
    pub base_bytes: u64,
    /// Bytes above the base for each.
    pub each: f64,
}

pub fn measure(stable: &Stable, members: usize, interrupt: &Interrupt) -> Result<Idle> {
    let server = Subject::Bandy.start(stable)?;
    // One member first: what a server allocates once, for its first, is not any member's.
    drop(Crowd::gather(
        Speech::Json,
        server.address,
        1,
        0,
        interrupt,
    )?);
    let base_bytes = settled(server.pid())?;
    let crowd = Crowd::gather(Speech::Json, server.address, members, 0, interrupt)?;
    let bytes = settled(server.pid())?;
    drop(crowd);
    Ok(Idle {
        members,
        base_bytes,
        each: bytes.saturating_sub(base_bytes) as f64 / members as f64,
    })
}

/// Memory, once two looks agree, or after five seconds.
fn settled(pid: u32) -> Result<u64> {
    let mut last = proc::anon_of_all(pid)?;
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(100));
        let now = proc::anon_of_all(pid)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}
