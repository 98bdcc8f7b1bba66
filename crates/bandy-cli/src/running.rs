//! What a running bandy is told: to stop, to read its file again, to make room for a new process.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bandy::app::{App, Changes};
use bandy::config::{self, Failed};
use bandy::error::{Error, Kind, Side};
use bandy::net::Inherited;
use bandy::server::signals::Shutdown;
use bandy::services::admin::Reloaded;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Interval, interval};

use crate::args::AdminOptions;
use crate::control::asking::{TakeOver, take_over};
use crate::control::listening::{Control, Question, Successor};
use crate::control::{Answer, Asked};
use crate::exit::Code;
use crate::serve::write_admin;
use crate::start::notify;

/// The file that is run, and how.
#[derive(Debug, Clone)]
pub struct File {
    pub path: PathBuf,
    /// Read it again when it changes.
    pub watch: bool,
    /// Take the place of the bandy that runs it.
    pub take_over: bool,
    /// What the command line said beside it.
    pub admin: AdminOptions,
}

/// A file that is run.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    admin: AdminOptions,
    watch: Option<Watch>,
    hangup: Signal,
    /// Opened once another process has let go of the name.
    control: Option<Control>,
    /// What goes on beside.
    events: mpsc::Receiver<Event>,
    beside: mpsc::Sender<Event>,
    /// Whoever waits for a new process to answer.
    upgrade: Option<Question>,
}

/// Why it runs no more.
pub enum Until {
    /// It was told to stop.
    Told,
    /// Another process answers now.
    Succeeded,
}

#[derive(Debug)]
enum Event {
    /// A new process listens on our sockets.
    Succeeded(Successor),
    /// One that took our sockets does not listen.
    NotSucceeded(std::io::Error),
    /// A new process ended.
    Ended(std::io::Result<ExitStatus>),
}

type Taken = (Option<Watched>, Inherited, Option<TakeOver>);

impl File {
    /// Begins to listen to what is told, with the sockets of the bandy that runs the file so far, if it is to be taken
    /// over.
    ///
    /// # Errors
    /// That it does not hand them over, or that the system does not let us listen.
    pub fn take_over(self) -> Result<Taken, Error> {
        let (before, inherited) = match self.take_over {
            true => match take_over(&self.path)? {
                Some((before, inherited)) => (Some(before), inherited),
                None => {
                    tracing::info!("no other process runs the file: there is nothing to take over");
                    (None, Inherited::from_env())
                }
            },
            false => (None, Inherited::from_env()),
        };
        let hangup = signal(SignalKind::hangup())
            .map_err(|e| Error::new(Kind::Io, Side::Local, "listening for SIGHUP").because(e))?;
        let (beside, events) = mpsc::channel(4);
        let watched = Watched {
            watch: self.watch.then(|| Watch::new(&self.path)),
            path: self.path,
            admin: self.admin,
            hangup,
            control: None,
            events,
            beside,
            upgrade: None,
        };
        Ok((Some(watched), inherited, before))
    }
}

/// Runs until it is told to stop, and does what else it is told.
///
/// # Errors
/// None that ends it: what cannot be done is said to whoever wanted it, and in the log.
pub async fn run(
    app: &mut App,
    file: Option<&mut Watched>,
    shutdown: &mut Shutdown,
) -> Result<Until, Error> {
    let Some(file) = file else {
        shutdown.requested().await;
        return Ok(Until::Told);
    };
    file.control = match Control::open(&file.path) {
        Ok(control) => Some(control),
        Err(e) => {
            tracing::warn!(error = %e, hint = e.next_step(), "`bandy reload` will not find this process; SIGHUP reloads");
            None
        }
    };
    let mut wishes = app.wishes();
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(Until::Told),
            Some(wish) = wishes.recv() => wish.answer(file.reload(app).into()),
            _ = file.hangup.recv() => {
                notify("RELOADING=1");
                file.reload(app);
                notify("READY=1");
            }
            () = changed(&mut file.watch) => {
                file.reload(app);
            }
            question = asked(&mut file.control) => file.answer(app, question).await,
            event = file.events.recv() => {
                if let Some(event) = event && file.note(app, event).await {
                    return Ok(Until::Succeeded);
                }
            }
        }
    }
}

