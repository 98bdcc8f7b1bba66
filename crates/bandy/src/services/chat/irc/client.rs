//! One client: what it says, what it hears, and what its silence means.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_util::FutureExt;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::Shared;
use super::out::Out;
use super::refusal::{self, Act};
use super::registration::Registration;
use super::wire::Wire;
use super::{NETWORK, welcome};
use crate::error::{Error, Result};
use crate::services::chat::hub::now;
use crate::services::chat::model::{
    Answer, Author, Command, Entry, Event, Id, Millis, Person, Refused, Role, RoomName,
};
use crate::services::chat::{Cut, Hub, LOBBY, Session, Told};
use crate::wire::irc::{Fault, Line, Message, TAG_BYTES_CLIENT, numeric, text};

/// From the first byte to the welcome. Absolute.
const REGISTER: Duration = Duration::from_secs(60);
/// How long one waits for one's own words to come back.
const ECHO: Duration = Duration::from_secs(5);
/// Own messages whose coming back is still to be passed over, at most.
const SENT: usize = 64;
/// Nicks that are remembered of those one has spoken with.
const NICKS: usize = 256;
/// The longest label (IRCv3 labeled-response). Bytes.
const LABEL: usize = 64;
/// What is collected to be written in one go.
const WRITE: usize = 64 << 10;

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub out: Out,
    pub hub: Hub,
    pub shared: Arc<Shared>,
    pub address: Option<IpAddr>,
    pub registration: Registration,
    /// Who it is, once it was welcomed.
    pub me: Author,
    pub session: Option<Session>,
    /// The rooms that this client has joined.
    pub rooms: BTreeSet<RoomName>,
    /// Who has which role in them: letters that go are told too.
    pub roles: BTreeMap<RoomName, HashMap<Person, Role, RandomState>>,
    /// Rooms that another client of the same account has joined.
    pub to_join: Vec<RoomName>,
    /// What those are called that one has spoken with.
    pub nicks: HashMap<Person, String, RandomState>,
    /// What this client said itself and has not heard yet.
    sent: VecDeque<Id>,
    /// Why it is sent away.
    pub over: Option<String>,
    failed: Option<Error>,
    opened: Instant,
    heard: Instant,
    is_asked: bool,
}

/// Talks with a client until either side ends it.
pub(super) async fn talk(mut client: Client, mut wire: Wire) -> Result<()> {
    loop {
        client.follow_others().await;
        client.drain();
        if !client.out.is_empty() {
            let lines = client.out.take();
            tokio::select! {
                biased;
                sent = wire.send(lines) => sent?,
                // Whoever does not read is not waited for once the chat has given them up.
                cut = cut(client.session.as_ref()) => {
                    client.told(Err(cut));
                    return Err(wire.too_slow());
                }
            }
        }
        if client.over.is_some() {
            let failed = client.failed.take();
            drop(client);
            wire.close().await;
            return failed.map_or(Ok(()), Err);
        }
        let deadline = client.deadline();
        tokio::select! {
            line = wire.next() => match line {
                // Boxed: what a command needs is there only as long as it is done.
                Ok(Some(line)) => Box::pin(client.hear(line)).await,
                Ok(None) => {
                    client.leave("Connection closed");
                    drop(client);
                    wire.close().await;
                    return Ok(());
                }
                Err(e) => {
                    client.leave("Connection lost");
                    return Err(e);
                }
            },
            told = next(client.session.as_ref()) => client.told(told),
            () = tokio::time::sleep_until(deadline) => client.silent(),
        }
    }
}

async fn next(session: Option<&Session>) -> Result<Arc<Told>, Cut> {
    match session {
        Some(session) => session.next().await,
        None => std::future::pending().await,
    }
}

async fn cut(session: Option<&Session>) -> Cut {
    match session {
        Some(session) => std::future::poll_fn(|cx| session.poll_cut(cx)).await,
        None => std::future::pending().await,
    }
}

