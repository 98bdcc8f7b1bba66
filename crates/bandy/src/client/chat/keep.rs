//! Keeping the connection: connect, enter, resume, listen; and again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Asked, Heard, Options, Who, over, wrong};
use crate::error::{Error, Kind, Result, Side};
use crate::net::{Conn, Dialer, Message, Phases};
use crate::services::chat::json::wire::{
    Ask, At, Came, FromServer, Good, Happening, Is, Live, Logged, Request, Somebody, To, Wrong,
};

/// What happens live while rooms are being resumed: more, and it begins anew.
const HELD: usize = 100_000;

/// Why a connection is over.
enum End {
    /// It may be tried again.
    Broken(Error),
    /// It is not to be tried again.
    Over(String),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        End::Broken(error)
    }
}

type Answered = oneshot::Sender<std::result::Result<Good, Wrong>>;

struct Keeper {
    options: Options,
    asked: mpsc::Receiver<Asked>,
    heard: mpsc::Sender<Heard>,
    /// The last entry that was heard, in each room that one is in; `None` where nothing was.
    rooms: BTreeMap<String, Option<At>>,
    /// The last entry that was heard, in each conversation of two.
    direct: BTreeMap<String, At>,
    /// Whether it is known which conversations there were before this one came.
    has_looked: bool,
    /// Who one is.
    you: Option<String>,
    /// What a guest comes back with.
    guest: Option<String>,
    /// Sent, and not answered.
    waiting: HashMap<u64, (Ask, Answered)>,
    /// To be sent again, in their order.
    again: VecDeque<(Ask, Answered)>,
    count: u64,
}

/// Keeps a connection until it is over for good, or nobody wants it any more.
pub(super) async fn keep(
    dialer: Dialer,
    options: Options,
    asked: mpsc::Receiver<Asked>,
    heard: mpsc::Sender<Heard>,
    seed: u64,
) {
    let rooms = options
        .rooms
        .iter()
        .map(|room| (folded(room), None))
        .collect();
    let mut keeper = Keeper {
        options,
        asked,
        heard,
        rooms,
        direct: BTreeMap::new(),
        has_looked: false,
        you: None,
        guest: None,
        waiting: HashMap::new(),
        again: VecDeque::new(),
        count: 0,
    };
    let mut pause = keeper.options.pause;
    let mut seed = seed | 1;
    loop {
        let since = Instant::now();
        let end = keeper.once(&dialer).await;
        keeper.take_back();
        let why = match end {
            Ok(()) => return,
            Err(End::Over(why)) => {
                // Whoever does not listen any more needs not be told.
                let _ = keeper.heard.send(Heard::Over(why)).await;
                return;
            }
            Err(End::Broken(error)) => error.to_string(),
        };
        if since.elapsed() > keeper.options.pause_max {
            pause = keeper.options.pause;
        }
        // Up to half more, so that not all who were cut come back at one moment (xorshift).
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let wait = pause + pause.mul_f64((seed % 1000) as f64 / 2000.0);
        if keeper.heard.send(Heard::Broken(why, wait)).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(keeper.options.pause_max);
    }
}

fn folded(room: &str) -> String {
    room.trim_start_matches('#').to_ascii_lowercase()
}

