//! A process as `/proc` shows it (proc(5)).

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process of this machine, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub u32);

impl Process {
    /// Whether it runs; one that has ended and was not waited for does not.
    pub fn is_alive(self) -> bool {
        self.stat()
            .is_some_and(|stat| !matches!(stat.first().map(String::as_str), Some("Z" | "X")))
    }

    /// The CPU time that it used, in both modes, all its threads together. In steps of 10 ms.
    pub fn cpu_time(self) -> Duration {
        let stat = self.stat().expect("a process");
        let ticks = |i: usize| stat[i].parse::<u64>().expect("a number");
        // Fields 14 and 15, of which the first two are not in `stat`. A tick is 10 ms (USER_HZ is 100 on Linux).
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// The memory that it occupies, in bytes.
    pub fn memory_bytes(self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("a process");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().next());
        1024 * kib.expect("VmRSS").parse::<u64>().expect("a number")
    }

    /// How many file descriptors it has open.
    pub fn open_files(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .expect("a process")
            .count()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(self, signal: Signal) {
        let pid = Pid::from_raw(self.0.cast_signed()).expect("a process number");
        kill_process(pid, signal).expect("a process to signal");
    }

    /// What follows the name in `/proc/PID/stat`; the name can hold anything, also blanks and parentheses.
    fn stat(self) -> Option<Vec<String>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        let (_, after) = stat.rsplit_once(')')?;
        Some(after.split_whitespace().map(str::to_owned).collect())
    }
}

/// Whether the process of this number runs.
pub fn is_alive(pid: u32) -> bool {
    Process(pid).is_alive()
}
