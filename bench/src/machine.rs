//! The machine under the numbers: which core runs what, how many files may be open, and what to write above a table.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Which cores a process may run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// The server's own core, away from the generator.
    OneCore,
    /// Every core there is, the generator's among them.
    AllCores,
    /// The generator's core: where the backend of a balancer is.
    Generators,
}

/// The cores this process was given, shared out.
pub struct Cores {
    all: CpuSet,
    server: CpuSet,
    generator: CpuSet,
    /// False on a machine of one core, where generator and server take turns.
    pub apart: bool,
}

impl Cores {
    /// The first core for the server, the second for the generator, which this thread becomes.
    pub fn share_out() -> Result<Cores> {
        let all = sched_getaffinity(None).context("asking which cores may be used")?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let Some(first) = usable.next() else {
            bail!("asking which cores may be used: none")
        };
        let second = usable.next();
        let only = |core| {
            let mut set = CpuSet::new();
            set.set(core);
            set
        };
        let cores = Cores {
            all,
            server: only(first),
            generator: only(second.unwrap_or(first)),
            apart: second.is_some(),
        };
        cores.become_generator()?;
        Ok(cores)
    }

    /// Runs `start` on the cores of `placement`: a process started there inherits them, before its first instruction.
    pub fn on<T>(&self, placement: Placement, start: impl FnOnce() -> T) -> Result<T> {
        let set = match placement {
            Placement::OneCore => &self.server,
            Placement::AllCores => &self.all,
            Placement::Generators => &self.generator,
        };
        sched_setaffinity(None, set).context("moving to the server's cores")?;
        let started = start();
        self.become_generator()?;
        Ok(started)
    }

    fn become_generator(&self) -> Result<()> {
        sched_setaffinity(None, &self.generator).context("moving to the generator's core")
    }
}

/// Raises the limit of open files for this process and those it starts. Returns the limit reached.
pub fn raise_file_limit(wanted: u64) -> Result<u64> {
    let now = getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX);
    // Only root may raise the hard limit; when refused, the hard limit as it is may still do.
    let raised = Rlimit {
        current: Some(wanted),
        maximum: Some(wanted),
    };
    if hard < wanted && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(wanted);
    }
    let soft = wanted.min(hard);
    if now.current.is_some_and(|current| current < soft) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(soft),
                maximum: now.maximum,
            },
        )
        .with_context(|| format!("raising the limit of open files to {soft}"))?;
    }
    Ok(soft)
}

/// Set by SIGINT and SIGTERM; every loop looks at it, so that children are ended on the way out. A second signal ends at once.
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn install() -> Result<Interrupt> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&flag))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
                .context("listening for signals")?;
        }
        Ok(Interrupt(flag))
    }

    pub fn raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn check(&self) -> Result<()> {
        if self.raised() {
            bail!("interrupted")
        } else {
            Ok(())
        }
    }
}

/// One line: CPU, cores, memory, kernel, distribution.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let memory_kib: u64 = value(&meminfo, "MemTotal", ':')
        .and_then(|total| total.trim_end_matches("kB").trim().parse().ok())
        .unwrap_or(0);
    format!(
        "{}, {} cores, {} GiB, Linux {}, {}",
        value(&cpuinfo, "model name", ':').unwrap_or("unknown CPU"),
        cpuinfo
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count(),
        (memory_kib + (1 << 19)) >> 20,
        release.trim(),
        value(&os, "PRETTY_NAME", '=')
            .unwrap_or("unknown distribution")
            .trim_matches('"'),
    )
}

/// The first line that `program ARGS` prints and that holds a version, or why there is none.
pub fn version(program: &str, args: &[&str], holding: &str) -> String {
    let Ok(output) = Command::new(program).args(args).output() else {
        return "not installed".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .find(|line| line.contains(holding))
        .unwrap_or("unknown version")
        .trim()
        .to_owned()
}

pub fn is_installed(program: &str, argument: &str) -> bool {
    version(program, &[argument], "") != "not installed"
}

fn value<'a>(text: &'a str, key: &str, separator: char) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "model\t\t: 1\nmodel name\t: Some CPU: fast\n";
        assert_eq!(value(text, "model name", ':'), Some("Some CPU: fast"));
        assert_eq!(value(text, "name", ':'), None);
    }

    #[test]
    fn a_missing_program_is_said_so() {
        assert_eq!(
            version("bandy-bench-no-such-program", &[], ""),
            "not installed"
        );
    }
}