impl Keeper {
    /// One connection, from its beginning to its end. `Ok` where nobody wants it any more.
    async fn once(&mut self, dialer: &Dialer) -> std::result::Result<(), End> {
        let mut phases = Phases::default();
        let connecting = dialer.connect(&self.options.endpoint, &mut phases);
        let Ok(conn) = timeout(self.options.timeout, connecting).await else {
            return Err(timed_out("connecting").into());
        };
        let mut conn = conn?;
        let mut held = VecDeque::new();
        self.enter(&mut conn, &mut held).await?;
        for room in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.resume(&mut conn, room, &mut held).await?;
        }
        self.resume_direct(&mut conn, &mut held).await?;
        for happening in held {
            if !self.hear(happening).await {
                return Ok(());
            }
        }
        for (ask, answer) in std::mem::take(&mut self.again) {
            self.send(&mut conn, ask, answer).await?;
        }
        self.listen(&mut conn).await
    }

    async fn enter(
        &mut self,
        conn: &mut Conn,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<(), End> {
        let (mut nick, mut user, mut password, mut token) = (None, None, None, None);
        match &self.options.who {
            Who::Anybody => {}
            Who::Guest(wish) => nick = Some(wish.clone()),
            Who::User(name, secret) => {
                user = Some(name.clone());
                password = Some(secret.expose().to_owned());
            }
            Who::Token(secret) => token = Some(secret.expose().to_owned()),
        }
        let ask = Ask::Enter {
            nick,
            user,
            password,
            token,
            guest: self.guest.clone(),
        };
        match self.ask_now(conn, ask, held).await? {
            Ok(Good::Entered { you, guest, .. }) => {
                // A guest who comes back is the same one: what they said under a nonce is known, to whomever it was.
                // One who was not there before has no conversations.
                self.has_looked |= guest.is_some() && self.guest.is_none();
                self.guest = guest;
                self.you = Some(you.id.clone());
                let _ = self.heard.send(Heard::Connected(you)).await;
                Ok(())
            }
            Ok(_) => Err(protocol("the answer to entering is none").into()),
            Err(wrong) if wrong.wait.is_some() => Err(End::Broken(protocol(&wrong.message))),
            Err(wrong) => Err(End::Over(wrong.message)),
        }
    }

    /// Goes into a room, and hears all of what was missed there, before anything else of it.
    async fn resume(
        &mut self,
        conn: &mut Conn,
        room: String,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<(), End> {
        let after = self.rooms.get(&room).copied().flatten();
        let recent = after.is_none().then_some(self.options.recent);
        let ask = Ask::Join {
            room: room.clone(),
            password: None,
            after,
            recent,
        };
        match self.ask_now(conn, ask, held).await? {
            Ok(good) => self.joined(conn, good, after, held).await,
            Err(wrong) => {
                self.rooms.remove(&room);
                let _ = self.heard.send(Heard::NotJoined(room, wrong)).await;
                Ok(())
            }
        }
    }

    async fn joined(
        &mut self,
        conn: &mut Conn,
        good: Good,
        after: Option<At>,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<(), End> {
        let Good::Joined {
            room,
            history,
            lost,
            more,
        } = good
        else {
            return Err(protocol("the answer to joining is none").into());
        };
        let (name, from) = (room.name.clone(), room.from);
        let _ = self.heard.send(Heard::Joined(room)).await;
        if lost {
            let _ = self.heard.send(Heard::Lost(name.clone())).await;
        }
        let mut last = history.last().map(|entry| entry.at.seq);
        for entry in history {
            self.hear(Happening::Logged(entry)).await;
        }
        let mut more = more && after.is_some();
        while more && let Some(seq) = last {
            let ask = Ask::History {
                of: To::room(name.clone()),
                before: Some(from.seq.saturating_add(1)),
                after: Some(seq),
                around: None,
                limit: Some(1000),
            };
            let Ok(Good::History {
                entries,
                more: further,
                ..
            }) = self.ask_now(conn, ask, held).await?
            else {
                break;
            };
            more = further && !entries.is_empty();
            last = entries.last().map(|entry| entry.at.seq);
            for entry in entries {
                self.hear(Happening::Logged(entry)).await;
            }
        }
        // Also where nothing was said yet: what is resumed from is this.
        self.rooms.insert(name, Some(from));
        Ok(())
    }

    /// Hears all that was missed in conversations of two, those too that were begun meanwhile. What was said in them
    /// before the first connection is not heard.
    async fn resume_direct(
        &mut self,
        conn: &mut Conn,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<(), End> {
        let answer = self.ask_now(conn, Ask::Unread, held).await?;
        let Ok(Good::Unread { rooms }) = answer else {
            return Err(protocol("the answer to what is unread is none").into());
        };
        for line in rooms.into_iter().filter(|line| line.room.starts_with('@')) {
            let (epoch, room) = (line.epoch, line.room);
            let seq = if self.has_looked { 0 } else { line.last };
            let at = *self.direct.entry(room.clone()).or_insert(At { epoch, seq });
            if at.epoch != epoch {
                let _ = self.heard.send(Heard::Lost(room.clone())).await;
                self.catch_up(conn, room, At { epoch, seq: 0 }, held)
                    .await?;
            } else if at.seq < line.last {
                self.catch_up(conn, room, at, held).await?;
            }
        }
        self.has_looked = true;
        Ok(())
    }

    /// Hears a conversation of two from behind a place on.
    async fn catch_up(
        &mut self,
        conn: &mut Conn,
        room: String,
        after: At,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<(), End> {
        let mut seq = after.seq;
        loop {
            let ask = Ask::History {
                of: To::room(room.clone()),
                before: None,
                after: Some(seq),
                around: None,
                limit: Some(1000),
            };
            let Ok(Good::History {
                entries,
                lost,
                more,
                oldest,
                ..
            }) = self.ask_now(conn, ask, held).await?
            else {
                return Ok(());
            };
            if lost {
                let _ = self.heard.send(Heard::Lost(room.clone())).await;
            }
            let last = entries.last().map(|entry| entry.at.seq);
            for entry in entries {
                self.hear(Happening::Logged(entry)).await;
            }
            match last {
                Some(last) if more => seq = last,
                None if lost && oldest > seq.saturating_add(1) => seq = oldest.saturating_sub(1),
                _ => return Ok(()),
            }
        }
    }

    /// Asks, and waits for the answer; what happens meanwhile is held.
    async fn ask_now(
        &mut self,
        conn: &mut Conn,
        ask: Ask,
        held: &mut VecDeque<Happening>,
    ) -> std::result::Result<std::result::Result<Good, Wrong>, End> {
        self.count += 1;
        let number = self.count;
        write(
            conn,
            &Request {
                reference: number,
                ask,
            },
        )
        .await?;
        let deadline = Instant::now() + self.options.timeout;
        loop {
            let Ok(message) = timeout_at(deadline, read(conn)).await else {
                return Err(timed_out("waiting for an answer").into());
            };
            match message? {
                FromServer::Answer(answer) if answer.re == Some(number) => {
                    return Ok(match answer.came {
                        Came::Ok(good) => Ok(*good),
                        Came::Error(wrong) => Err(wrong),
                    });
                }
                FromServer::Answer(_) => {}
                FromServer::Happening(happening) if held.len() < HELD => {
                    self.note_direct(&happening);
                    held.push_back(*happening);
                }
                FromServer::Happening(_) => {
                    return Err(protocol("too much happens to come in").into());
                }
            }
        }
    }

    /// A conversation that is held for later is heard from there on, also after another break.
    fn note_direct(&mut self, happening: &Happening) {
        if let Happening::Logged(Logged { room, at, .. }) = happening
            && room.starts_with('@')
        {
            self.direct.entry(room.clone()).or_insert(before(at));
        }
    }

    /// Listens and asks until the end.
    async fn listen(&mut self, conn: &mut Conn) -> std::result::Result<(), End> {
        let mut is_asked = false;
        loop {
            tokio::select! {
                message = timeout(self.options.timeout, read(conn)) => match message {
                    Ok(message) => {
                        is_asked = false;
                        match message? {
                            FromServer::Answer(answer) => self.answered(conn, answer).await?,
                            FromServer::Happening(happening) => {
                                if !self.hear(*happening).await {
                                    return Ok(());
                                }
                            }
                        }
                    }
                    // A connection that went away without a word is noticed by asking.
                    Err(_) if is_asked => return Err(timed_out("waiting for a sign of life").into()),
                    Err(_) => {
                        is_asked = true;
                        self.count += 1;
                        write(conn, &Request { reference: self.count, ask: Ask::Ping }).await?;
                    }
                },
                asked = self.asked.recv() => match asked {
                    Some(Asked { ask, answer }) => self.send(conn, ask, answer).await?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn send(&mut self, conn: &mut Conn, ask: Ask, answer: Answered) -> Result<()> {
        self.count += 1;
        let request = Request {
            reference: self.count,
            ask,
        };
        let done = write(conn, &request).await;
        self.waiting.insert(self.count, (request.ask, answer));
        done
    }

    async fn answered(
        &mut self,
        conn: &mut Conn,
        answer: crate::services::chat::json::wire::Answer,
    ) -> std::result::Result<(), End> {
        let Some((ask, waits)) = answer.re.and_then(|number| self.waiting.remove(&number)) else {
            return Ok(());
        };
        let came = match answer.came {
            Came::Ok(good) => Ok(*good),
            Came::Error(wrong) => Err(wrong),
        };
        match (&ask, &came) {
            (Ask::Join { after, .. }, Ok(good @ Good::Joined { .. })) => {
                let (good, after) = (good.clone(), *after);
                let mut held = VecDeque::new();
                self.joined(conn, good, after, &mut held).await?;
                for happening in held {
                    self.hear(happening).await;
                }
            }
            (Ask::Part { room, .. }, Ok(_)) => {
                self.rooms.remove(&folded(room));
            }
            (Ask::Nick { nick }, Ok(_)) => self.options.who = Who::Guest(nick.clone()),
            _ => {}
        }
        // Whoever asked may have gone.
        let _ = waits.send(came);
        Ok(())
    }

    /// Tells what happened, each entry once. `false` where nobody listens any more.
    async fn hear(&mut self, happening: Happening) -> bool {
        match &happening {
            Happening::Logged(Logged { room, at, .. }) => {
                if let Some(last) = self.rooms.get_mut(room) {
                    if last.is_some_and(|last| last.epoch == at.epoch && at.seq <= last.seq) {
                        return true;
                    }
                    *last = Some(*at);
                } else if room.starts_with('@') {
                    let last = self.direct.entry(room.clone()).or_insert(before(at));
                    if last.epoch == at.epoch && at.seq <= last.seq {
                        return true;
                    }
                    *last = *at;
                }
            }
            Happening::Live(Live::Hello { .. }) => return true,
            Happening::Live(Live::Membership {
                room,
                member: false,
            }) => {
                self.rooms.remove(room);
            }
            Happening::Live(Live::Parted { room, who, .. }) if self.is_you(who) => {
                self.rooms.remove(room);
            }
            Happening::Live(Live::Lost { room, through }) => {
                if let Some(Some(last)) = self.rooms.get_mut(room) {
                    last.seq = last.seq.max(*through);
                }
            }
            Happening::Live(_) => {}
        }
        // Whoever was put out does not go in again by themselves.
        if let Happening::Logged(Logged { room, what, .. }) = &happening
            && let Is::Kicked { who, .. } = what
            && self.is_you(who)
        {
            self.rooms.remove(room);
        }
        self.heard.send(Heard::Happening(happening)).await.is_ok()
    }

    fn is_you(&self, who: &Somebody) -> bool {
        self.you.as_ref() == Some(&who.id)
    }

    /// What was sent and not answered: what was said is said again, the rest is told.
    fn take_back(&mut self) {
        let mut waiting: Vec<_> = self.waiting.drain().collect();
        waiting.sort_by_key(|(number, _)| *number);
        for (_, (ask, answer)) in waiting {
            match ask {
                Ask::Say { .. } => self.again.push_back((ask, answer)),
                _ => {
                    let _ = answer.send(Err(wrong(
                        "broken",
                        "the connection broke; it may be done or not",
                    )));
                }
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for (_, answer) in self.again.drain(..) {
            let _ = answer.send(Err(over()));
        }
    }
}

/// The place before this one.
fn before(at: &At) -> At {
    At {
        epoch: at.epoch,
        seq: at.seq.saturating_sub(1),
    }
}

async fn write(conn: &mut Conn, request: &Request) -> Result<()> {
    let text = serde_json::to_string(request)
        .map_err(|e| Error::new(Kind::Other, Side::Local, "writing a request").because(e))?;
    conn.send(Message::text(text)).await
}

/// The next message.
async fn read(conn: &mut Conn) -> std::result::Result<FromServer, End> {
    match conn.recv().await? {
        Some(message) => match serde_json::from_slice(&message.data) {
            Ok(message) => Ok(message),
            Err(e) => Err(protocol(&format!("what came is not chat: {e}")).into()),
        },
        None => match conn.close_code() {
            // These say not to come back.
            Some(code @ (3500..=3999 | 4500..=4999)) => {
                Err(End::Over(format!("the server ended it ({code})")))
            }
            code => {
                let why = code.map_or("the server ended it".to_owned(), |code| {
                    format!("the server ended it ({code})")
                });
                let error = Error::new(Kind::Closed, Side::Upstream, "talking to the chat");
                Err(End::Broken(error.because(why)))
            }
        },
    }
}

fn timed_out(doing: &str) -> Error {
    Error::new(Kind::TimedOut, Side::Upstream, doing.to_owned())
}

fn protocol(why: &str) -> Error {
    Error::new(Kind::Protocol, Side::Upstream, "talking to the chat").because(why)
}
