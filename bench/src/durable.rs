//! Writes that are acknowledged when they are on disk: `POST /records/bench` by 100 clients, each with one request at a time.
//!
//! Beside the answers stand two numbers that say how they came about: what the disk itself can do, one write and one fdatasync after
//! the other; and how many transactions the store committed, as its own index of the write-ahead log counts them. More answers than
//! commits means that commits were shared.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::ask;
use crate::http::WARM_UP;
use crate::machine::Interrupt;
use crate::running::Running;
use crate::sample::{Counting, Sample, Window};
use crate::wrk;

pub const CLIENTS: usize = 100;
const TARGET: &str = "/records/bench";
const BLOCK: usize = 4 << 10;
/// The probe's file is written over and over, as a log is that has been checkpointed.
const BLOCKS: u64 = 256;
const PROBE: Duration = Duration::from_secs(1);

/// One round.
#[derive(Clone, Debug, Serialize)]
pub struct Durable {
    pub sample: Sample,
    /// None where the store has no index that tells.
    pub commits_per_second: Option<f64>,
    /// Of the disk alone, just before.
    pub syncs_per_second: f64,
}

/// One round against one running server, whose store is at `store`; `script` tells wrk what to send.
pub fn measure(
    server: &Running,
    store: &Path,
    script: &Path,
    syncs_per_second: f64,
    window: Window,
    interrupt: &Interrupt,
) -> Result<Durable> {
    let fields = check(server)?;
    let url = format!("http://{}{TARGET}", server.address);
    let request = wrk::Request {
        url: &url,
        fields: &fields,
        script: Some(script),
    };
    wrk::run(&request, CLIENTS, WARM_UP, interrupt).context("warming up")?;
    let before = commits(store);
    let counting = Counting::open(server.pid())?;
    let load = wrk::run(&request, CLIENTS, window.count, interrupt)?;
    let sample = counting.close_over(&load)?;
    let committed = before
        .zip(commits(store))
        .map(|(before, after)| after.wrapping_sub(before));
    ensure!(
        committed != Some(0),
        "counting commits: {} writes were acknowledged and none committed",
        load.requests
    );
    Ok(Durable {
        sample,
        commits_per_second: committed.map(|count| f64::from(count) / load.seconds),
        syncs_per_second,
    })
}

/// Writes one record by hand, with a session if there must be one. Returns the fields that it takes.
fn check(server: &Running) -> Result<Vec<String>> {
    let body = br#"{"n":1,"text":"the first"}"#;
    let mut fields = Vec::new();
    let mut answer = None;
    for _ in 0..2 {
        let mut all: Vec<String> = fields.clone();
        all.push("Content-Type: application/json".to_owned());
        let now = ask::ask(server.address, "POST", TARGET, &all, body)?;
        if matches!(now.status, 401 | 403) && fields.is_empty() {
            fields.push(ask::log_in(server.address)?);
            continue;
        }
        answer = Some(now);
        break;
    }
    let answer = answer.context("asking POST: no answer")?;
    ensure!(
        answer.status == 201,
        "asking POST {TARGET}: the server says {}",
        answer.words()
    );
    Ok(fields)
}

/// How many blocks a second the disk under `dir` takes, each on it before the next is written.
pub fn syncs_per_second(dir: &Path, interrupt: &Interrupt) -> Result<f64> {
    let path = dir.join("probe");
    let rate = probe(&path, interrupt).with_context(|| format!("probing {}", path.display()));
    let _ = fs::remove_file(&path);
    rate
}

fn probe(path: &Path, interrupt: &Interrupt) -> Result<f64> {
    let block = [0x5a; BLOCK];
    let mut file = File::create(path)?;
    for _ in 0..BLOCKS {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    let since = Instant::now();
    let mut syncs = 0_u64;
    while since.elapsed() < PROBE {
        interrupt.check()?;
        file.seek(SeekFrom::Start(syncs % BLOCKS * BLOCK as u64))?;
        file.write_all(&block)?;
        file.sync_data()?;
        syncs += 1;
    }
    Ok(syncs as f64 / since.elapsed().as_secs_f64())
}

/// The transactions that SQLite has committed to the store's write-ahead log, modulo 2^32.
pub fn commits(store: &Path) -> Option<u32> {
    let mut name = store.as_os_str().to_owned();
    name.push("-shm");
    parse_index(&fs::read(name).ok()?)
}

/// <https://www.sqlite.org/walformat.html>: the index begins with its version, an unused word and iChange, "incremented with each
/// transaction"; all in the machine's own order of bytes.
fn parse_index(bytes: &[u8]) -> Option<u32> {
    const VERSION: u32 = 3_007_000;

    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (word(0)? == VERSION).then(|| word(8))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_the_log_counts_transactions() {
        let index = [3_007_000_u32, 0, 3001, 1].map(u32::to_ne_bytes).concat();
        assert_eq!(parse_index(&index), Some(3001));
        assert_eq!(parse_index(&index[..8]), None);
        assert_eq!(parse_index(&[0; 48]), None);
    }
}
