//! Balancers: one request to one backend behind each of them, beside HAProxy, nginx and Caddy.
//!
//! The balancer has the server's core, wrk and the backend have the other. The backend is nginx, which answers from memory, so what
//! is left is the balancer's. All take turns in every round. Each keeps its connections to the backend; none writes an access log.
//! CPU is quoted per request, since the other core is what is full.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine::{self, Cores, Interrupt, Placement};
use crate::running::{Ready, Running, last_words};
use crate::sample::{Counting, Sample, median, paired_ratio};
use crate::{http, idle, wrk};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Balancer {
    Bandy,
    Haproxy,
    Nginx,
    Caddy,
}

const ALL: [Balancer; 4] = [
    Balancer::Bandy,
    Balancer::Haproxy,
    Balancer::Nginx,
    Balancer::Caddy,
];

impl Balancer {
    fn name(self) -> &'static str {
        match self {
            Balancer::Bandy => "bandy",
            Balancer::Haproxy => "haproxy",
            Balancer::Nginx => "nginx",
            Balancer::Caddy => "caddy",
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Balancer::Bandy => true,
            Balancer::Haproxy => machine::is_installed("/usr/sbin/haproxy", "-v"),
            Balancer::Nginx => machine::is_installed("/usr/sbin/nginx", "-v"),
            Balancer::Caddy => machine::is_installed("caddy", "version"),
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
struct Setting {
    path: &'static str,
    bytes: usize,
    connections: usize,
    is_secure: bool,
    placement: Placement,
}

const SETTINGS: [Setting; 5] = {
    let small = Setting {
        path: "/1k",
        bytes: 1 << 10,
        connections: 50,
        is_secure: false,
        placement: Placement::OneCore,
    };
    [
        small,
        Setting {
            connections: 500,
            ..small
        },
        Setting {
            path: "/100k",
            bytes: 100 << 10,
            ..small
        },
        Setting {
            is_secure: true,
            ..small
        },
        Setting {
            placement: Placement::AllCores,
            ..small
        },
    ]
};

impl Setting {
    fn title(&self) -> String {
        let tls = if self.is_secure { ", TLS in front" } else { "" };
        let cores = match self.placement {
            Placement::OneCore | Placement::Generators => "",
            Placement::AllCores => ", all cores",
        };
        let kib = self.bytes >> 10;
        format!("{kib} KiB, {} connections{tls}{cores}", self.connections)
    }
}

/// Everything on disk: configurations, files that the backend serves, a certificate.
struct Site<'a> {
    dir: PathBuf,
    cores: &'a Cores,
    bandy: PathBuf,
}

/// Measures all of it, and says so in Markdown.
pub fn run(
    cores: &Cores,
    bandy: PathBuf,
    only: &[String],
    rounds: usize,
    time: Duration,
    interrupt: &Interrupt,
) -> Result<String> {
    let dir = std::env::temp_dir().join(format!("bandy-bench-balance-{}", std::process::id()));
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let site = Site { dir, cores, bandy };
    let outcome = site.run(only, rounds, time, interrupt);
    // Left behind it would be in nobody's way.
    let _ = fs::remove_dir_all(&site.dir);
    outcome
}

impl Site<'_> {
    fn run(
        &self,
        only: &[String],
        rounds: usize,
        time: Duration,
        interrupt: &Interrupt,
    ) -> Result<String> {
        self.certificate()?;
        let is_wanted = |b: &Balancer| only.is_empty() || only.iter().any(|name| name == b.name());
        let subjects: Vec<Balancer> = ALL
            .into_iter()
            .filter(|balancer| is_wanted(balancer) && balancer.is_installed())
            .collect();
        let backend = self.backend()?;
        let mut text = String::new();
        for setting in SETTINGS {
            let mut samples: Vec<Vec<Option<Sample>>> = vec![Vec::new(); subjects.len()];
            for round in 1..=rounds {
                for (subject, samples) in subjects.iter().zip(&mut samples) {
                    let sample =
                        self.turn(*subject, backend.address.port(), setting, time, interrupt);
                    interrupt.check()?;
                    let heading = format!(
                        "{}, round {round}/{rounds}, {}",
                        setting.title(),
                        subject.name()
                    );
                    match &sample {
                        Ok(s) => eprintln!(
                            "{heading}: {:.0}/s, {:.2} us CPU each",
                            s.per_second, s.cpu_us
                        ),
                        Err(error) => eprintln!("{heading}: failed: {error:#}"),
                    }
                    samples.push(sample.ok());
                }
            }
            table(&mut text, &setting.title(), &subjects, &samples)?;
        }
        writeln!(
            text,
            "## Idle connections, bytes each\n\n| balancer | never spoke | spoke once |\n|---|---|---|"
        )?;
        for subject in subjects {
            let port = backend.address.port();
            let running = self.start(subject, port, SETTINGS[0])?;
            let measured = idle::measure(&running, idle::Speech::Http, 10_000, interrupt);
            match measured {
                Ok(idle) => writeln!(
                    text,
                    "| {} | {:.0} | {:.0} |",
                    subject.name(),
                    idle.opened,
                    idle.answered
                )?,
                Err(error) => eprintln!("idle, {}: failed: {error:#}", subject.name()),
            }
        }
        Ok(text)
    }

