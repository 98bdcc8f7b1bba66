//! A client of the chat, over WebSocket: it comes back by itself, and misses nothing.
//!
//! [`Chat::begin`] gives two ends: the [`Chat`], with which one asks, and the [`Heard`]s that come. Behind them a task
//! keeps the connection. When that breaks it connects again, after a pause that grows; enters again; and resumes each
//! room and each conversation of two where it was, so that each entry is heard once and in its place, or [`Heard::Lost`] says
//! that some cannot be. What was being said then is said again under the same nonce, and so appended once. A guest who
//! comes back is the same one, by a token that the server gave them.
//!
//! ```no_run
//! use bandy::client::chat::{Chat, Heard, Options};
//! use bandy::net::Dialer;
//! use bandy::services::chat::json::wire::Happening;
//!
//! # async fn talk() -> bandy::Result<()> {
//! let options = Options::new("ws://127.0.0.1:8001/ws".parse().expect("an endpoint")).guest("ada").room("lobby");
//! let (chat, mut heard) = Chat::begin(Dialer::plain(), options);
//! chat.say("lobby", "Hello").await.expect("may be said");
//! while let Some(heard) = heard.recv().await {
//!     if let Heard::Happening(Happening::Logged(entry)) = heard {
//!         println!("{entry:?}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod keep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use crate::accounts::Secret;
use crate::endpoint::Endpoint;
use crate::net::Dialer;
use crate::services::chat::json::wire::{Ask, At, Good, Happening, Somebody, To, Wrong};
use crate::services::chat::model::Manner;

/// Requests that may wait for the connection.
const ASKED: usize = 256;
/// What is heard and not taken yet: beyond it the connection is not read.
const HEARD: usize = 1024;

/// Who somebody is, as they say it to the server.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Who {
    /// A guest, who gets a name from the server.
    #[default]
    Anybody,
    /// A guest who wants to be called so.
    Guest(String),
    /// A user with their password.
    User(String, Secret),
    /// Whoever's session it is that this is the token of.
    Token(Secret),
}

/// Where, who, and which rooms.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// A chat's WebSocket: `ws://127.0.0.1:8001/ws`.
    pub endpoint: Endpoint,
    /// Who comes.
    pub who: Who,
    /// The rooms to begin in. Those that are joined later with [`Ask::Join`] are resumed, too.
    pub rooms: Vec<String>,
    /// So many of the last entries are heard of a room that is new to the client.
    pub recent: usize,
    /// The shortest pause before it connects again; it doubles with each failure.
    pub pause: Duration,
    /// The longest.
    pub pause_max: Duration,
    /// How long connecting may take, and a server be silent before it is asked for a sign of life and gives none.
    pub timeout: Duration,
}

impl Options {
    /// A guest who is in no room yet.
    pub fn new(endpoint: Endpoint) -> Options {
        Options {
            endpoint,
            who: Who::Anybody,
            rooms: Vec::new(),
            recent: 50,
            pause: Duration::from_millis(250),
            pause_max: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
        }
    }

    /// Whoever this is.
    pub fn who(mut self, who: Who) -> Options {
        self.who = who;
        self
    }

    /// A guest who wants to be called so.
    pub fn guest(self, nick: impl Into<String>) -> Options {
        self.who(Who::Guest(nick.into()))
    }

    /// Begins in this room, too.
    pub fn room(mut self, room: impl Into<String>) -> Options {
        self.rooms.push(room.into());
        self
    }
}

/// What comes of a conversation.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Heard {
    /// It is connected, and has entered.
    Connected(Somebody),
    /// One is in a room, for the first time or again: what it is like now. What was missed there follows.
    Joined(Box<crate::services::chat::json::wire::Room>),
    /// A room could not be joined, and is not tried again.
    NotJoined(String, Wrong),
    /// Something happened, now or while the connection was broken.
    Happening(Happening),
    /// Entries of this room or conversation between the last that was heard and the next one are not there any more.
    Lost(String),
    /// The connection is broken: why, and when it is tried again.
    Broken(String, Duration),
    /// It is over, and nothing comes after it: why.
    Over(String),
}

/// One's end of the chat. Cheap to clone; with the last clone the connection ends.
#[derive(Debug, Clone)]
pub struct Chat {
    to: mpsc::Sender<Asked>,
    stem: std::sync::Arc<(String, AtomicU64)>,
}

/// A request, and who waits for its answer.
#[derive(Debug)]
struct Asked {
    ask: Ask,
    answer: oneshot::Sender<Result<Good, Wrong>>,
}

impl Chat {
    /// Begins to keep a connection, in a task of the runtime that this is called in.
    pub fn begin(dialer: Dialer, options: Options) -> (Chat, mpsc::Receiver<Heard>) {
        let (to, asked) = mpsc::channel(ASKED);
        let (heard, out) = mpsc::channel(HEARD);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seed = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        tokio::spawn(keep::keep(dialer, options, asked, heard, seed));
        let stem = format!("{seed:x}-{:x}", std::process::id());
        let stem = std::sync::Arc::new((stem, AtomicU64::new(0)));
        (Chat { to, stem }, out)
    }

    /// Asks for something, and waits for the answer; over a broken connection for as long as it takes. What is said
    /// gets a nonce where it has none. What else was sent when the connection broke may have been done or not.
    ///
    /// # Errors
    /// Why it was not done; `over` where the conversation is.
    pub async fn ask(&self, mut ask: Ask) -> Result<Good, Wrong> {
        if let Ask::Say { nonce, .. } = &mut ask
            && nonce.is_none()
        {
            let (stem, count) = &*self.stem;
            *nonce = Some(format!("{stem}.{}", count.fetch_add(1, Ordering::Relaxed)));
        }
        let (answer, answered) = oneshot::channel();
        if self.to.send(Asked { ask, answer }).await.is_err() {
            return Err(over());
        }
        answered.await.unwrap_or_else(|_| Err(over()))
    }

    /// Says something in a room: where it stands, once it is durable.
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn say(&self, room: &str, text: &str) -> Result<At, Wrong> {
        self.say_to(To::room(room), text).await
    }

    /// As [`Chat::say`], to a room or to somebody.
    ///
    /// # Errors
    /// As [`Chat::ask`].
    pub async fn say_to(&self, to: To, text: &str) -> Result<At, Wrong> {
        let ask = Ask::Say {
            to,
            text: text.to_owned(),
            manner: Manner::Message,
            nonce: None,
            reply: None,
        };
        match self.ask(ask).await? {
            Good::Logged { at, .. } => Ok(at),
            _ => Err(wrong("protocol", "the server's answer is none to this")),
        }
    }
}

fn over() -> Wrong {
    wrong("over", "the conversation is over")
}

fn wrong(code: &str, message: &str) -> Wrong {
    Wrong {
        code: code.to_owned(),
        message: message.to_owned(),
        wait: None,
    }
}