async fn asked(control: &mut Option<Control>) -> Question {
    match control {
        Some(control) => match control.next().await {
            Some(question) => question,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

impl Watched {
    async fn answer(&mut self, app: &mut App, question: Question) {
        match question.asked {
            Asked::Reload => question.answer(self.reload(app)).await,
            Asked::Upgrade if self.upgrade.is_some() => {
                question
                    .answer(failed("another upgrade is on its way", None))
                    .await;
            }
            Asked::Upgrade => match self.new_process() {
                Ok(()) => self.upgrade = Some(question),
                Err(e) => {
                    let said = format!("cannot start a new process: {e}");
                    tracing::error!("{said}");
                    question.answer(failed(&said, None)).await;
                }
            },
            Asked::Sockets => {
                let (sockets, beside) = (app.sockets().collect(), self.beside.clone());
                tokio::spawn(async move {
                    let event = match question.hand_over(sockets).await {
                        Ok(successor) => Event::Succeeded(successor),
                        Err(e) => Event::NotSucceeded(e),
                    };
                    // Nobody listens any more once this process ends.
                    let _ = beside.send(event).await;
                });
            }
        }
    }

    /// Starts this program as it was started, to take over.
    fn new_process(&self) -> std::io::Result<()> {
        let mut args: Vec<_> = std::env::args_os().collect();
        let program = program(args.first().map(Path::new));
        if !args.iter().any(|arg| arg == "--take-over") {
            args.push("--take-over".into());
        }
        let mut command = tokio::process::Command::new(program);
        command.args(args.get(1..).unwrap_or_default());
        let mut child = command.stdin(Stdio::null()).spawn()?;
        tracing::info!(pid = child.id(), "a new process is to take over");
        let beside = self.beside.clone();
        tokio::spawn(async move {
            // As above.
            let _ = beside.send(Event::Ended(child.wait().await)).await;
        });
        Ok(())
    }

    /// Whether another process answers now.
    async fn note(&mut self, app: &App, event: Event) -> bool {
        let why = match event {
            Event::Succeeded(successor) => {
                for socket in app.sockets() {
                    socket.hand_on();
                }
                self.control = None;
                successor.bid_farewell().await;
                if let Some(question) = self.upgrade.take() {
                    question
                        .answer(done("another process answers now\n".to_owned()))
                        .await;
                }
                return true;
            }
            Event::NotSucceeded(e) => format!("the new process does not answer: {e}"),
            Event::Ended(Ok(status)) => format!("the new process ended ({status})"),
            Event::Ended(Err(e)) => format!("the new process is lost: {e}"),
        };
        tracing::error!("{why}; this one goes on");
        if let Some(question) = self.upgrade.take() {
            question
                .answer(failed(&why, Some("the log says why")))
                .await;
        }
        false
    }
}

/// The program that stands where this one was started from: a newer one, where it was replaced.
fn program(called: Option<&Path>) -> PathBuf {
    match called {
        Some(path) if path.components().count() > 1 => path.to_owned(),
        Some(name) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path).map(|folder| folder.join(name));
            let mut found = found.filter(|file| file.is_file());
            found.next().unwrap_or_else(|| name.to_owned())
        }
        None => PathBuf::from("bandy"),
    }
}

impl Watched {
    /// Reads the file again, and says what came of it: also in the log.
    fn reload(&self, app: &mut App) -> Answer {
        reload(app, &self.path, &self.admin)
    }
}

impl From<Answer> for Reloaded {
    fn from(answer: Answer) -> Reloaded {
        let said = answer.said.trim_end().to_owned();
        match answer.code == Code::Done as u8 {
            true => Reloaded::Done(said),
            false => Reloaded::Refused(said),
        }
    }
}

fn reload(app: &mut App, path: &Path, admin: &AdminOptions) -> Answer {
    let plan = match config::load_with(path, |root| write_admin(root, admin)) {
        Ok((plan, _)) => plan,
        Err(Failed::Unread(e)) => return refused(&e),
        Err(Failed::Invalid(found)) => {
            for line in found.lines().lines() {
                tracing::error!("{line}");
            }
            tracing::error!("not reloaded: nothing has changed");
            let why = format!("{} is wrong, and nothing has changed", path.display());
            return Answer {
                code: Code::Usage as u8,
                ..failed(&why, Some("`bandy check` shows what is wrong"))
            };
        }
    };
    match app.reload(&plan) {
        Ok(changes) => {
            let said = told(&changes);
            tracing::info!(changes = said, "reloaded");
            done(format!("reloaded: {said}\n"))
        }
        Err(e) => refused(&e),
    }
}

fn refused(error: &Error) -> Answer {
    tracing::error!(
        hint = error.next_step(),
        "not reloaded, nothing has changed: {error}"
    );
    Answer {
        code: Code::of(error) as u8,
        ..failed(&error.to_string(), error.next_step())
    }
}

/// `changed web; added a, b; removed c`, or `nothing has changed`.
fn told(changes: &Changes) -> String {
    let parts = [
        ("added", &changes.added),
        ("changed", &changes.changed),
        ("removed", &changes.removed),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts = parts.map(|(what, names)| format!("{what} {}", names.join(", ")));
    match parts.collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => "nothing has changed".to_owned(),
        some => some,
    }
}

fn done(said: String) -> Answer {
    Answer {
        code: Code::Done as u8,
        said,
        hint: None,
    }
}

fn failed(why: &str, hint: Option<&str>) -> Answer {
    Answer {
        code: Code::Other as u8,
        said: why.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

/// Looks whether a file has changed.
#[derive(Debug)]
struct Watch {
    path: PathBuf,
    ticks: Interval,
    /// As it was read.
    read: Option<Stamp>,
    /// As it was at the last look.
    seen: Option<Stamp>,
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// How often a file is looked at. What has changed is read once it has been the same for as long.
const LOOK: Duration = Duration::from_millis(500);

impl Watch {
    fn new(path: &Path) -> Watch {
        let now = stamp(path);
        Watch {
            path: path.to_owned(),
            ticks: interval(LOOK),
            read: now,
            seen: now,
        }
    }

    /// Returns once it has changed. Cancel-safe.
    async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let now = stamp(&self.path);
            let is_at_rest = now == self.seen;
            self.seen = now;
            // One that is not there for a moment is being replaced.
            if is_at_rest && now.is_some() && now != self.read {
                self.read = now;
                return;
            }
        }
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
