//! From a plan, or from arguments that mean one, to running servers, until a signal ends them.

use std::io::Write;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use bandy::app::{App, raise_file_limit};
use bandy::config::raw::Config;
use bandy::config::{self, Plan};
use bandy::error::{Error, Kind, Side};
use bandy::net::Inherited;
use bandy::server::signals::Shutdown;

use crate::exit::Code;
use crate::running::{self, File, Until};
use crate::{diagnostics, report};

/// Runs, or only prints, a configuration that the arguments of `bandy COMMAND` mean.
pub fn from_arguments(command: &str, config: &Config, print_config: bool) -> Result<Code, Error> {
    match config::check(config) {
        Ok((plan, found)) => {
            diagnostics::print(&found);
            match print_config {
                true => report::result(&config.to_toml()),
                false => start(plan, None),
            }
        }
        Err(found) => {
            diagnostics::print(&found);
            report::say(format_args!(
                "\nFor more information, try 'bandy {command} --help'."
            ));
            Ok(Code::Usage)
        }
    }
}

/// Runs everything that a plan declares, until it is told to stop.
///
/// The first SIGTERM or SIGINT drains, the second ends at once. With the file that the plan is from, it can be told to
/// read that again.
pub fn start(plan: Plan, file: Option<File>) -> Result<Code, Error> {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|e| Error::new(Kind::Io, Side::Local, "starting an event loop").because(e))?;
    runtime.block_on(async {
        // Before anything listens: from the first connection on, a signal means to drain.
        let mut shutdown = Shutdown::new()?;
        let (mut file, inherited, before) = match file {
            Some(file) => file.take_over()?,
            None => (None, Inherited::from_env(), None),
        };
        let mut app = App::start(&plan, inherited)?;
        if let Some(before) = before {
            before.done()?;
            tracing::info!("taken over from the process before");
        }
        announce(&app)?;
        match running::run(&mut app, file.as_mut(), &mut shutdown).await? {
            Until::Told => {
                notify("STOPPING=1");
                tracing::info!(
                    "stopping: conversations may finish; another signal ends them at once"
                );
            }
            Until::Succeeded => {
                tracing::info!("another process answers now; what was begun here may finish");
            }
        }
        // Its name is somebody else's from now on.
        drop(file);
        tokio::select! {
            left = app.drain() => {
                tracing::info!(cut = left, "stopped");
                Ok(Code::Done)
            }
            () = shutdown.requested() => {
                app.cut().await;
                Ok(Code::Interrupted)
            }
        }
    })
}

/// The ready lines, which scripts wait for, and word to a service manager.
fn announce(app: &App) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let mut lines = String::new();
    for (endpoint, service) in app.listeners() {
        lines.push_str(&format!("listening on {endpoint} ({service})\n"));
    }
    let written = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
    notify("READY=1");
    match written {
        // Whoever started us does not want to know; the servers run all the same.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| {
            Error::new(Kind::Io, Side::Local, "writing the ready lines to stdout").because(e)
        }),
    }
}

/// Tells a service manager, where there is one (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.
pub fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let send = || {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&name)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)
    };
    if let Err(e) = send() {
        tracing::warn!(error = %e, socket = ?name, "cannot notify the service manager");
    }
}