impl Client {
    pub fn new(hub: Hub, shared: Arc<Shared>, address: Option<IpAddr>) -> Client {
        let now = Instant::now();
        Client {
            out: Out::new(shared.server.clone()),
            hub,
            shared,
            address,
            registration: Registration::default(),
            me: Author {
                nick: "*".to_owned(),
                person: Person::guest(0, 0),
            },
            session: None,
            rooms: BTreeSet::new(),
            roles: BTreeMap::new(),
            to_join: Vec::new(),
            nicks: HashMap::default(),
            sent: VecDeque::new(),
            over: None,
            failed: None,
            opened: now,
            heard: now,
            is_asked: false,
        }
    }

    pub fn is_registered(&self) -> bool {
        self.session.is_some()
    }

    pub fn now(&self) -> Millis {
        now()
    }

    /// A line came.
    async fn hear(&mut self, line: Line) {
        self.heard = Instant::now();
        self.is_asked = false;
        // What had happened before it came is told before it is answered.
        self.drain();
        let line = match line {
            Line::Text(line) => line,
            Line::TooLong => {
                return self
                    .out
                    .reply(numeric::ERR_INPUTTOOLONG, &[], "Input line was too long");
            }
        };
        match Message::parse_bytes(&line, TAG_BYTES_CLIENT) {
            Ok(message) => {
                self.answer_to(&message);
                self.command(&message).await;
                self.out.answered();
            }
            Err(Fault::Utf8) => self.not_utf8(&line),
            Err(Fault::TooLong | Fault::TagsTooLong) => {
                self.out
                    .reply(numeric::ERR_INPUTTOOLONG, &[], "Input line was too long");
            }
            Err(Fault::Command) => self.unknown("*"),
            // Somebody tries to say two lines in one, or nothing that could be answered.
            Err(Fault::Control | Fault::Empty) => {}
        }
    }

    fn answer_to(&mut self, message: &Message<'_>) {
        let label = message.tag("label").filter(|label| label.len() <= LABEL);
        self.out.answer_to(label.map(std::borrow::Cow::into_owned));
    }

    /// A line that is not UTF-8 is not done (IRCv3 UTF8ONLY), and its command is told that.
    fn not_utf8(&mut self, line: &[u8]) {
        let readable = String::from_utf8_lossy(line);
        let Ok(message) = Message::parse(&readable, TAG_BYTES_CLIENT) else {
            return;
        };
        self.answer_to(&message);
        let command = message.command.to_ascii_uppercase();
        let text = "Message rejected: your client has to send UTF-8";
        self.out.fail(&command, "INVALID_UTF8", &[], text);
        self.out.answered();
    }

    async fn command(&mut self, message: &Message<'_>) {
        let command = message.command.to_ascii_uppercase();
        match command.as_str() {
            "CAP" => return self.cap(message).await,
            "PING" => return self.ping(message),
            "PONG" => return,
            "QUIT" => return self.quit(message),
            "NICK" if !self.is_registered() => return self.wish(message).await,
            "USER" => return self.user(message).await,
            "PASS" => return self.pass(message),
            "AUTHENTICATE" => return self.authenticate(message).await,
            _ if !self.is_registered() => {
                return self
                    .out
                    .reply(numeric::ERR_NOTREGISTERED, &[], "You have not registered");
            }
            _ => {}
        }
        match command.as_str() {
            "PRIVMSG" => self.privmsg(message).await,
            "NOTICE" => self.notice(message).await,
            "TAGMSG" => self.tagmsg(message).await,
            "REDACT" => self.redact(message).await,
            "JOIN" => self.join(message).await,
            "PART" => self.part(message).await,
            "TOPIC" => self.topic(message).await,
            "NAMES" => self.names(message).await,
            "LIST" => self.list(message).await,
            "KICK" => self.kick(message).await,
            "INVITE" => self.invite(message).await,
            "MODE" => self.mode(message).await,
            "NICK" => self.nick(message).await,
            "AWAY" => self.away(message).await,
            "WHO" => self.who(message).await,
            "WHOIS" => self.whois(message).await,
            "WHOWAS" => self.whowas(message),
            "ISON" => self.ison(message),
            "USERHOST" => self.userhost(message),
            "CHATHISTORY" => self.chathistory(message).await,
            "MOTD" => self.motd(),
            "LUSERS" => self.lusers().await,
            "VERSION" => welcome::version(&mut self.out, NETWORK),
            "TIME" => welcome::time(&mut self.out, OffsetDateTime::now_utc()),
            "INFO" => welcome::info(&mut self.out, self.shared.since),
            "HELP" | "HELPOP" => welcome::help(&mut self.out, message.param(0)),
            _ => self.unknown(message.command),
        }
    }

