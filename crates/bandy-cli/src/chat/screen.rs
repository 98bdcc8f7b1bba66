//! On a terminal: keys in, a screen out. No mouse is needed, and a change of size, as in tmux, only draws it anew.

use std::io::{self, stdout};
use std::time::Duration;

use bandy::Endpoint;
use bandy::client::chat::{Chat, Heard};
use bandy::error::{Error, Kind, Side};
use bandy::services::chat::json::wire::{Ask, Good, Wrong};
use bandy::services::chat::model::Manner;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind,
    KeyModifiers,
};
use ratatui::crossterm::execute;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::command::{self, Action, COMMANDS, Here};
use super::draw::{Look, draw};
use super::editor::Editor;
use super::lines;
use super::plain::answer_lines;
use super::rooms::Rooms;
use crate::exit::Code;
use crate::report;

/// Keys and answers that may wait.
const WAITING: usize = 256;
/// Entries that are asked for at once when one scrolls up.
const OLDER: usize = 100;
/// What is heard is drawn at most this often: much of it at once is drawn once.
const DRAWING: Duration = Duration::from_millis(30);
/// How often others are told that one is writing.
const TYPING: Duration = Duration::from_secs(4);

/// The terminal as it was, when this is dropped.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = execute!(stdout(), DisableBracketedPaste);
        ratatui::restore();
    }
}

/// What became of a request.
struct Answered {
    ask: Ask,
    came: Result<Good, Wrong>,
}

struct Screen {
    chat: Chat,
    rooms: Rooms,
    editor: Editor,
    answers: mpsc::Sender<Answered>,
    /// A part of the history is asked for.
    is_reading_back: bool,
    told_typing: Option<std::time::Instant>,
}

/// Chats until one quits, or it is over.
///
/// # Errors
/// What the terminal refuses; why the chat is over.
pub async fn run(
    chat: Chat,
    mut heard: mpsc::Receiver<Heard>,
    endpoint: &Endpoint,
    first: &str,
) -> Result<Code, Error> {
    let failed = |e: io::Error| Error::talking(Side::Local, "drawing on the terminal", e);
    let (answers, mut answered) = mpsc::channel(WAITING);
    let mut screen = Screen {
        chat,
        rooms: Rooms {
            state: format!("connecting to {endpoint}"),
            ..Rooms::default()
        },
        editor: Editor::default(),
        answers,
        is_reading_back: false,
        told_typing: None,
    };
    screen.rooms.show(first);
    let look = Look {
        has_colour: report::takes_colour(&stdout()),
    };
    let mut ended = signal(SignalKind::terminate()).map_err(failed)?;
    let mut hung_up = signal(SignalKind::hangup()).map_err(failed)?;
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let restore = Restore;
    execute!(stdout(), EnableBracketedPaste).map_err(failed)?;
    let mut keys = keys();
    let code = loop {
        redraw(&mut terminal, &mut screen, &look).map_err(failed)?;
        tokio::select! {
            key = keys.recv() => match key {
                Some(Ok(event)) => {
                    if !screen.event(event) {
                        break Ok(Code::Done);
                    }
                }
                Some(Err(e)) => break Err(Error::talking(Side::Local, "reading the terminal", e)),
                None => break Ok(Code::Done),
            },
            came = heard.recv() => {
                let over = screen.heard(came);
                // What else came is drawn with it.
                let over = over.or_else(|| drain(&mut heard, &mut screen));
                if let Some(why) = over {
                    break why;
                }
                tokio::time::sleep(DRAWING).await;
            },
            Some(came) = answered.recv() => screen.answered(came),
            _ = ended.recv() => break Ok(Code::Done),
            _ = hung_up.recv() => break Ok(Code::Done),
        }
    };
    drop(restore);
    code
}

fn drain(heard: &mut mpsc::Receiver<Heard>, screen: &mut Screen) -> Option<Result<Code, Error>> {
    while let Ok(came) = heard.try_recv() {
        if let over @ Some(_) = screen.heard(Some(came)) {
            return over;
        }
    }
    None
}

fn redraw(terminal: &mut DefaultTerminal, screen: &mut Screen, look: &Look) -> io::Result<()> {
    let Screen { rooms, editor, .. } = screen;
    terminal.draw(|frame| draw(frame, rooms, editor, look))?;
    Ok(())
}

