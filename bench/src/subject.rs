//! The servers under test: how each is started, found and ended.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine::{self, Cores, Placement};
use crate::proc;

const START_WAIT: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Bandy,
    CEpoll,
    CUdp,
    Asyncio,
    Threaded,
    TokioMt,
    Socat,
    Ncat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A server and the cores it may use: what one row of a table is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    pub server: Server,
    pub placement: Placement,
}

impl Server {
    pub const ALL: [Server; 8] = [
        Server::Bandy,
        Server::CEpoll,
        Server::Asyncio,
        Server::Threaded,
        Server::TokioMt,
        Server::Socat,
        Server::Ncat,
        Server::CUdp,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Server::Bandy => "bandy",
            Server::CEpoll => "c-epoll",
            Server::CUdp => "c-udp",
            Server::Asyncio => "asyncio",
            Server::Threaded => "threaded",
            Server::TokioMt => "tokio-mt",
            Server::Socat => "socat",
            Server::Ncat => "ncat",
        }
    }

    pub fn on_one_core(self) -> Subject {
        Subject {
            server: self,
            placement: Placement::OneCore,
        }
    }

    pub fn on_all_cores(self) -> Subject {
        Subject {
            server: self,
            placement: Placement::AllCores,
        }
    }

    /// socat and ncat fork for each connection: a thousand would measure fork, not echo.
    pub fn connections_max(self) -> usize {
        match self {
            Server::Socat | Server::Ncat => 50,
            Server::Threaded => 1_000,
            _ => usize::MAX,
        }
    }
}

impl Subject {
    pub fn label(self) -> String {
        match self.placement {
            Placement::OneCore => self.server.name().to_owned(),
            Placement::AllCores => format!("{} (all cores)", self.server.name()),
        }
    }
}

/// Where the programs are, built and found once.
pub struct Stable {
    cores: Cores,
    dir: PathBuf,
    bandy: Option<PathBuf>,
    bandy_args: Vec<String>,
    python: Option<String>,
    socat: bool,
    ncat: bool,
}

impl Stable {
    /// Compiles the C peers and looks for the others. `bandy` None leaves Bandy out.
    pub fn open(cores: Cores, bandy: Option<PathBuf>, bandy_args: Vec<String>) -> Result<Stable> {
        if let Some(path) = bandy.as_deref().filter(|path| !path.is_file()) {
            bail!(
                "looking for the program under test at {}: no such file; build it with `cargo build --release -p bandy-cli`, name it with --bandy, or leave it out with --without-bandy",
                path.display()
            );
        }
        let here = std::env::current_exe().context("finding this program's own path")?;
        let dir = here.parent().unwrap_or(Path::new(".")).join("bench-peers");
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        compile(&dir, "echo", include_str!("../peers/echo.c"))?;
        compile(&dir, "udp", include_str!("../peers/udp.c"))?;
        write(
            &dir.join("asyncio_echo.py"),
            include_str!("../peers/asyncio_echo.py"),
        )?;
        write(
            &dir.join("threaded_echo.py"),
            include_str!("../peers/threaded_echo.py"),
        )?;
        let installed =
            |program: &str| machine::version(program, &["--version"], "") != "not installed";
        Ok(Stable {
            cores,
            dir,
            bandy,
            bandy_args,
            python: python(),
            socat: installed("socat"),
            ncat: installed("ncat"),
        })
    }

    pub fn has(&self, server: Server) -> bool {
        match server {
            Server::Bandy => self.bandy.is_some(),
            Server::Asyncio | Server::Threaded => self.python.is_some(),
            Server::Socat => self.socat,
            Server::Ncat => self.ncat,
            Server::CEpoll | Server::CUdp | Server::TokioMt => true,
        }
    }

    pub fn cores_are_apart(&self) -> bool {
        self.cores.apart
    }

