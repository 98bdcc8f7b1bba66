//! `bandy trust` and `bandy untrust`: the local certificate authority, for other programs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bandy::error::{Error, Kind, Side};
use bandy::net::ca::{self, LocalCa};
use bandy::net::trust;
use clap::Args;
use serde_json::{Value, json};

/// Make this machine's programs trust the local certificate authority
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
TLS listeners without a certificate of their own show one of the local certificate authority, which
is made at first use. bandy itself trusts it; this makes curl, Python and others on this machine do
so too. It needs root, and says the command. Browsers keep lists of their own: import the file that
--path prints.

Examples:
  bandy trust                                           for this machine's other programs
  bandy trust --client ada                              ada.pem and ada-key.pem
  bandy serve echo tls://:7443 --client-ca \"$(bandy trust --path)\"    who has such a certificate")]
pub struct TrustArgs {
    /// Print the authority's certificate (PEM), and change nothing
    #[arg(long, conflicts_with_all = ["path", "client", "json"])]
    pub print: bool,
    /// Print the path of the authority's certificate, and change nothing
    #[arg(long, conflicts_with_all = ["client", "json"])]
    pub path: bool,
    /// Issue a client certificate for NAME: NAME.pem and NAME-key.pem
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// The directory for the client certificate and its key
    #[arg(long, value_name = "DIR", requires = "client", default_value = ".")]
    pub out: PathBuf,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Make this machine's programs no longer trust the local certificate authority
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "The authority itself stays, and bandy goes on to trust it.")]
pub struct UntrustArgs {
    /// Every authority that `bandy trust` has installed, other users' and former ones too
    #[arg(long)]
    pub all: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs `bandy trust`.
///
/// # Errors
/// What the local CA, its files or the system's list of CAs refuse; see `bandy::net::trust::install`.
pub fn trust(args: &TrustArgs) -> bandy::Result<()> {
    let ca = open_ca()?;
    if args.print {
        return say(ca.pem());
    }
    if args.path {
        return say(&format!("{}\n", ca.path().display()));
    }
    match &args.client {
        Some(name) => issue_client(&ca, name, &args.out, args.json),
        None => install(&ca, args.json),
    }
}

/// Runs `bandy untrust`.
///
/// # Errors
/// What the system's list of CAs refuses; see `bandy::net::trust::uninstall`.
pub fn untrust(args: &UntrustArgs) -> bandy::Result<()> {
    let done = if args.all {
        trust::uninstall_all()?
    } else {
        refuse_roots_own()?;
        match certificate()? {
            Some(fingerprint) => trust::uninstall(&fingerprint)?,
            None => trust::Outcome {
                files: Vec::new(),
                changed: false,
            },
        }
    };
    let text = if done.changed {
        let files: Vec<String> = done
            .files
            .iter()
            .map(|f| format!("removed {}\n", f.display()))
            .collect();
        files.concat()
    } else {
        "nothing to remove: the local CA is not installed\n".to_owned()
    };
    report(
        args.json,
        &text,
        json!({ "removed": paths(&done.files), "changed": done.changed }),
    )
}

fn install(ca: &LocalCa, json: bool) -> bandy::Result<()> {
    let done = trust::install(ca)?;
    let file = done
        .files
        .iter()
        .map(|f| f.display().to_string())
        .collect::<String>();
    let text = if done.changed {
        format!(
            "installed {file}: this machine's programs now trust the local CA (browsers keep their own lists)\n"
        )
    } else {
        format!("nothing to do: {file} is installed\n")
    };
    let value = json!({
        "certificate": ca.path().display().to_string(),
        "fingerprint": ca.fingerprint(),
        "installed": paths(&done.files),
        "changed": done.changed,
    });
    report(json, &text, value)
}

fn issue_client(ca: &LocalCa, name: &str, out: &Path, json: bool) -> bandy::Result<()> {
    let issued = ca.issue_client(name)?;
    let files = issued.write(out, name)?;
    let (cert, key) = (files.cert.display(), files.key.display());
    let text = format!(
        "wrote {cert} and {key}\nclients show it with --cert {cert} --key {key}; servers check it with --client-ca {}\n",
        ca.path().display()
    );
    let value = json!({
        "client": name,
        "certificate": cert.to_string(),
        "key": key.to_string(),
        "ca": ca.path().display().to_string(),
    });
    report(json, &text, value)
}

/// Under `sudo`, only a CA that is there: one made now would be root's, in another user's directory.
fn open_ca() -> bandy::Result<LocalCa> {
    refuse_roots_own()?;
    if sudo_user().is_some() {
        LocalCa::open()
    } else {
        LocalCa::open_or_create()
    }
}

/// `sudo bandy trust` would be about root's CA, which no server of the user shows.
fn refuse_roots_own() -> bandy::Result<()> {
    match sudo_user() {
        Some(user) if std::env::var_os("XDG_DATA_HOME").is_none() => {
            let error = Error::new(Kind::Usage, Side::Local, "opening the local CA");
            Err(error
                .because(format!("under sudo it would be root's, not {user}'s"))
                .hint("run it without sudo first: it prints the command that does it"))
        }
        _ => Ok(()),
    }
}

fn sudo_user() -> Option<String> {
    let root = rustix::process::geteuid().is_root();
    std::env::var("SUDO_USER")
        .ok()
        .filter(|user| root && user != "root")
}

/// The fingerprint of the CA to remove; `None` when there is none, and so none is installed.
fn certificate() -> bandy::Result<Option<String>> {
    let found = LocalCa::certificate_in(&LocalCa::default_dir()?);
    match found {
        Ok(cert) => Ok(cert.as_ref().map(ca::fingerprint)),
        // A damaged one cannot say which it is.
        Err(e) => Err(e.hint("`bandy untrust --all` removes every authority that was installed")),
    }
}

fn paths(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|f| f.display().to_string()).collect()
}

fn report(as_json: bool, text: &str, value: Value) -> bandy::Result<()> {
    if as_json {
        say(&format!("{value}\n"))
    } else {
        say(text)
    }
}

fn say(text: &str) -> bandy::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Error::talking(Side::Local, "writing to stdout", e))
}