    fn turn(
        &self,
        subject: Balancer,
        backend: u16,
        setting: Setting,
        time: Duration,
        interrupt: &Interrupt,
    ) -> Result<Sample> {
        let server = self.start(subject, backend, setting)?;
        let scheme = if setting.is_secure { "https" } else { "http" };
        let url = format!("{scheme}://{}{}", server.address, setting.path);
        let request = wrk::Request {
            url: &url,
            fields: &[],
            script: None,
        };
        wrk::run(&request, setting.connections, http::WARM_UP, interrupt)?;
        let counting = Counting::open(server.pid())?;
        let load = wrk::run(&request, setting.connections, time, interrupt)?;
        let sample = counting.close_over(&load)?;
        let least = load.requests as f64 * setting.bytes as f64 * 0.99;
        ensure!(
            load.bytes as f64 >= least,
            "counting answers: bodies are missing"
        );
        Ok(sample)
    }

    /// nginx, on the generator's core, with what it serves in memory.
    fn backend(&self) -> Result<Running> {
        let port = free_port()?;
        let files = self.dir.join("files");
        fs::create_dir_all(&files).context("making a folder")?;
        for (name, bytes) in [("1k", 1 << 10), ("100k", 100 << 10)] {
            fs::write(files.join(name), vec![b'x'; bytes]).context("writing a file")?;
        }
        let text = format!(
            "{} daemon off; worker_processes 1; pid {dir}/backend.pid; error_log stderr;
            events {{ worker_connections 20000; }}
            http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
            open_file_cache max=100; {temporary}
            server {{ listen 127.0.0.1:{port} backlog=4096; root {dir}/files; location /add {{ return 200 '8\\n'; }} }} }}",
            user(),
            dir = self.dir.display(),
            temporary = self.temporary(),
        );
        let conf = self.write("backend.conf", &text)?;
        self.spawn(
            nginx(&self.dir, &conf),
            "backend",
            None,
            Ready::AcceptsAt(port),
        )
    }

    fn start(&self, subject: Balancer, backend: u16, setting: Setting) -> Result<Running> {
        let (port, dir) = (free_port()?, self.dir.display());
        let is_secure = setting.is_secure;
        let threads = match setting.placement {
            Placement::OneCore | Placement::Generators => 1,
            Placement::AllCores => 2,
        };
        let (command, ready) = match subject {
            Balancer::Bandy => {
                let mut command = Command::new(&self.bandy);
                let scheme = if is_secure { "https" } else { "http" };
                command
                    .args([
                        "--log",
                        "json",
                        "balance",
                        &format!("{scheme}://127.0.0.1:0"),
                    ])
                    .args(["--to", &format!("http://127.0.0.1:{backend}")]);
                if is_secure {
                    command.args(["--cert", &format!("{dir}/cert.pem")]);
                    command.args(["--key", &format!("{dir}/key.pem")]);
                }
                command.env("BANDY_LOG", "warn");
                (command, Ready::SaysSo)
            }
            Balancer::Haproxy => {
                let tls = if is_secure {
                    format!(" ssl crt {dir}/both.pem alpn http/1.1")
                } else {
                    String::new()
                };
                let text = format!(
                    "global\n maxconn 25000\n nbthread {threads}\n\
                    defaults\n mode http\n option forwardfor\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
                    http-reuse always\n\
                    frontend f\n bind 127.0.0.1:{port} backlog 4096{tls}\n default_backend b\n\
                    backend b\n server s 127.0.0.1:{backend}\n"
                );
                let conf = self.write("haproxy.cfg", &text)?;
                let mut command = Command::new("/usr/sbin/haproxy");
                command.arg("-db").arg("-f").arg(conf);
                (command, Ready::AcceptsAt(port))
            }
            Balancer::Nginx => {
                let tls = if is_secure {
                    format!("ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;")
                } else {
                    String::new()
                };
                let ssl = if is_secure { " ssl" } else { "" };
                let text = format!(
                    "{} daemon off; worker_processes {threads}; pid {dir}/nginx.pid; error_log stderr;
                    worker_rlimit_nofile 50000; events {{ worker_connections 25000; }}
                    http {{ access_log off; keepalive_requests 1000000000; {temporary}
                    upstream b {{ server 127.0.0.1:{backend}; keepalive 1000; keepalive_requests 1000000000; }}
                    server {{ listen 127.0.0.1:{port} backlog=4096{ssl}; {tls}
                    location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection '';
                    proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }} }}",
                    user(),
                    temporary = self.temporary(),
                );
                let conf = self.write("nginx.conf", &text)?;
                (nginx(&self.dir, &conf), Ready::AcceptsAt(port))
            }
            Balancer::Caddy => {
                let tls = if is_secure {
                    format!("tls {dir}/cert.pem {dir}/key.pem")
                } else {
                    String::new()
                };
                let scheme = if is_secure { "https" } else { "http" };
                let text = format!(
                    "{{\n admin off\n auto_https off\n servers {{\n protocols h1\n }}\n}}\n\
                    {scheme}://127.0.0.1:{port} {{\n bind 127.0.0.1\n {tls}\n reverse_proxy 127.0.0.1:{backend}\n}}\n"
                );
                let conf = self.write("Caddyfile", &text)?;
                let mut command = Command::new("caddy");
                command
                    .args(["run", "--adapter", "caddyfile", "--config"])
                    .arg(conf)
                    .env("HOME", &self.dir)
                    .env("GOMAXPROCS", threads.to_string());
                (command, Ready::AcceptsAt(port))
            }
        };
        self.spawn(command, subject.name(), Some(setting.placement), ready)
    }

    /// On these cores; on none of the balancer's where there is no placement.
    fn spawn(
        &self,
        mut command: Command,
        name: &str,
        placement: Option<Placement>,
        ready: Ready,
    ) -> Result<Running> {
        let errors = self.dir.join(format!("{name}.stderr"));
        let log = File::create(&errors).context("creating a file")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let spawned = match placement {
            Some(placement) => self.cores.on(placement, || command.spawn())?,
            None => command.spawn(),
        };
        let mut running = spawned
            .map(Running::new)
            .with_context(|| format!("starting {name}"))?;
        running.wait(ready).with_context(|| {
            format!(
                "waiting for {name} to listen; it said: {}",
                last_words(&errors)
            )
        })?;
        Ok(running)
    }

    fn certificate(&self) -> Result<()> {
        let [key, cert] = ["key.pem", "cert.pem"].map(|name| self.dir.join(name));
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
            ])
            .args(["-days", "2", "-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .context("running openssl")?;
        ensure!(made.status.success(), "openssl made no certificate");
        let both = [fs::read(&cert), fs::read(&key)].map(|read| read.context("reading it"));
        let [cert, key] = both;
        fs::write(self.dir.join("both.pem"), [cert?, key?].concat()).context("writing both")
    }

    /// Where nginx may write without being root.
    fn temporary(&self) -> String {
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {}/{name};", self.dir.display()))
            .join(" ")
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

fn nginx(dir: &Path, conf: &Path) -> Command {
    let mut command = Command::new("/usr/sbin/nginx");
    command
        .args(["-e", "stderr", "-p"])
        .arg(dir)
        .arg("-c")
        .arg(conf);
    command
}

/// As root it would give up its rights, and with them the sight of its files.
fn user() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "user root;",
        false => "",
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("taking a free port")?;
    Ok(listener.local_addr().context("asking which")?.port())
}

fn table(
    text: &mut String,
    title: &str,
    subjects: &[Balancer],
    samples: &[Vec<Option<Sample>>],
) -> Result<()> {
    writeln!(
        text,
        "## {title}\n\n| balancer | CPU us | requests/s | p50 us | p99 us | bandy's CPU to its |\n|---|---|---|---|---|---|"
    )?;
    let cpu = |samples: &[Option<Sample>]| -> Vec<Option<f64>> {
        samples
            .iter()
            .map(|s| s.as_ref().map(|s| s.cpu_us))
            .collect()
    };
    let bandy = subjects.iter().position(|s| *s == Balancer::Bandy);
    let ours = bandy
        .and_then(|at| samples.get(at))
        .map(|samples| cpu(samples));
    for (subject, samples) in subjects.iter().zip(samples) {
        let of = |value: fn(&Sample) -> Option<f64>| {
            let median = median(samples.iter().flatten().filter_map(value));
            median.map_or_else(|| "-".to_owned(), |median| format!("{median:.1}"))
        };
        let ratio = ours
            .as_ref()
            .and_then(|ours| paired_ratio(ours, &cpu(samples)));
        let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {ratio} |",
            subject.name(),
            of(|s| Some(s.cpu_us)),
            of(|s| Some(s.per_second)),
            of(|s| s.p50_us),
            of(|s| s.p99_us),
        )?;
    }
    writeln!(text)?;
    Ok(())
}
