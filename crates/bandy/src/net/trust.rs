//! Making other programs on this machine trust the local CA, by way of Debian's ca-certificates.
//!
//! The certificate goes to `/usr/local/share/ca-certificates`, and `update-ca-certificates(8)` puts it into the bundle
//! that OpenSSL, GnuTLS, curl, Python and most others read. Browsers keep lists of their own, which are left alone.
//! Several users of one machine may each install theirs: a file is named after its certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ca::{LocalCa, files};
use crate::error::{Error, Kind, Plain, Result, Side};

/// What [`install`] and [`uninstall`] came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The files in question, in order; none when there was nothing to remove.
    pub files: Vec<PathBuf>,
    /// Whether anything had to be done.
    pub changed: bool,
}

/// Makes this machine's programs trust `ca`. Doing so again changes nothing.
///
/// # Errors
/// [`Kind::Usage`] when ca-certificates is not installed; [`Kind::Io`] when we are not root, whose hint is the command
/// that does it, or a file cannot be written; [`Kind::Other`] when `update-ca-certificates` fails.
pub fn install(ca: &LocalCa) -> Result<Outcome> {
    System::debian().install(ca)
}

/// Undoes [`install`] for the certificate with this SHA-256 fingerprint in hex (see
/// [`fingerprint`](super::ca::fingerprint)). Doing so again changes nothing.
///
/// # Errors
/// As [`install`].
pub fn uninstall(fingerprint: &str) -> Result<Outcome> {
    let system = System::debian();
    let path = system.path(fingerprint);
    system.remove(if path.exists() {
        vec![path]
    } else {
        Vec::new()
    })
}

/// Undoes [`install`] for every CA that it was ever done for, other users' as well.
///
/// # Errors
/// As [`install`].
pub fn uninstall_all() -> Result<Outcome> {
    let system = System::debian();
    system.remove(system.installed()?)
}

/// The certificates that [`install`] put on this machine, for this or any other user.
///
/// # Errors
/// [`Kind::Io`] when the directory cannot be read.
pub fn installed() -> Result<Vec<PathBuf>> {
    System::debian().installed()
}

/// Where a system keeps the CAs of its administrator, and what makes it look at them.
struct System {
    certificates: PathBuf,
    /// Where each certificate that is in use has a link.
    in_use: PathBuf,
    tool: PathBuf,
    arguments: Vec<String>,
}

impl System {
    fn debian() -> System {
        System {
            certificates: "/usr/local/share/ca-certificates".into(),
            in_use: "/etc/ssl/certs".into(),
            tool: "/usr/sbin/update-ca-certificates".into(),
            arguments: Vec::new(),
        }
    }

    fn install(&self, ca: &LocalCa) -> Result<Outcome> {
        const ACT: &str = "making other programs trust the local CA";
        let path = self.path(&ca.fingerprint());
        let found = files::read(&path).map_err(|e| self.failed(ACT, &path, e))?;
        let same = found.as_deref() == Some(ca.pem().as_bytes());
        let link = self.in_use.join(link_name(&path));
        let changed = !same || !link.exists();
        if changed {
            self.need_tool(ACT)?;
            fs::create_dir_all(&self.certificates)
                .and_then(|()| files::replace(&path, ca.pem().as_bytes(), files::PUBLIC))
                .map_err(|e| {
                    self.failed(ACT, &path, e).hint(
                        as_root("trust", Some(ca.dir()))
                            + "; or give a program the certificate itself: `bandy trust --print`",
                    )
                })?;
            self.update(ACT, false)?;
        }
        Ok(Outcome {
            files: vec![path],
            changed,
        })
    }

    fn remove(&self, paths: Vec<PathBuf>) -> Result<Outcome> {
        const ACT: &str = "making other programs no longer trust the local CA";
        if !paths.is_empty() {
            self.need_tool(ACT)?;
            for path in &paths {
                match fs::remove_file(path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => {
                        let dir = LocalCa::default_dir().ok();
                        return Err(self
                            .failed(ACT, path, e)
                            .hint(as_root("untrust", dir.as_deref())));
                    }
                    _ => {}
                }
            }
            // Only then are links to what is gone removed too.
            self.update(ACT, true)?;
        }
        Ok(Outcome {
            changed: !paths.is_empty(),
            files: paths,
        })
    }

    /// `bandy-0123abcd.crt`: the tool takes only what ends so.
    fn path(&self, fingerprint: &str) -> PathBuf {
        let short = fingerprint.get(..8).unwrap_or(fingerprint);
        self.certificates.join(format!("bandy-{short}.crt"))
    }

