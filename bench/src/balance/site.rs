//! The balancers, and the backend behind them: who they are, and how each is started for a row.
//!
//! All tell a backend the same (X-Forwarded-For, -Proto and -Host, X-Request-Id), keep their connections to it, and write no
//! log. TLS is 1.3, with one certificate for all.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Setting;
use crate::machine::{self, Cores, Placement};
use crate::running::{Ready, Running, last_words};

const HAPROXY: &str = "/usr/sbin/haproxy";
const NGINX: &str = "/usr/sbin/nginx";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancer {
    Bandy,
    Haproxy,
    Nginx,
    Caddy,
}

impl Balancer {
    pub const ALL: [Balancer; 4] = [
        Balancer::Bandy,
        Balancer::Haproxy,
        Balancer::Nginx,
        Balancer::Caddy,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Balancer::Bandy => "bandy",
            Balancer::Haproxy => "haproxy",
            Balancer::Nginx => "nginx",
            Balancer::Caddy => "caddy",
        }
    }

    pub fn is_installed(self) -> bool {
        match self {
            Balancer::Bandy => true,
            Balancer::Haproxy => machine::is_installed(HAPROXY, "-v"),
            Balancer::Nginx => machine::is_installed(NGINX, "-v"),
            Balancer::Caddy => machine::is_installed("caddy", "version"),
        }
    }
}

