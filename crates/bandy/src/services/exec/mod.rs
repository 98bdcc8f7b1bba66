//! A program for each connection or request, its standard input and output being what is said.
//!
//! `streams` has connections: on a stream bytes pass as they are; on WebSocket a message is a line of the program's input,
//! and a line of its output a message. `cgi` has requests, as CGI/1.1 (RFC 3875) has them. `family` is what both stand
//! on: what a program writes to standard error goes to the log, and it runs in a process group of its own, which ends as
//! a whole when nobody is there any more for whom it runs.

mod cgi;
mod family;
mod streams;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};
use crate::net::conn::Peer;
use crate::net::tls;
use family::Started;

/// The exec service. A clone of it runs its programs under the same limit.
#[derive(Debug, Clone)]
pub struct Exec {
    program: Arc<str>,
    arguments: Arc<[String]>,
    places: Arc<Semaphore>,
    programs: usize,
    wait: Duration,
    silence: Duration,
}

impl Exec {
    /// The default of [`Exec::wait`].
    pub const WAIT: Duration = Duration::from_secs(5);
    /// The default of [`Exec::silence`].
    pub const SILENCE: Duration = Duration::from_secs(60);

    /// Runs `command` (a program and its arguments; no shell is between) for each connection or request, at most
    /// `programs` at once.
    ///
    /// # Errors
    /// That the command is empty, or there is no such program.
    pub fn new(command: &[String], programs: usize) -> Result<Exec> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::new(
                Kind::Usage,
                Side::Local,
                "the exec service needs a command",
            ));
        };
        find(program)?;
        let places = Arc::new(Semaphore::new(programs));
        Ok(Exec {
            program: program.as_str().into(),
            arguments: arguments.into(),
            places,
            programs,
            wait: Exec::WAIT,
            silence: Exec::SILENCE,
        })
    }

    /// How long a request waits for one of the programs to end when as many run as may; then it is answered with 503. A
    /// connection does not wait.
    pub fn wait(mut self, wait: Duration) -> Exec {
        self.wait = wait;
        self
    }

    /// How long a program may take, once it has a request, to the end of its answer's header; then the request is
    /// answered with 504.
    pub fn silence(mut self, silence: Duration) -> Exec {
        self.silence = silence;
        self
    }

    /// A place under the limit, if there is one now.
    fn place(&self) -> Result<OwnedSemaphorePermit> {
        let place = self.places.clone().try_acquire_owned();
        place.map_err(|_| self.is_full())
    }

    fn is_full(&self) -> Error {
        let act = format!("starting {}", self.program);
        Error::new(Kind::Overload, Side::Local, act)
            .because(format!("{} of them run already", self.programs))
            .hint("raise the service's `programs`")
    }

    /// Starts the program, in the environment that `describe` adds to.
    fn start(
        &self,
        place: OwnedSemaphorePermit,
        describe: impl FnOnce(&mut Command),
    ) -> Result<Started> {
        let mut command = Command::new(&*self.program);
        command.args(&*self.arguments);
        describe(&mut command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Started::spawn(command, self.program.clone(), place)
    }
}

/// What the program may want to know of whom it talks to.
fn describe(command: &mut Command, peer: &Peer, endpoint: &Endpoint, tls: Option<&tls::Info>) {
    // What was inherited is not about this peer.
    for name in [
        "BANDY_PEER_IP",
        "BANDY_PEER_PORT",
        "BANDY_PEER_PID",
        "BANDY_TLS_VERSION",
        "BANDY_TLS_SUBJECT",
        "BANDY_TARGET",
    ] {
        command.env_remove(name);
    }
    command.env("BANDY_PEER", peer.to_string());
    command.env("BANDY_ENDPOINT", endpoint.to_string());
    command.env("BANDY_SCHEME", endpoint.scheme().as_str());
    if let Peer::Ip(address) = peer {
        command.env("BANDY_PEER_IP", address.ip().to_string());
        command.env("BANDY_PEER_PORT", address.port().to_string());
    }
    if let Peer::Unix { pid: Some(pid), .. } = peer {
        command.env("BANDY_PEER_PID", pid.to_string());
    }
    if let Some(tls) = tls {
        command.env("BANDY_TLS_VERSION", tls.version);
        if let Some(certificate) = &tls.peer_certificate {
            command.env("BANDY_TLS_SUBJECT", &certificate.subject);
        }
    }
    if !endpoint.target().is_empty() {
        command.env("BANDY_TARGET", endpoint.target());
    }
}

/// Looks where the system will look, so that a missing program is said at start and not to the first client.
fn find(program: &str) -> Result<()> {
    let is_runnable = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        path.metadata()
            .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    };
    let found = if program.contains('/') {
        is_runnable(Path::new(program))
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| is_runnable(&folder.join(program)))
    };
    if found {
        return Ok(());
    }
    let missing = !program.contains('/') || !Path::new(program).exists();
    Err(Error::new(
        Kind::Usage,
        Side::Local,
        format!("looking for the program {program}"),
    )
    .because(if missing {
        "there is none"
    } else {
        "it is not executable"
    })
    .hint(if missing {
        "give a path (./handler.py), or a program that PATH leads to"
    } else {
        "make it executable (chmod +x) and give it a first line such as #!/usr/bin/env python3"
    }))
}