/// What the terminal says. The thread waits in a read, perhaps for ever, and ends with the program.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (to, keys) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_over = event.is_err();
            if to.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    });
    keys
}

impl Screen {
    /// Something was typed, or the screen has another size. `false` at the end.
    fn event(&mut self, event: Event) -> bool {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => return self.key(key),
            Event::Paste(text) => self.editor.insert(&text),
            _ => {}
        }
        true
    }

    fn key(&mut self, key: KeyEvent) -> bool {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c') if is_control => return false,
            KeyCode::Char('d') if is_control && self.editor.is_empty() => return false,
            KeyCode::Char('n') if is_control => self.step(1),
            KeyCode::Char('p') if is_control => self.step(-1),
            KeyCode::Down if is_alt => self.step(1),
            KeyCode::Up if is_alt => self.step(-1),
            KeyCode::PageUp => self.scroll_up(),
            KeyCode::PageDown => {
                let page = page();
                let room = self.rooms.here();
                room.up = room.up.saturating_sub(page);
            }
            KeyCode::Esc => self.rooms.here().up = 0,
            KeyCode::Tab => {
                let words = self.words();
                self.editor.complete(&words);
            }
            KeyCode::Enter if !is_alt => return self.enter(),
            _ => {
                if self.editor.key(key) {
                    self.tell_typing();
                }
            }
        }
        true
    }

    fn step(&mut self, by: isize) {
        self.rooms.step(by);
        self.note_read();
    }

    fn enter(&mut self) -> bool {
        let line = self.editor.take();
        if line.trim().is_empty() {
            return true;
        }
        self.told_typing = None;
        let shown = self.rooms.shown.clone();
        let here = Here {
            room: &shown,
            own: self.rooms.here().own,
        };
        match command::parse(&line, here) {
            Action::Quit => return false,
            Action::Help => self.help(),
            Action::Wrong(why) => self.rooms.tell(why),
            Action::Leave(room) if room.starts_with('@') => self.rooms.forget(&room),
            Action::Leave(room) => self.ask(Ask::Part {
                room,
                reason: String::new(),
            }),
            Action::Open(room, text) => {
                let is_new = !self.rooms.all.contains_key(&room);
                self.rooms.show(&room);
                if is_new {
                    self.rooms.here().has_older = true;
                    self.read_back();
                }
                if !text.is_empty() {
                    self.ask(Ask::Say {
                        to: command::to(&room),
                        text,
                        manner: Manner::Message,
                        nonce: None,
                        reply: None,
                    });
                }
            }
            Action::Ask(ask) => {
                self.rooms.here().up = 0;
                self.ask(ask);
            }
        }
        true
    }

    fn help(&mut self) {
        for (name, takes, what) in COMMANDS {
            let usage = format!("/{name} {takes}");
            self.rooms.tell(format!("{usage:36} {what}"));
        }
        let keys = "Enter says it, Alt-Enter begins a line, Tab completes, ↑ brings back what you typed; PageUp and \
            PageDown read, Esc goes to the end; Ctrl-N and Ctrl-P (or Alt-↓ and Alt-↑) change the room; Ctrl-C quits";
        self.rooms.tell(keys);
    }

    /// Asks, and shows what came of it when it came.
    fn ask(&self, ask: Ask) {
        let (chat, answers) = (self.chat.clone(), self.answers.clone());
        tokio::spawn(async move {
            let came = chat.ask(ask.clone()).await;
            // The screen may be gone.
            let _ = answers.send(Answered { ask, came }).await;
        });
    }

    fn answered(&mut self, Answered { ask, came }: Answered) {
        match (ask, came) {
            (Ask::History { of, .. }, came) => {
                self.is_reading_back = false;
                let name = of
                    .room
                    .or(of.nick.map(|nick| format!("@{nick}")))
                    .unwrap_or_default();
                match came {
                    Ok(Good::History { entries, more, .. }) => {
                        let is_more = self.rooms.read_back(&name, &entries, more);
                        if is_more && name == self.rooms.shown && self.rooms.here().up > 0 {
                            self.rooms.here().up += page();
                        }
                    }
                    // Nobody is there, and so nothing was said.
                    _ => {
                        if let Some(room) = self.rooms.all.get_mut(&name) {
                            room.has_older = false;
                        }
                    }
                }
            }
            (Ask::Typing { .. } | Ask::Read { .. }, _) => {}
            (Ask::Join { room, .. }, Ok(_)) => {
                self.rooms.show(&room);
                self.note_read();
            }
            (Ask::Part { room, .. }, Ok(_)) => self.rooms.forget(&room),
            (_, Ok(good)) => {
                let lines = answer_lines(&good);
                let is_list = matches!(
                    good,
                    Good::Rooms { .. } | Good::Room { .. } | Good::History { .. }
                );
                if lines.is_empty() && is_list {
                    self.rooms.tell("there is nothing");
                }
                for line in lines {
                    self.rooms.tell(line);
                }
            }
            (ask, Err(wrong)) => {
                self.rooms.tell(lines::clean(&wrong.message));
                // What was refused can be said otherwise.
                if let Ask::Say { text, .. } = ask
                    && self.editor.is_empty()
                {
                    self.editor.set(&text);
                }
            }
        }
    }

    /// What was heard; how it ends, if that is the end.
    fn heard(&mut self, came: Option<Heard>) -> Option<Result<Code, Error>> {
        match came {
            None => return Some(Ok(Code::Done)),
            Some(Heard::Over(why)) => {
                let error = Error::new(Kind::Other, Side::Upstream, "talking to the chat");
                return Some(Err(error.because(lines::clean(&why))));
            }
            Some(came) => self.rooms.hear(came),
        }
        self.note_read();
        None
    }

    /// One has read what is on the screen. Kept for accounts.
    fn note_read(&mut self) {
        let is_guest = self.rooms.you.as_ref().is_none_or(|you| you.guest);
        if is_guest || !self.rooms.is_in {
            return;
        }
        let shown = self.rooms.shown.clone();
        let room = self.rooms.here();
        let last = room.lines.iter().rev().find_map(|line| line.seq);
        if let Some(seq) = last.filter(|seq| room.up == 0 && room.read < *seq) {
            room.read = seq;
            self.ask(Ask::Read {
                of: command::to(&shown),
                seq,
            });
        }
    }

    fn scroll_up(&mut self) {
        let (page, lines) = (page(), self.rooms.here().lines.len());
        let room = self.rooms.here();
        room.up += page;
        if room.up + 2 * page > lines {
            self.read_back();
        }
    }

    fn read_back(&mut self) {
        let shown = self.rooms.shown.clone();
        let room = self.rooms.here();
        if !room.has_older || self.is_reading_back {
            return;
        }
        let before = room.oldest();
        self.is_reading_back = true;
        self.ask(Ask::History {
            of: command::to(&shown),
            before,
            after: None,
            around: None,
            limit: Some(OLDER),
        });
    }

    fn tell_typing(&mut self) {
        let is_new = self.told_typing.is_none_or(|told| told.elapsed() > TYPING);
        if !is_new
            || !self.rooms.is_in
            || self.editor.is_empty()
            || self.editor.text().starts_with('/')
        {
            return;
        }
        self.told_typing = Some(std::time::Instant::now());
        self.ask(Ask::Typing {
            to: command::to(&self.rooms.shown),
            active: true,
        });
    }

    /// What a word may become.
    fn words(&mut self) -> Vec<String> {
        let you = self.rooms.you.as_ref().map(|you| you.nick.clone());
        let mut words: Vec<String> = COMMANDS
            .iter()
            .map(|(name, ..)| format!("/{name}"))
            .collect();
        let names = self.rooms.all.keys().filter(|name| !name.starts_with('@'));
        words.extend(names.flat_map(|name| [format!("#{name}"), name.clone()]));
        let members = self
            .rooms
            .here()
            .members
            .values()
            .filter(|nick| Some(*nick) != you.as_ref());
        let nicks: Vec<String> = members.cloned().collect();
        words.splice(
            0..0,
            nicks
                .iter()
                .flat_map(|nick| [nick.clone(), format!("@{nick}")]),
        );
        words
    }
}

/// How far a key for a page goes.
fn page() -> usize {
    let (_, height) = ratatui::crossterm::terminal::size().unwrap_or((80, 24));
    usize::from(height.saturating_sub(4)).max(1)
}
