//! What the servers of HTTP need on disk: files to serve, a configuration for nginx, a store, the peers that are scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::machine;
use crate::pattern::{Pattern, SLICE_MAX};

/// The files that are served, by their length.
pub const FILES: [usize; 2] = [1 << 10, 1 << 20];

/// The directory of all this, and which peers are installed.
pub struct Web {
    dir: PathBuf,
    /// Debian keeps it where only root looks.
    pub nginx: Option<&'static str>,
    pub node: bool,
    pub flask: bool,
}

impl Web {
    /// Writes the files and the scripts. `python` is asked whether it has Flask and gunicorn.
    pub fn open(dir: PathBuf, python: Option<&str>) -> Result<Web> {
        let files = dir.join("files");
        for made in [&files, &dir.join("tmp"), &dir.join("store")] {
            fs::create_dir_all(made).with_context(|| format!("making {}", made.display()))?;
        }
        for bytes in FILES {
            write(&files.join(file_name(bytes)), &content(bytes))?;
        }
        let scripts = [
            ("node_add.js", include_str!("../peers/node_add.js")),
            ("flask_add.py", include_str!("../peers/flask_add.py")),
            ("records.lua", include_str!("../peers/records.lua")),
        ];
        for (name, text) in scripts {
            write(&dir.join(name), text.as_bytes())?;
        }
        let has_flask = python.is_some_and(|python| {
            Command::new(python)
                .args(["-c", "import flask, gunicorn"])
                .output()
                .is_ok_and(|output| output.status.success())
        });
        Ok(Web {
            dir,
            nginx: ["nginx", "/usr/sbin/nginx"]
                .into_iter()
                .find(|nginx| machine::is_installed(nginx, "-v")),
            node: machine::is_installed("node", "--version"),
            flask: has_flask,
        })
    }

    pub fn script(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// The store's own file.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store").join("bandy.db")
    }

    /// A directory for a store that remembers nothing, and its URL.
    pub fn new_store(&self) -> Result<String> {
        let dir = self.dir.join("store");
        fs::remove_dir_all(&dir)
            .and_then(|()| fs::create_dir(&dir))
            .with_context(|| format!("emptying {}", dir.display()))?;
        Ok(format!("sqlite:{}", self.store().display()))
    }

    /// nginx at `port`, in a directory of its own.
    pub fn nginx(&self, port: u16, http2: bool, open_file_cache: bool) -> Result<Command> {
        let program = self.nginx.context("nginx is not installed")?;
        // As root it would give up its rights, and with them the sight of these files.
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let http2 = if http2 { " http2" } else { "" };
        let cache = if open_file_cache { "max=1000" } else { "off" };
        let text = include_str!("../peers/nginx.conf")
            .replace("@USER@", user)
            .replace("@LISTEN@", &format!("127.0.0.1:{port}{http2}"))
            .replace("@OPEN_FILE_CACHE@", cache)
            .replace("@ROOT@", &self.files().to_string_lossy())
            .replace("@PREFIX@", &self.dir.to_string_lossy());
        let conf = self.dir.join("nginx.conf");
        write(&conf, text.as_bytes())?;
        let mut command = Command::new(program);
        command
            .args(["-e", "stderr", "-p"])
            .arg(&self.dir)
            .arg("-c")
            .arg(conf);
        Ok(command)
    }

    /// Flask under gunicorn at `port`: one process, and threads, without which it does not keep a connection.
    pub fn flask(&self, python: &str, port: u16) -> Command {
        let mut command = Command::new(python);
        command
            .current_dir(&self.dir)
            .args(["-m", "gunicorn", "--log-level", "error"])
            .args(["--worker-class", "gthread", "--threads", "4"])
            .args(["--keep-alive", "60", "--backlog", "4096"])
            .args(["-b".to_owned(), format!("127.0.0.1:{port}")])
            .arg("flask_add:app");
        command
    }

    pub fn versions(&self, python: &str) -> Vec<(&'static str, String)> {
        let nginx = match self.nginx {
            Some(nginx) => format!(
                "{}; one worker, sendfile, tcp_nopush; nginx-cache with open_file_cache",
                machine::version(nginx, &["-v"], "nginx")
            ),
            None => "not installed".to_owned(),
        };
        let flask = if self.flask {
            let gunicorn = machine::version(python, &["-m", "gunicorn", "--version"], "gunicorn");
            format!("Flask under {gunicorn}, one process, four threads")
        } else {
            "not installed".to_owned()
        };
        vec![
            ("nginx, nginx-cache", nginx),
            (
                "axum",
                "axum 0.8 on hyper 1, tokio's current_thread runtime".to_owned(),
            ),
            ("node", machine::version("node", &["--version"], "v")),
            ("flask", flask),
            ("load by", machine::version("wrk", &["-v"], "wrk")),
            (
                "load over HTTP/2 by",
                machine::version("h2load", &["--version"], "h2load"),
            ),
        ]
    }
}

pub fn file_name(bytes: usize) -> String {
    format!("{}k.bin", bytes >> 10)
}

/// What is in the file of this length.
pub fn content(bytes: usize) -> Vec<u8> {
    let pattern = Pattern::new();
    let starts = (0..bytes).step_by(SLICE_MAX);
    starts
        .flat_map(|at| pattern.at(at as u64, bytes - at).to_vec())
        .collect()
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_long_as_they_say() {
        for bytes in FILES {
            assert_eq!(content(bytes).len(), bytes);
        }
        assert_eq!(FILES.map(file_name), ["1k.bin", "1024k.bin"]);
    }
}