    /// Starts a server, waits until it listens, and hands it over running.
    pub fn start(&self, subject: Subject, transport: Transport) -> Result<Running> {
        let label = subject.label();
        // socat and ncat cannot say which port they took, so they are given one that was free a moment ago.
        let port = free_port()?;
        let (mut command, says_ready) = self.command(subject.server, transport, port)?;
        let errors = self.dir.join(format!("{}.stderr", subject.server.name()));
        let log =
            File::create(&errors).with_context(|| format!("creating {}", errors.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let child = self
            .cores
            .on(subject.placement, || command.spawn())?
            .with_context(|| format!("starting {label}: {command:?}"))?;
        let mut running = Running {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let ready = if says_ready {
            running.read_ready_line()
        } else {
            running.wait_until_it_accepts()
        };
        ready.with_context(|| {
            format!(
                "waiting for {label} to listen; it said: {}",
                last_words(&errors)
            )
        })?;
        Ok(running)
    }

    /// The versions of everything that was measured, for the record.
    pub fn versions(&self) -> Vec<(&'static str, String)> {
        let python = self.python.as_deref().unwrap_or("python3");
        let mut versions = Vec::new();
        if let Some(bandy) = &self.bandy {
            versions.push((
                "bandy",
                machine::version(&bandy.to_string_lossy(), &["--version"], ""),
            ));
        }
        versions.push((
            "c-epoll, c-udp",
            format!("{}, -O2", machine::version("cc", &["--version"], "")),
        ));
        versions.push((
            "asyncio, threaded",
            machine::version(python, &["--version"], ""),
        ));
        versions.push((
            "tokio-mt",
            "tokio's multi-thread runtime, a task and a 16 KiB buffer per connection".to_owned(),
        ));
        versions.push(("socat", machine::version("socat", &["-V"], "socat version")));
        versions.push(("ncat", machine::version("ncat", &["--version"], "Version")));
        versions
    }

    /// The command, and whether it prints a ready line.
    fn command(&self, server: Server, transport: Transport, port: u16) -> Result<(Command, bool)> {
        let scheme = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let mut command = match server {
            Server::Bandy => Command::new(self.bandy.as_deref().context("bandy was left out")?),
            Server::CEpoll => Command::new(self.dir.join("echo")),
            Server::CUdp => Command::new(self.dir.join("udp")),
            Server::Asyncio | Server::Threaded => {
                Command::new(self.python.as_deref().context("python3 is not installed")?)
            }
            Server::TokioMt => {
                Command::new(std::env::current_exe().context("finding this program's own path")?)
            }
            Server::Socat => Command::new("socat"),
            Server::Ncat => Command::new("ncat"),
        };
        let says_ready = !matches!(server, Server::Socat | Server::Ncat);
        match server {
            Server::Bandy => command
                .args(["serve", "echo", &format!("{scheme}://127.0.0.1:0")])
                .args(&self.bandy_args),
            Server::CEpoll | Server::CUdp => &mut command,
            Server::Asyncio => command.arg(self.dir.join("asyncio_echo.py")),
            Server::Threaded => command.arg(self.dir.join("threaded_echo.py")),
            Server::TokioMt => command.arg("tokio-mt-echo"),
            Server::Socat => command.args([
                &format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096"),
                "PIPE",
            ]),
            Server::Ncat => command.args([
                "-l",
                "-k",
                "-m",
                "1000",
                "127.0.0.1",
                &port.to_string(),
                "-e",
                "/bin/cat",
            ]),
        };
        Ok((command, says_ready))
    }
}

/// A server that runs; dropping it ends it and everything it started.
pub struct Running {
    child: Child,
    pub address: SocketAddr,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The form that Bandy prints, which the peers here copy: `listening on tcp://127.0.0.1:7000 (echo)`.
    fn read_ready_line(&mut self) -> Result<()> {
        let stdout = self
            .child
            .stdout
            .take()
            .context("its standard output is gone")?;
        let (said, heard) = mpsc::channel();
        // The thread ends with the child, whose end closes the pipe. It reads on, so that the child never blocks on a full one.
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            let outcome = reader.read_line(&mut line).map(|_| line);
            let _ = said.send(outcome);
            let _ = std::io::copy(&mut reader, &mut std::io::sink());
        });
        let line = heard
            .recv_timeout(START_WAIT)
            .context("no ready line in time")??;
        self.address = parse_ready_line(&line)
            .with_context(|| format!("understanding the ready line {line:?}"))?;
        Ok(())
    }

    fn wait_until_it_accepts(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            match TcpStream::connect(self.address) {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("connecting to {}", self.address));
                }
                Err(_) => thread::sleep(Duration::from_millis(20)),
            }
            if let Some(status) = self
                .child
                .try_wait()
                .context("asking whether it still runs")?
            {
                bail!("it ended: {status}");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Listed first: once the parent is gone, nothing tells whose children they were.
        let family = proc::tree(self.child.id()).unwrap_or_default();
        let _ = self.child.kill();
        for pid in family.into_iter().filter(|&pid| pid != self.child.id()) {
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

fn parse_ready_line(line: &str) -> Option<SocketAddr> {
    let rest = line.strip_prefix("listening on ")?;
    let (_scheme, rest) = rest.split_once("://")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("taking a free port")?;
    Ok(listener
        .local_addr()
        .context("asking which port is free")?
        .port())
}

fn compile(dir: &Path, name: &str, source: &str) -> Result<()> {
    let file = dir.join(format!("{name}.c"));
    write(&file, source)?;
    let output = Command::new("cc")
        .args(["-O2", "-Wall", "-Wextra", "-o"])
        .arg(dir.join(name))
        .arg(&file)
        .output()
        .with_context(|| {
            format!(
                "running cc on {}: is a C compiler installed?",
                file.display()
            )
        })?;
    if !output.status.success() {
        bail!(
            "compiling {}: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// The interpreter itself: `python3` may be a shell script that looks for it.
fn python() -> Option<String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!path.is_empty()).then_some(path)
}

fn last_words(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    match (read, text.trim()) {
        (Ok(_), "") | (Err(_), _) => "nothing".to_owned(),
        (Ok(_), words) => words
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_lines() {
        let address = Some(SocketAddr::from(([127, 0, 0, 1], 7000)));
        assert_eq!(
            parse_ready_line("listening on tcp://127.0.0.1:7000 (echo)\n"),
            address
        );
        assert_eq!(
            parse_ready_line("listening on udp://127.0.0.1:7000\n"),
            address
        );
        assert_eq!(parse_ready_line("error: address in use\n"), None);
        assert_eq!(parse_ready_line(""), None);
    }
}
