//! Talking line by line on a terminal: a line editor with a history, and answers above it while one types.
//!
//! The editor has a thread of its own, which waits in a read of the terminal, perhaps for ever; so when the conversation
//! ends first, this file puts the terminal back as it was. Ctrl-D ends the input, Ctrl-C everything.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bandy::client::Script;
use bytes::Bytes;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, ExternalPrinter};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc};

use super::output::Output;

const PROMPT: &str = "> ";
/// Lines that are remembered.
const HISTORY_LINES: usize = 1000;
/// Lines that wait to be sent.
const LINES: usize = 16;
/// How long the editor waits for the end of an answer's line before it prints what is there.
const SILENCE: Duration = Duration::from_millis(100);
/// The longest part of a line that waits for its end. Bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Up a line and down again: something for the editor to print that does not show.
const NOTHING: &str = "\x1b[A\n";

type Inner = rustyline::Editor<(), FileHistory>;

/// An editor on this terminal.
pub struct Editor {
    inner: Inner,
    printer: Box<dyn ExternalPrinter + Send>,
    before: Termios,
    /// Taken before the editor has the signal in turn: it gives back what it found.
    signal: Signal,
}

/// An editor at work.
pub struct Session {
    state: Arc<State>,
    signal: Signal,
    before: Termios,
}

#[derive(Default)]
struct State {
    interrupted: Notify,
    /// The prompt is on the screen, or about to be.
    prompting: AtomicBool,
}

impl Editor {
    /// The editor; `None` on a terminal that cannot carry one, where lines are read as the system edits them.
    pub fn open() -> Option<Editor> {
        let signal = signal(SignalKind::interrupt()).ok()?;
        let before = tcgetattr(io::stdin()).ok()?;
        // What the editor would switch on would stay on when it is left in the middle of a line.
        let config = Config::builder()
            .bracketed_paste(false)
            .max_history_size(HISTORY_LINES)
            .ok()?
            .history_ignore_dups(true)
            .ok()?
            .build();
        let mut inner = Inner::with_config(config).ok()?;
        let printer = Box::new(inner.create_external_printer().ok()?);
        Some(Editor {
            inner,
            printer,
            before,
            signal,
        })
    }

    /// Starts editing: what is typed is the script, and what comes is printed above it.
    pub fn start(self) -> (Session, Script, Output) {
        let Editor {
            inner,
            printer,
            before,
            signal,
        } = self;
        let state = Arc::<State>::default();
        state.prompting.store(true, SeqCst);
        let (lines, source) = mpsc::channel(LINES);
        let editing = state.clone();
        std::thread::spawn(move || edit(inner, &lines, &editing));
        let clock = tokio::runtime::Handle::current();
        let output = Output::spawn(move |chunks| print_above(chunks, printer, &clock));
        (
            Session {
                state,
                signal,
                before,
            },
            Script::chunks(source),
            output,
        )
    }
}

impl Session {
    /// Resolves at Ctrl-C, typed into the editor or, after Ctrl-D, sent by the terminal.
    pub async fn interrupted(&mut self) {
        tokio::select! {
            () = self.state.interrupted.notified() => {}
            _ = self.signal.recv() => {}
        }
    }

    /// Gives the terminal back. What was typed last and not sent is wiped out.
    pub fn close(self) {
        if self.state.prompting.load(SeqCst) {
            let mut stdout = io::stdout();
            // On a terminal that is gone there is nothing to tidy.
            let _ = stdout.write_all(b"\r\x1b[J").and_then(|()| stdout.flush());
        }
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Reads lines until the input's end.
fn edit(mut editor: Inner, lines: &mpsc::Sender<io::Result<Bytes>>, state: &State) {
    let history = history_file();
    if let Some(path) = &history {
        // There is none yet, the first time.
        let _ = editor.load_history(path);
    }
    loop {
        state.prompting.store(true, SeqCst);
        let line = editor.readline(PROMPT);
        state.prompting.store(false, SeqCst);
        match line {
            Ok(mut line) => {
                let is_new = editor.add_history_entry(line.as_str()).unwrap_or(false);
                if let (Some(path), true) = (&history, is_new) {
                    // At once: a history that cannot be written is no reason to stop talking, nor is a crash to lose it.
                    let _ = editor.append_history(path);
                }
                line.push('\n');
                if lines.blocking_send(Ok(line.into())).is_err() {
                    return;
                }
            }
            Err(ReadlineError::Eof) => return,
            Err(
                ReadlineError::Interrupted
                | ReadlineError::Signal(rustyline::error::Signal::Interrupt),
            ) => return state.interrupted.notify_one(),
            // The window changed its size.
            Err(ReadlineError::Signal(_)) => {}
            Err(ReadlineError::Io(e)) => {
                let _ = lines.blocking_send(Err(e));
                return;
            }
            Err(e) => {
                let _ = lines.blocking_send(Err(io::Error::other(e)));
                return;
            }
        }
    }
}

/// Where lines are remembered, made if it is not there: for this user's eyes only.
fn history_file() -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let state = std::env::var_os("XDG_STATE_HOME")
        .and_then(|home| absolute(home.into()))
        .or_else(|| Some(absolute(std::env::var_os("HOME")?.into())?.join(".local/state")))?;
    let directory = state.join("bandy");
    let mut make = DirBuilder::new();
    make.recursive(true).mode(0o700).create(&directory).ok()?;
    let path = directory.join("history");
    let mut open = OpenOptions::new();
    open.append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .ok()?;
    Some(path)
}

/// Prints lines above the editor. A line that does not end is printed after a moment, so that a question such as
/// `login: ` is seen.
fn print_above(
    mut chunks: mpsc::Receiver<Bytes>,
    mut printer: Box<dyn ExternalPrinter + Send>,
    clock: &tokio::runtime::Handle,
) -> io::Result<()> {
    let mut held = Vec::new();
    let mut print = |text: &[u8]| {
        printer
            .print(String::from_utf8_lossy(text).into_owned())
            .map_err(io::Error::other)
    };
    loop {
        let next = match held.is_empty() {
            true => Some(chunks.blocking_recv()),
            false => clock
                .block_on(async { tokio::time::timeout(SILENCE, chunks.recv()).await })
                .ok(),
        };
        match next {
            Some(Some(chunk)) => {
                held.extend_from_slice(&chunk);
                let ready = match held.iter().rposition(|b| *b == b'\n') {
                    Some(at) => at + 1,
                    None if held.len() > LINE_BYTES_MAX => held.len(),
                    None => 0,
                };
                if ready > 0 {
                    print(&held[..ready])?;
                    held.drain(..ready);
                }
            }
            // The editor would end the line that it prints, but outside of it nobody does.
            None => print(&[&std::mem::take(&mut held)[..], b"\n"].concat())?,
            Some(None) => break,
        }
    }
    if !held.is_empty() {
        print(&held)?;
    }
    // The editor's queue has one place: when it has taken the second of these it has printed all before.
    print(NOTHING.as_bytes())?;
    print(NOTHING.as_bytes())
}
