//! Who serves the rooms: Bandy by its protocols, and its peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::speech::Speech;
use crate::machine::{self, Placement};
use crate::running::{Ready, Running};
use crate::stable::{Stable, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Over WebSocket in JSON, remembering in memory: as it comes.
    Bandy,
    /// The same on both cores, which the generator shares.
    BandyOnAll,
    /// The same with its log in a file: nobody hears anything before the disk has it.
    BandyDurable,
    /// Over IRC, as ngircd.
    BandyIrc,
    Ngircd,
    Redis,
}

impl Subject {
    pub const ALL: [Subject; 6] = [
        Subject::Bandy,
        Subject::BandyDurable,
        Subject::BandyIrc,
        Subject::Ngircd,
        Subject::Redis,
        Subject::BandyOnAll,
    ];

    /// As `--only` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Bandy => "bandy",
            Subject::BandyOnAll => "bandy-all-cores",
            Subject::BandyDurable => "bandy-sqlite",
            Subject::BandyIrc => "bandy-irc",
            Subject::Ngircd => "ngircd",
            Subject::Redis => "redis",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Subject::Bandy => "WebSocket JSON, in memory",
            Subject::BandyOnAll => "the same, both cores",
            Subject::BandyDurable => "the same, on disk first",
            Subject::BandyIrc | Subject::Ngircd => "IRC",
            Subject::Redis => "pub/sub",
        }
    }

    pub fn speech(self) -> Speech {
        match self {
            Subject::Bandy | Subject::BandyOnAll | Subject::BandyDurable => Speech::Json,
            Subject::BandyIrc | Subject::Ngircd => Speech::Irc,
            Subject::Redis => Speech::Resp,
        }
    }

    pub fn is_bandy(self) -> bool {
        !matches!(self, Subject::Ngircd | Subject::Redis)
    }

    /// What is missing, where something is.
    pub fn missing(self) -> Option<&'static str> {
        let (program, package) = match self {
            Subject::Ngircd => ("ngircd", "ngircd: not installed (Debian's package ngircd)"),
            Subject::Redis => (
                "redis-server",
                "redis: not installed (Debian's package redis-server)",
            ),
            _ => return None,
        };
        (!machine::is_installed(program, "--version")).then_some(package)
    }

    pub fn version(self) -> Option<String> {
        match self {
            Subject::Ngircd => Some(machine::version("ngircd", &["--version"], "ngIRCd")),
            Subject::Redis => Some(machine::version("redis-server", &["--version"], "v=")),
            _ => None,
        }
    }

    pub fn start(self, stable: &Stable) -> Result<Running> {
        let placement = match self {
            Subject::BandyOnAll => Placement::AllCores,
            _ => Placement::OneCore,
        };
        stable.start_with(self.name(), placement, |dir, port| match self {
            Subject::Bandy | Subject::BandyOnAll => bandy(stable, "ws", None),
            Subject::BandyDurable => bandy(stable, "ws", Some(&new_store(dir)?)),
            Subject::BandyIrc => bandy(stable, "irc", None),
            Subject::Ngircd => ngircd(dir, port),
            Subject::Redis => Ok(redis(port)),
        })
    }
}

/// With the pace of people taken off, and all else as it comes.
pub fn bandy(stable: &Stable, scheme: &str, store: Option<&Path>) -> Result<(Command, Ready)> {
    let mut command = stable.bandy_itself()?;
    command.args(["serve", "chat"]);
    command.arg(format!("{scheme}://127.0.0.1:0"));
    command.args(["--pace", "none"]);
    if let Some(store) = store {
        command.args(["--store", &format!("sqlite:{}", store.display())]);
    }
    Ok((command, Ready::SaysSo))
}

/// Where a store is to be that is not there yet.
pub fn new_store(dir: &Path) -> Result<PathBuf> {
    let store = dir.join("chat.db");
    for end in ["", "-wal", "-shm"] {
        let mut name = store.clone().into_os_string();
        name.push(end);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", name.to_string_lossy()));
            }
            _ => {}
        }
    }
    Ok(store)
}

fn ngircd(dir: &Path, port: u16) -> Result<(Command, Ready)> {
    let conf = dir.join("ngircd.conf");
    let text = include_str!("../../peers/ngircd.conf").replace("@PORT@", &port.to_string());
    write(&conf, &text)?;
    let mut command = Command::new("ngircd");
    command.arg("-n").arg("-f").arg(conf);
    Ok((command, Ready::AcceptsAt(port)))
}

fn redis(port: u16) -> (Command, Ready) {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no", "--maxclients", "20000"]);
    (command, Ready::AcceptsAt(port))
}