    fn installed(&self) -> Result<Vec<PathBuf>> {
        let act = "looking for CAs that were installed";
        let entries = match fs::read_dir(&self.certificates) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(self.failed(act, &self.certificates, e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| self.failed(act, &self.certificates, e))?;
            if is_ours(&entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    fn need_tool(&self, act: &str) -> Result<()> {
        if self.tool.exists() {
            return Ok(());
        }
        Err(Error::new(Kind::Usage, Side::Local, act)
            .because(format!("there is no {} here", self.tool.display()))
            .hint("apt install ca-certificates; where a system has no such thing, give a program the certificate itself: `bandy trust --print`"))
    }

    fn update(&self, act: &str, fresh: bool) -> Result<()> {
        let mut command = Command::new(&self.tool);
        command.args(&self.arguments).stdin(Stdio::null());
        if fresh {
            command.arg("--fresh");
        }
        let failed = |why: String| {
            Error::new(Kind::Other, Side::Local, act)
                .because(format!("running {}: {why}", self.tool.display()))
        };
        let done = command.output().map_err(|e| failed(Plain(e).to_string()))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Err(failed(format!(
            "{}{}",
            done.status,
            last.map_or_else(String::new, |line| format!(": {}", line.trim()))
        )))
    }

    fn failed(&self, act: &str, path: &Path, e: io::Error) -> Error {
        let denied = e.kind() == io::ErrorKind::PermissionDenied;
        let error = Error::new(Kind::Io, Side::Local, act);
        if denied {
            error.because(format!(
                "only root may change {}",
                self.certificates.display()
            ))
        } else {
            error.because(format!("{}: {}", path.display(), Plain(e)))
        }
    }
}

/// How update-ca-certificates(8) names the link to a certificate.
fn link_name(path: &Path) -> PathBuf {
    Path::new(path.file_name().unwrap_or_default()).with_extension("pem")
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix("bandy-")
        .and_then(|rest| rest.strip_suffix(".crt"))
        .is_some_and(|hex| hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The command that does as root what failed, for the same CA: root has a home, and so a CA, of its own.
fn as_root(command: &str, ca: Option<&Path>) -> String {
    // root's search path need not have us on it.
    let program = std::env::current_exe()
        .ok()
        .filter(|exe| exe.file_name().is_some_and(|name| name == "bandy"))
        .unwrap_or_else(|| "bandy".into());
    let data = ca.and_then(Path::parent).map_or_else(String::new, |data| {
        format!("XDG_DATA_HOME={} ", quoted(data))
    });
    format!("sudo {data}{} {command}", quoted(&program))
}

/// As a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@%:,".contains(&b);
    if text.bytes().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system in a directory, whose tool notes how it was called and links what it finds.
    fn system(dir: &Path) -> System {
        let script = r#"
echo "$*" >> "$0/calls"
rm -f "$0"/in-use/*
for crt in "$0"/certificates/*.crt; do
    test ! -e "$crt" || ln -s "$crt" "$0/in-use/$(basename "$crt" .crt).pem"
done
"#;
        fs::create_dir(dir.join("in-use")).unwrap();
        System {
            certificates: dir.join("certificates"),
            in_use: dir.join("in-use"),
            // Not a script of our own: one just written cannot run while another thread forks (ETXTBSY).
            tool: "/bin/sh".into(),
            arguments: ["-ec", script, dir.to_str().unwrap()]
                .map(str::to_owned)
                .into(),
        }
    }

    #[test]
    fn installed_and_removed_once() {
        let tmp = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_create_in(&tmp.path().join("ca")).unwrap();
        let system = system(tmp.path());
        assert!(system.installed().unwrap().is_empty());

        let first = system.install(&ca).unwrap();
        let path = first.files[0].clone();
        assert!(first.changed);
        assert_eq!(fs::read_to_string(&path).unwrap(), ca.pem());
        assert!(!system.install(&ca).unwrap().changed);
        assert_eq!(system.installed().unwrap(), std::slice::from_ref(&path));
        fs::write(system.certificates.join("bandy-corp.crt"), "another's").unwrap();
        assert_eq!(system.installed().unwrap(), std::slice::from_ref(&path));

        assert!(system.remove(vec![path.clone()]).unwrap().changed);
        assert!(!path.exists());
        assert!(!system.remove(Vec::new()).unwrap().changed);
        let calls = fs::read_to_string(tmp.path().join("calls")).unwrap();
        assert_eq!(calls, "\n--fresh\n");
    }

    #[test]
    fn what_stands_in_the_way_is_said() {
        let tmp = tempfile::tempdir().unwrap();
        let ca = LocalCa::open_or_create_in(&tmp.path().join("ca")).unwrap();
        let mut system = system(tmp.path());
        system.arguments = ["-c", "echo no room >&2; exit 3"].map(str::to_owned).into();
        let e = system.install(&ca).unwrap_err();
        assert!(e.to_string().ends_with("exit status: 3: no room"), "{e}");

        system.tool = tmp.path().join("none");
        let e = system.install(&ca).unwrap_err();
        assert_eq!(e.kind(), Kind::Usage);
        assert!(
            e.next_step()
                .unwrap()
                .contains("apt install ca-certificates")
        );

        let e = system.failed(
            "doing it",
            Path::new("x"),
            io::ErrorKind::PermissionDenied.into(),
        );
        assert!(
            e.to_string().starts_with("doing it: only root may change"),
            "{e}"
        );
    }

    #[test]
    fn the_command_for_root_names_the_same_ca() {
        assert_eq!(
            as_root("trust", Some(Path::new("/home/a b/data/bandy"))),
            "sudo XDG_DATA_HOME='/home/a b/data' bandy trust"
        );
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
