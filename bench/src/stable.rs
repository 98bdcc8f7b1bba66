//! Where the servers stand: the C ones compiled, the others found, each with the command that starts it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::machine::{self, Cores};
use crate::running::{Ready, Running, last_words};
use crate::subject::{Server, Subject, Transport};

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
            Server::Asyncio | Server::AsyncioTuned | Server::Threaded => self.python.is_some(),
            Server::Socat => self.socat,
            Server::Ncat => self.ncat,
            Server::CEpoll | Server::CUdp | Server::TokioMt | Server::TokioUdp => true,
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
        let (mut command, ready) = self.command(subject.server, transport, port)?;
        let errors = self.dir.join(format!("{}.stderr", subject.server.name()));
        let log =
            File::create(&errors).with_context(|| format!("creating {}", errors.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        // Kept by what ends it from the first moment on, whatever fails next.
        let mut running = self
            .cores
            .on(subject.placement, || command.spawn().map(Running::new))?
            .with_context(|| format!("starting {label}: {command:?}"))?;
        running.wait(ready).with_context(|| {
            let words = last_words(&errors);
            format!("waiting for {label} to listen; it said: {words}")
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
            "asyncio-tuned",
            "asyncio with glibc's malloc told to keep freed memory (MALLOC_*_ in its environment)"
                .to_owned(),
        ));
        versions.push((
            "tokio-mt",
            "tokio's multi-thread runtime, a task and a 16 KiB buffer per connection".to_owned(),
        ));
        versions.push(("socat", machine::version("socat", &["-V"], "socat version")));
        versions.push(("ncat", machine::version("ncat", &["--version"], "Version")));
        versions
    }

    /// The command, and how it will be known to listen.
    fn command(&self, server: Server, transport: Transport, port: u16) -> Result<(Command, Ready)> {
        let scheme = match transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let mut command = match server {
            Server::Bandy => Command::new(self.bandy.as_deref().context("bandy was left out")?),
            Server::CEpoll => Command::new(self.dir.join("echo")),
            Server::CUdp => Command::new(self.dir.join("udp")),
            Server::Asyncio | Server::AsyncioTuned | Server::Threaded => {
                Command::new(self.python.as_deref().context("python3 is not installed")?)
            }
            Server::TokioMt | Server::TokioUdp => {
                Command::new(std::env::current_exe().context("finding this program's own path")?)
            }
            Server::Socat => Command::new("socat"),
            Server::Ncat => Command::new("ncat"),
        };
        let ready = match server {
            Server::Socat | Server::Ncat => Ready::AcceptsAt(port),
            _ => Ready::SaysSo,
        };
        match server {
            Server::Bandy => command
                .args(["serve", "echo", &format!("{scheme}://127.0.0.1:0")])
                .args(&self.bandy_args),
            Server::CEpoll | Server::CUdp => &mut command,
            Server::Asyncio => command.arg(self.dir.join("asyncio_echo.py")),
            // asyncio asks for 256 KiB for each read, and glibc takes that from the kernel and gives it back every time unless told
            // to keep it.
            Server::AsyncioTuned => command
                .env("MALLOC_MMAP_THRESHOLD_", "4000000")
                .env("MALLOC_TRIM_THRESHOLD_", "8000000")
                .env("MALLOC_TOP_PAD_", "4000000")
                .arg(self.dir.join("asyncio_echo.py")),
            Server::Threaded => command.arg(self.dir.join("threaded_echo.py")),
            Server::TokioMt => command.arg("tokio-mt-echo"),
            Server::TokioUdp => command.arg("tokio-udp-echo"),
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
        Ok((command, ready))
    }
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