/// Everything on disk: configurations, files that the backend serves, a certificate. Gone when this is dropped.
pub struct Site<'a> {
    dir: PathBuf,
    pub cores: &'a Cores,
    bandy: PathBuf,
    /// How many files a process may open.
    files: u64,
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        // Left behind it would be in nobody's way.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Site<'_> {
    pub fn make(cores: &Cores, bandy: PathBuf, files: u64) -> Result<Site<'_>> {
        let dir = std::env::temp_dir().join(format!("bandy-bench-balance-{}", std::process::id()));
        let site = Site {
            dir,
            cores,
            bandy,
            files,
        };
        let files = site.dir.join("files");
        fs::create_dir_all(&files).with_context(|| format!("making {}", files.display()))?;
        for (name, bytes) in [("1k", 1 << 10), ("100k", 100 << 10)] {
            fs::write(files.join(name), vec![b'x'; bytes]).context("writing a file")?;
        }
        site.certificate()?;
        Ok(site)
    }

    pub fn versions(&self) -> Vec<(&'static str, String)> {
        let bandy = self.bandy.to_string_lossy();
        vec![
            ("bandy", machine::version(&bandy, &["--version"], "")),
            (
                "haproxy",
                machine::version(HAPROXY, &["-v"], "HAProxy version"),
            ),
            (
                "nginx, and the backend",
                machine::version(NGINX, &["-v"], "nginx"),
            ),
            ("caddy", machine::version("caddy", &["version"], "")),
            ("load by", machine::version("wrk", &["-v"], "wrk")),
        ]
    }

    /// nginx, with what it serves in memory: on the generator's core, or where the balancer is all over.
    pub fn backend(&self, setting: Setting) -> Result<Running> {
        let placement = match setting.placement {
            Placement::AllCores => Placement::AllCores,
            Placement::OneCore | Placement::Generators => Placement::Generators,
        };
        let port = free_port()?;
        let text = include_str!("../../peers/balance-backend.conf");
        let conf = self.write("backend.conf", &self.of_nginx(text), port, 0)?;
        self.spawn(
            self.nginx(&conf),
            "backend",
            placement,
            Ready::AcceptsAt(port),
        )
    }

    pub fn start(&self, subject: Balancer, backend: u16, setting: Setting) -> Result<Running> {
        let (port, dir) = (free_port()?, self.dir.display());
        let is_secure = setting.is_secure;
        let scheme = if is_secure { "https" } else { "http" };
        let when_secure = |text: String| if is_secure { text } else { String::new() };
        let threads = match setting.placement {
            Placement::OneCore | Placement::Generators => "1",
            Placement::AllCores => "2",
        };
        let (command, ready) = match subject {
            Balancer::Bandy => {
                let mut command = Command::new(&self.bandy);
                command.args(["balance", &format!("{scheme}://127.0.0.1:0")]);
                command.args(["--to", &format!("http://127.0.0.1:{backend}")]);
                if is_secure {
                    command.args(["--cert", &format!("{dir}/cert.pem")]);
                    command.args(["--key", &format!("{dir}/key.pem")]);
                }
                // As many loops as it may use cores: one where it is pinned.
                (command, Ready::SaysSo)
            }
            Balancer::Haproxy => {
                let tls = format!(" ssl crt {dir}/both.pem alpn http/1.1 ssl-min-ver TLSv1.3");
                let text = include_str!("../../peers/balance-haproxy.cfg")
                    .replace("@THREADS@", threads)
                    .replace("@SCHEME@", scheme)
                    .replace("@TLS@", &when_secure(tls));
                let conf = self.write("haproxy.cfg", &text, port, backend)?;
                let mut command = Command::new(HAPROXY);
                command.arg("-db").arg("-f").arg(conf);
                (command, Ready::AcceptsAt(port))
            }
            Balancer::Nginx => {
                let tls = format!(
                    "ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; ssl_protocols TLSv1.3;"
                );
                let text = include_str!("../../peers/balance-nginx.conf")
                    .replace("@THREADS@", threads)
                    .replace("@SSL@", if is_secure { " ssl" } else { "" })
                    .replace("@TLS@", &when_secure(tls));
                let conf = self.write("nginx.conf", &self.of_nginx(&text), port, backend)?;
                (self.nginx(&conf), Ready::AcceptsAt(port))
            }
            Balancer::Caddy => {
                let tls = format!("tls {dir}/cert.pem {dir}/key.pem");
                let text = include_str!("../../peers/balance-Caddyfile")
                    .replace("@SCHEME@", scheme)
                    .replace("@TLS@", &when_secure(tls));
                let conf = self.write("Caddyfile", &text, port, backend)?;
                let mut command = Command::new("caddy");
                command
                    .args(["run", "--adapter", "caddyfile", "--config"])
                    .arg(conf)
                    .env("HOME", &self.dir)
                    .env("GOMAXPROCS", threads);
                (command, Ready::AcceptsAt(port))
            }
        };
        self.spawn(command, subject.name(), setting.placement, ready)
    }

    fn spawn(
        &self,
        mut command: Command,
        name: &str,
        placement: Placement,
        ready: Ready,
    ) -> Result<Running> {
        let errors = self.dir.join(format!("{name}.stderr"));
        let log = File::create(&errors).context("creating a file")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let spawned = self
            .cores
            .on(placement, || command.spawn().map(Running::new))?;
        let mut running = spawned.with_context(|| format!("starting {name}"))?;
        running.wait(ready).with_context(|| {
            let words = last_words(&errors);
            format!("waiting for {name} to listen; it said: {words}")
        })?;
        Ok(running)
    }

    /// One of the curve P-256: signing is cheap for all.
    fn certificate(&self) -> Result<()> {
        let [key, cert] = ["key.pem", "cert.pem"].map(|name| self.dir.join(name));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext"])
            .args(["subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .context("running openssl")?;
        ensure!(made.status.success(), "openssl made no certificate");
        let [cert, key] = [fs::read(&cert), fs::read(&key)].map(|read| read.context("reading it"));
        fs::write(self.dir.join("both.pem"), [cert?, key?].concat()).context("writing both")
    }

    /// What every configuration of nginx has: where it may write, without being root, and how many files it may open.
    fn of_nginx(&self, text: &str) -> String {
        let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let places = places.map(|name| format!("{name}_temp_path {}/{name};", self.dir.display()));
        // As root it would give up its rights, and with them the sight of its files.
        let is_root = rustix::process::geteuid().is_root();
        text.replace("@TEMPORARY@", &places.join(" "))
            .replace("@USER@", if is_root { "user root;" } else { "" })
            .replace("@FILES@", &self.files.to_string())
            .replace("@PREFIX@", &self.dir.to_string_lossy())
    }

    fn nginx(&self, conf: &Path) -> Command {
        let mut command = Command::new(NGINX);
        command.args(["-e", "stderr", "-p"]).arg(&self.dir);
        command.arg("-c").arg(conf);
        command
    }

    fn write(&self, name: &str, text: &str, port: u16, backend: u16) -> Result<PathBuf> {
        let text = text
            .replace("@PORT@", &port.to_string())
            .replace("@BACKEND@", &backend.to_string());
        let path = self.dir.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// The version of TLS and the cipher that a client of OpenSSL, as wrk is one, agrees on with a server.
pub fn agreed(address: SocketAddr) -> Result<String> {
    let said = Command::new("openssl")
        .args(["s_client", "-brief", "-connect", &address.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("running openssl")?;
    let said = [said.stdout, said.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let after = |name: &str| said.lines().find_map(|line| line.strip_prefix(name));
    let (version, cipher) = after("Protocol version:")
        .zip(after("Ciphersuite:"))
        .with_context(|| format!("shaking hands with {address}: openssl said {said}"))?;
    Ok(format!("{}, {}", version.trim(), cipher.trim()))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("taking a free port")?;
    Ok(listener.local_addr().context("asking which")?.port())
}
