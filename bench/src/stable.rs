//! Where the servers stand: the C ones compiled, the others found, each with the command that starts it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::machine::{self, Cores, Placement};
use crate::running::{Ready, Running, last_words};
use crate::subject::{Role, Server, Subject};
use crate::web::Web;

/// Where the programs are, built and found once.
pub struct Stable {
    cores: Cores,
    dir: PathBuf,
    bandy: Option<PathBuf>,
    bandy_args: Vec<String>,
    /// Of `serve api` and `serve files`.
    bandy_http_args: Vec<String>,
    python: Option<String>,
    socat: bool,
    ncat: bool,
    pub web: Web,
}

impl Stable {
    /// Compiles the C peers and looks for the others. `bandy` None leaves Bandy out.
    pub fn open(
        cores: Cores,
        bandy: Option<PathBuf>,
        bandy_args: Vec<String>,
        bandy_http_args: Vec<String>,
    ) -> Result<Stable> {
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
        let python = python();
        let web = Web::open(dir.join("web"), python.as_deref())?;
        Ok(Stable {
            cores,
            dir,
            bandy,
            bandy_args,
            bandy_http_args,
            python,
            socat: machine::is_installed("socat", "-V"),
            ncat: machine::is_installed("ncat", "--version"),
            web,
        })
    }

    pub fn has(&self, server: Server) -> bool {
        match server {
            Server::Bandy | Server::BandyProfile => self.bandy.is_some(),
            Server::Asyncio | Server::AsyncioTuned | Server::Threaded => self.python.is_some(),
            Server::Socat => self.socat,
            Server::Ncat => self.ncat,
            Server::Nginx | Server::NginxCache => self.web.nginx.is_some(),
            Server::Node => self.web.node,
            Server::Flask => self.web.flask,
            Server::CEpoll | Server::CUdp | Server::TokioMt | Server::TokioUdp | Server::Axum => {
                true
            }
        }
    }

    pub fn cores_are_apart(&self) -> bool {
        self.cores.apart
    }

    /// Starts a server, waits until it listens, and hands it over running.
    pub fn start(&self, subject: Subject, role: Role) -> Result<Running> {
        let make = |_: &Path, port| self.command(subject.server, role, port);
        let label = subject.label();
        self.start_with(&label, subject.placement, make)
    }

    /// The program under test, with nothing told to it.
    pub fn bandy_itself(&self) -> Result<Command> {
        let bandy = self.bandy.as_deref().context("bandy was left out")?;
        Ok(Command::new(bandy))
    }

    /// As [`Stable::start`], with a command that is made here, out of a folder for its files and a free port.
    pub fn start_with(
        &self,
        label: &str,
        placement: Placement,
        make: impl FnOnce(&Path, u16) -> Result<(Command, Ready)>,
    ) -> Result<Running> {
        // Some cannot say which port they took, so they are given one that was free a moment ago.
        let port = free_port()?;
        let (mut command, ready) = make(&self.dir, port)?;
        let errors = self.dir.join(format!("{label}.stderr"));
        let log =
            File::create(&errors).with_context(|| format!("creating {}", errors.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        // Kept by what ends it from the first moment on, whatever fails next.
        let mut running = self
            .cores
            .on(placement, || command.spawn().map(Running::new))?
            .with_context(|| format!("starting {label}: {command:?}"))?;
        running.wait(ready).with_context(|| {
            let words = last_words(&errors);
            format!("waiting for {label} to listen; it said: {words}")
        })?;
        Ok(running)
    }

    /// The versions of everything that was measured, for the record.
    pub fn versions(&self, echo: bool, http: bool) -> Vec<(&'static str, String)> {
        let python = self.python.as_deref().unwrap_or("python3");
        let mut versions = Vec::new();
        if let Some(bandy) = &self.bandy {
            versions.push((
                "bandy",
                machine::version(&bandy.to_string_lossy(), &["--version"], ""),
            ));
        }
        if echo {
            versions.extend(self.versions_of_echo(python));
        }
        if http {
            versions.extend(self.web.versions(python));
        }
        versions
    }

    fn versions_of_echo(&self, python: &str) -> Vec<(&'static str, String)> {
        vec![
            (
                "c-epoll, c-udp",
                format!("{}, -O2", machine::version("cc", &["--version"], "")),
            ),
            (
                "asyncio, threaded",
                machine::version(python, &["--version"], ""),
            ),
            (
                "asyncio-tuned",
                "asyncio with glibc's malloc told to keep freed memory (MALLOC_*_ in its environment)"
                    .to_owned(),
            ),
            (
                "tokio-mt",
                "tokio's multi-thread runtime, a task and a 16 KiB buffer per connection".to_owned(),
            ),
            ("socat", machine::version("socat", &["-V"], "socat version")),
            ("ncat", machine::version("ncat", &["--version"], "Version")),
        ]
    }

    /// The command, and how it will be known to listen.
    fn command(&self, server: Server, role: Role, port: u16) -> Result<(Command, Ready)> {
        let python = || self.python.as_deref().context("python3 is not installed");
        let mut command = match server {
            Server::Bandy | Server::BandyProfile => self.bandy(role)?,
            Server::Nginx | Server::NginxCache => {
                let http2 = role == Role::ApiOverH2;
                let cache = server == Server::NginxCache;
                self.web.nginx(port, http2, cache)?
            }
            Server::Node => Command::new("node"),
            Server::Flask => self.web.flask(python()?, port),
            Server::CEpoll => Command::new(self.dir.join("echo")),
            Server::CUdp => Command::new(self.dir.join("udp")),
            Server::Asyncio | Server::AsyncioTuned | Server::Threaded => Command::new(python()?),
            Server::TokioMt | Server::TokioUdp | Server::Axum => {
                Command::new(std::env::current_exe().context("finding this program's own path")?)
            }
            Server::Socat => Command::new("socat"),
            Server::Ncat => Command::new("ncat"),
        };
        let ready = match server {
            Server::Socat | Server::Ncat | Server::Nginx | Server::NginxCache | Server::Flask => {
                Ready::AcceptsAt(port)
            }
            _ => Ready::SaysSo,
        };
        match server {
            Server::Bandy
            | Server::BandyProfile
            | Server::Nginx
            | Server::NginxCache
            | Server::Flask
            | Server::CEpoll
            | Server::CUdp => &mut command,
            Server::Axum => command.arg("axum-add"),
            Server::Node => command.arg(self.web.script("node_add.js")),
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

    fn bandy(&self, role: Role) -> Result<Command> {
        let mut command = self.bandy_itself()?;
        command.arg("serve");
        match role {
            Role::TcpEcho => command
                .args(["echo", "tcp://127.0.0.1:0"])
                .args(&self.bandy_args),
            Role::UdpEcho => command
                .args(["echo", "udp://127.0.0.1:0"])
                .args(&self.bandy_args),
            Role::Api | Role::ApiOverH2 => command
                .args(["api", "http://127.0.0.1:0", "--store"])
                .arg(self.web.new_store()?)
                .args(&self.bandy_http_args),
            Role::Files => command
                .args(["files", "http://127.0.0.1:0", "--root"])
                .arg(self.web.files())
                .args(&self.bandy_http_args),
        };
        Ok(command)
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

pub fn write(path: &Path, text: &str) -> Result<()> {
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
