//! What a process has used, as /proc tells it.
//!
//! CPU comes from `schedstat`, which counts nanoseconds: `stat` counts ticks of 10 ms. `schedstat` is kept per thread and forgets
//! threads that ended, so a measured window must begin and end with the same threads; every subject here keeps its threads and
//! processes for as long as its connections last. Children that were reaped are added from `stat`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// User memory of one process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Anonymous pages now: heap and stacks. Neither code nor the kernel's socket buffers.
    pub anon_bytes: u64,
    /// The highest resident size so far.
    pub peak_bytes: u64,
}

/// CPU time, user and system, of a process and everything that descends from it.
pub fn cpu(root: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for pid in tree(root)? {
        // A process that ended since the list was made has nothing left to read; the root must be there.
        match cpu_of(pid) {
            Ok(time) => total += time,
            Err(error) if pid == root => return Err(error),
            Err(_) => {}
        }
    }
    Ok(total)
}

/// CPU time of this process alone, without the servers it started.
pub fn own_cpu() -> Result<Duration> {
    cpu_of(std::process::id())
}

/// CPU time that the whole machine has spent on anything, all cores together.
pub fn machine_cpu() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    parse_machine(&text)
        .map(ticks)
        .context("understanding /proc/stat")
}

/// User memory of `pid` alone.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    parse_memory(&status).with_context(|| format!("finding RssAnon and VmHWM in {path}"))
}

/// Anonymous memory of `root` and its descendants: a server may do its work in a process that it started.
pub fn anon_of_all(root: u32) -> Result<u64> {
    of_all(root, |pid| Ok(memory(pid)?.anon_bytes))
}

/// How many files `root` and its descendants have open.
pub fn open_files(root: u32) -> Result<u64> {
    of_all(root, |pid| {
        let path = format!("/proc/{pid}/fd");
        let files = fs::read_dir(&path).with_context(|| format!("listing {path}"))?;
        Ok(files.count() as u64)
    })
}

/// A process that ended since the list was made has nothing left to count; the root must be there.
fn of_all(root: u32, count: impl Fn(u32) -> Result<u64>) -> Result<u64> {
    let mut total = 0;
    for pid in tree(root)? {
        match count(pid) {
            Ok(more) => total += more,
            Err(error) if pid == root => return Err(error),
            Err(_) => {}
        }
    }
    Ok(total)
}

/// `root` and its descendants, parents before children.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").context("listing /proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        if let Some(stat) = parse_stat(&stat) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        if let Some(born) = children.remove(&found[next]) {
            found.extend(born);
        }
        next += 1;
    }
    Ok(found)
}

fn cpu_of(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let stat = parse_stat(&text).with_context(|| format!("understanding {path}"))?;
    let reaped = ticks(stat.reaped_ticks);
    match threads_cpu(pid)? {
        Some(live) => Ok(live + reaped),
        None => Ok(ticks(stat.own_ticks) + reaped),
    }
}

/// None where the kernel keeps no schedstat.
fn threads_cpu(pid: u32) -> Result<Option<Duration>> {
    let path = format!("/proc/{pid}/task");
    let mut total = None;
    for thread in fs::read_dir(&path)
        .with_context(|| format!("listing {path}"))?
        .flatten()
    {
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        if let Some(time) = parse_schedstat(&text) {
            *total.get_or_insert(Duration::ZERO) += time;
        }
    }
    Ok(total)
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs_f64(count as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own_ticks: u64,
    reaped_ticks: u64,
}

/// The name in parentheses may hold spaces and parentheses itself: what follows the last one is fields 3 and on of proc_pid_stat(5).
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(field(4)?).ok()?,
        own_ticks: field(14)? + field(15)?,
        reaped_ticks: field(16)? + field(17)?,
    })
}

/// Time on a CPU, time waiting for one, slices: the first is what we want.
fn parse_schedstat(text: &str) -> Option<Duration> {
    let on_cpu = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(on_cpu))
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal, and guest time that user already counts.
fn parse_machine(text: &str) -> Option<u64> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields
        .split_ascii_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let busy = |index: &usize| ticks.get(*index).copied();
    [0, 1, 2, 5, 6, 7].iter().map(busy).sum()
}

fn parse_memory(status: &str) -> Option<Memory> {
    let kib = |name: &str| -> Option<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some(Memory {
        anon_bytes: kib("RssAnon")? * 1024,
        peak_bytes: kib("VmHWM")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_hostile_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 0 0 11 22 33 44 20 0 1 0 100 5 6";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                parent: 7,
                own_ticks: 33,
                reaped_ticks: 77
            })
        );
        assert_eq!(parse_stat("42 (cut off"), None);
        assert_eq!(parse_stat("42 (short) S 7"), None);
    }

    #[test]
    fn schedstat_counts_nanoseconds_on_the_cpu() {
        assert_eq!(
            parse_schedstat("255543 17 3\n"),
            Some(Duration::from_nanos(255_543))
        );
        assert_eq!(parse_schedstat(""), None);
    }

    #[test]
    fn the_machine_is_busy_with_all_but_idling() {
        let text = "cpu  1 20 300 7 9 4000 50000 600000 5 5\ncpu0 1 1 1 1\n";
        assert_eq!(parse_machine(text), Some(654_321));
        assert_eq!(parse_machine("cpu  1 2 3\n"), None);
    }

    #[test]
    fn memory_is_found_among_its_neighbours() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 9 kB\nRssAnon:\t     100 kB\nRssFile:\t 3 kB\n";
        assert_eq!(
            parse_memory(status),
            Some(Memory {
                anon_bytes: 102_400,
                peak_bytes: 2_097_152
            })
        );
        assert_eq!(parse_memory("VmHWM: 1 kB\n"), None);
    }

    #[test]
    fn this_process_has_used_something() -> Result<()> {
        let pid = std::process::id();
        assert!(tree(pid)?.contains(&pid));
        assert!(memory(pid)?.peak_bytes > 0);
        assert!(open_files(pid)? >= 3);
        assert!(cpu(pid)? > Duration::ZERO);
        Ok(())
    }
}