    pub fn unknown(&mut self, command: &str) {
        self.out
            .reply(numeric::ERR_UNKNOWNCOMMAND, &[command], "Unknown command");
    }

    /// A parameter, or that it is missing is told.
    pub fn needs<'m>(&mut self, message: &Message<'m>, at: usize) -> Option<&'m str> {
        let param = message.param(at);
        if param.is_none() {
            let command = message.command.to_ascii_uppercase();
            self.out.reply(
                numeric::ERR_NEEDMOREPARAMS,
                &[&command],
                "Not enough parameters",
            );
        }
        param
    }

    fn ping(&mut self, message: &Message<'_>) {
        if let Some(token) = self.needs(message, 0) {
            let server = self.out.server().to_owned();
            self.out
                .say("PONG", |line| line.param(&server).text(token).end_cut());
        }
    }

    fn quit(&mut self, message: &Message<'_>) {
        let reason = text::plain(message.param(0).unwrap_or_default()).into_owned();
        match reason.is_empty() {
            true => self.leave("Client quit"),
            false => self.leave(&format!("Quit: {reason}")),
        }
    }

    pub fn motd(&mut self) {
        let options = self.hub.options();
        let lobby = options.room();
        let lobby = lobby.as_ref().map_or(LOBBY, RoomName::as_str);
        welcome::motd(&mut self.out, lobby, &options.welcome);
    }

    pub async fn lusers(&mut self) {
        let people = self.hub.0.with(|world| world.everybody().len());
        let rooms = match self.ask(Command::Rooms).await {
            Ok(Answer::Rooms(rooms)) => rooms.len(),
            _ => 0,
        };
        welcome::lusers(&mut self.out, people, rooms);
    }

    /// Asks the chat for something.
    pub async fn ask(&mut self, command: Command) -> Result<Answer, Refused> {
        let Some(session) = &self.session else {
            return Err(Refused::Over);
        };
        match session.command(command).await {
            Ok(answer) => answer,
            Err(failed) => {
                self.out.reply(
                    numeric::ERR_UNKNOWNERROR,
                    &["*"],
                    "The server failed to do this",
                );
                self.failed.get_or_insert(failed);
                self.leave("Something failed here; connect again");
                Err(Refused::Over)
            }
        }
    }

    /// Asks for something that is then heard of: what comes back of it is the answer. Whether it was done; why not is told.
    pub async fn change(&mut self, command: Command, act: Act, name: &str, about: &str) -> bool {
        match self.ask(command).await {
            Ok(Answer::Logged(id)) => self.comes_back(&id).await,
            Ok(_) => self.drain(),
            Err(Refused::Over) => return false,
            Err(why) => {
                refusal::tell(&mut self.out, act, name, about, &why);
                return false;
            }
        }
        true
    }

    /// This client said something. Who wants to hear it itself does so in its place among what others say, as the answer.
    pub async fn said(&mut self, id: Id) {
        use crate::wire::irc::capability::Capability::EchoMessage;
        if self.sent.len() >= SENT {
            self.sent.pop_front();
        }
        self.sent.push_back(id.clone());
        if self.out.has(EchoMessage) {
            self.comes_back(&id).await;
        }
    }

    /// Whether an entry is what this client said. It is asked once.
    pub fn is_own_echo(&mut self, id: &Id, entry: &Entry) -> bool {
        if !self.is_me(&entry.by) {
            return false;
        }
        match self.sent.iter().position(|sent| sent == id) {
            Some(at) => self.sent.remove(at).is_some(),
            None => false,
        }
    }

    /// Tells what happened up to and with this entry.
    async fn comes_back(&mut self, id: &Id) {
        if !id.room.is_direct() && !self.rooms.contains(&id.room) {
            return;
        }
        let until = Instant::now() + ECHO;
        loop {
            let told = tokio::time::timeout_at(until, next(self.session.as_ref())).await;
            match told {
                Ok(told) => {
                    let is_it = matches!(&told, Ok(told) if matches!(&told.event,
                        Event::Logged { id: logged, .. } if logged.room == id.room && logged.seq >= id.seq));
                    self.told(told);
                    if is_it || self.over.is_some() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Tells all that has happened by now, as far as it is to be written in one go.
    pub fn drain(&mut self) {
        while self.out.bytes() < WRITE && self.over.is_none() {
            let Some(told) = self
                .session
                .as_ref()
                .and_then(|session| session.next().now_or_never())
            else {
                return;
            };
            self.told(told);
        }
    }

    fn told(&mut self, told: Result<Arc<Told>, Cut>) {
        match told {
            Ok(told) => {
                // What others do is no answer to what this client asked for.
                match self.is_own(&told.event) {
                    true => self.tell(&told),
                    false => {
                        let answer = self.out.aside();
                        self.tell(&told);
                        self.out.go_on(answer);
                    }
                }
            }
            Err(Cut::Slow) => self.leave(
                "You did not read fast enough; connect again, and ask CHATHISTORY for the rest",
            ),
            Err(_) => self.leave("The server is going down"),
        }
    }

    fn is_own(&self, event: &Event) -> bool {
        let by = match event {
            Event::Logged { entry, .. } => &entry.by,
            Event::Parted { who, .. } | Event::Renamed { who, .. } | Event::Away { who, .. } => who,
            _ => return false,
        };
        self.is_me(by)
    }

    /// Follows into rooms that another client of the same account has joined.
    async fn follow_others(&mut self) {
        for room in std::mem::take(&mut self.to_join) {
            if !self.rooms.contains(&room) {
                let channel = format!("#{room}");
                Box::pin(self.join_one(room, None, &channel)).await;
            }
        }
    }

    /// Ends the conversation, with an ERROR that says why.
    pub fn leave(&mut self, reason: &str) {
        if self.over.is_some() {
            return;
        }
        self.out.answered();
        let text = format!("Closing link: {reason}");
        self.out
            .line(&super::out::Marks::default(), None, "ERROR", |line| {
                line.text(&text).end_cut()
            });
        if let Some(session) = &mut self.session {
            session.farewell(reason);
            let me = self.me.clone();
            self.shared.gone(me.nick.clone(), &me);
        }
        self.over = Some(reason.to_owned());
    }

    /// When silence has gone on for too long.
    fn deadline(&self) -> Instant {
        match self.is_registered() {
            false => self.opened + REGISTER,
            true => self.heard + self.hub.options().ping * if self.is_asked { 2 } else { 1 },
        }
    }

    fn silent(&mut self) {
        if !self.is_registered() {
            return self.leave("Registration timed out");
        }
        if self.is_asked {
            let seconds = self.heard.elapsed().as_secs();
            return self.leave(&format!("Ping timeout: {seconds} seconds"));
        }
        self.is_asked = true;
        let server = self.out.server().to_owned();
        self.out
            .line(&super::out::Marks::default(), None, "PING", |line| {
                line.text(&server).end()
            });
    }

    /// Remembers what somebody is called whom one speaks with.
    pub fn remember_nick(&mut self, person: Person, nick: &str) {
        if self.nicks.len() >= NICKS && !self.nicks.contains_key(&person) {
            self.nicks.clear();
        }
        self.nicks.insert(person, nick.to_owned());
    }
}
