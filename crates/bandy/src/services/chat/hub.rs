//! The world, running: commands to logs, logs to sessions.
//!
//! What is said is appended to its room's log in the store, which acknowledges it once it is durable (many at once, by
//! the store's group commit). Each room that is open here has one tail, on the hub's own thread (`tails`);
//! what it gives, the world takes in, and everybody who follows the room gets the same shared events into their outbox. So
//! a session costs a queue of pointers, and a slow one is cut without anybody waiting for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;

use super::bell::{Bell, Bells};
use super::guests::Seal;
use super::log;
use super::model::{
    Answer, Append, Arrival, Audience, Command, Id, Known, Millis, Opened, Refused, RoomName,
    RoomState, SessionId, Step, Target, Whom, World,
};
use super::options::Options;
use super::outbox::{Outbox, RUN, Run, Told};
use super::tails::{self, Following, Landed};
use crate::accounts::Accounts;
use crate::error::{Error, Kind, Result, Side};
use crate::limits::StoreLimits;
use crate::state::{self, Location, Store};

/// Where all sessions of one process meet. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hub(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    /// For conversations that nothing is kept of.
    fleeting: Arc<dyn Store>,
    pub(super) accounts: Accounts,
    pub(super) options: Options,
    inner: Mutex<Inner>,
    /// Read when the first one comes.
    epoch: OnceCell<u64>,
    seal: OnceCell<Seal>,
    /// Which logs those are that nothing is kept of: of this run.
    since: Millis,
    /// Notified when something was appended here.
    pub(super) landing: Arc<Notify>,
    /// The thread that tails and appends run on; it ends when this is dropped.
    loop_: Handle,
    _end: oneshot::Sender<()>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) world: World,
    pub(super) outboxes: HashMap<SessionId, Arc<Outbox>, RandomState>,
    pub(super) tails: HashMap<RoomName, Following, RandomState>,
    /// Appended here, and not in the world yet.
    pub(super) landed: Vec<Landed>,
    bells: Bells,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A chat that remembers in `store`, for the users of `accounts`. It has a thread of its own.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(options: Options, store: Arc<dyn Store>, accounts: Accounts) -> Result<Hub> {
        let (handle, end) = start_loop()?;
        let since = now();
        let world = World::new(options.rules.clone(), since);
        let landing = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            store,
            fleeting: state::open_with(&Location::Memory, StoreLimits::default())?,
            accounts,
            options,
            inner: Mutex::new(Inner {
                world,
                outboxes: HashMap::default(),
                tails: HashMap::default(),
                landed: Vec::new(),
                bells: Bells::default(),
            }),
            epoch: OnceCell::new(),
            seal: OnceCell::new(),
            since,
            landing: landing.clone(),
            loop_: handle,
            _end: end,
        });
        shared.spawn(tails::land(Arc::downgrade(&shared), landing));
        Ok(Hub(shared))
    }

    /// What it was told.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Where it remembers.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Whether it remembers there.
    pub(super) fn is_on(&self, store: &Arc<dyn Store>) -> bool {
        Arc::ptr_eq(&self.0.store, store)
    }

    /// Its accounts: passwords are proved there, before somebody comes.
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }
}

impl Shared {
    /// Somebody is here from now on, and hears what happens by the queue that is given back.
    pub(super) fn admit(&self, arrival: Arrival) -> Result<(Opened, Arc<Outbox>), Refused> {
        let mut inner = self.lock();
        let bell = inner.bells.here();
        let outbox = Arc::new(Outbox::new(self.options.outbox, bell));
        let opened = inner.world.open(now(), arrival)?;
        inner.outboxes.insert(opened.session, outbox.clone());
        inner.tell();
        Ok((opened, outbox))
    }

    /// Before anybody is let in: what the store knows.
    pub(super) async fn begin(&self) -> Result<u64> {
        let begin = async || {
            let epoch = log::epoch(&*self.store, now()).await?;
            let mut rooms = log::rooms(&self.store).await?;
            if let Some(room) = self.options.room()
                && !rooms.iter().any(|(name, _)| *name == room)
            {
                let append = World::first_room(room.clone(), epoch, now());
                self.store.commit(log::batch(&append)?).await??;
                rooms.push((room, RoomState::new(epoch)));
            }
            let mut inner = self.lock();
            for (name, state) in rooms {
                inner.world.list(name, &state);
            }
            Ok::<u64, Error>(epoch)
        };
        self.epoch.get_or_try_init(begin).await.copied()
    }

    /// Runs something on the chat's own thread.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.loop_.spawn(work)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the world, or changes it, and tells what came of it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        let mut inner = self.lock();
        let seen = look(&mut inner.world);
        inner.tell();
        seen
    }

    pub(super) async fn is_account(&self, nick: &str) -> Result<bool> {
        if crate::accounts::name::check(nick).is_err() {
            return Ok(false);
        }
        Ok(self.accounts.user(nick).await?.is_some())
    }

    /// The store that a room is kept in.
    pub(super) fn store_of(&self, room: &RoomName) -> &Arc<dyn Store> {
        match room.is_fleeting() {
            true => &self.fleeting,
            false => &self.store,
        }
    }

    /// Does what a session asks for.
    pub(super) async fn command(
        self: &Arc<Self>,
        session: SessionId,
        command: Command,
    ) -> Result<Result<Answer, Refused>> {
        let wait = self.lock().world.pace(now(), session, &command);
        if wait > 0 {
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        let mut known = Known::default();
        if let Some(nick) = names(&command)
            && self.lock().world.is_free(nick)
        {
            known.is_account = self.is_account(nick).await?;
        }
        if let Command::History { .. }
        | Command::Search { .. }
        | Command::Read { .. }
        | Command::Unread = command
        {
            return self.look_back(session, command, &known).await;
        }
        loop {
            // The room is opened, and found open in the same breath as it is used.
            if let Some(room) = self.room_of(session, &command, &known) {
                self.open_room(&room).await?;
                if let Command::Edit { seq, .. } | Command::Delete { seq, .. } = &command {
                    known.entry = self.entry(&room, *seq).await?;
                }
            }
            let step = {
                let mut inner = self.lock();
                if let Some(room) = inner.world.room_of(session, &command, &known)
                    && !inner.world.is_loaded(&room)
                {
                    continue;
                }
                let step = inner.world.apply(now(), session, command.clone(), &known);
                inner.tell();
                inner.tidy(&command, matches!(step, Ok(Step::Done(_)) | Err(_)));
                step
            };
            match step {
                Err(refused) => return Ok(Err(refused)),
                Ok(Step::Done(answer)) => return Ok(Ok(answer)),
                Ok(Step::Append(append)) => {
                    let is_change = append.is_change();
                    let id = self.append(append).await?;
                    if is_change {
                        self.holds(&id).await?;
                    }
                    return Ok(Ok(Answer::Logged(id)));
                }
                Ok(Step::First(append)) => {
                    let id = self.append(append).await?;
                    self.reached(&id.room, id.seq).await;
                }
                Ok(Step::Wait(room)) => self.news(&room).await,
            }
        }
    }

    fn room_of(&self, session: SessionId, command: &Command, known: &Known) -> Option<RoomName> {
        self.lock().world.room_of(session, command, known)
    }

    /// Puts something into a log, on the hub's own thread: who asked for it may be gone before it is done, and it still
    /// is done, or known not to be.
    async fn append(self: &Arc<Self>, append: Append) -> Result<Id> {
        let shared = self.clone();
        let done = self.spawn(async move {
            shared.begins(&append);
            let logged = shared.append_now(&append).await;
            match &logged {
                Ok(id) => shared.lands(append, id.seq),
                Err(_) => shared.fails(&append),
            }
            logged
        });
        match done.await {
            Ok(logged) => logged,
            Err(_) => {
                let act = "appending to a room's log";
                Err(Error::new(Kind::Closed, Side::Local, act).because("the chat is over"))
            }
        }
    }

    async fn append_now(self: &Arc<Self>, append: &Append) -> Result<Id> {
        let store = self.store_of(&append.room);
        let seq = store.commit(log::batch(append)?).await??.last();
        let epoch = self.epoch_of(&append.room).await?;
        let kept = self.options.history.max(1);
        let is_direct = append.room.is_direct();
        if is_direct && seq == 1 {
            log::note_conversation(&**store, &append.room).await?;
        }
        let is_time = append.snapshot.is_some() || is_direct && seq.is_multiple_of(TRIM_EVERY);
        if is_time && seq > kept {
            log::trim(&**store, &append.room, seq - kept).await?;
        }
        Ok(Id {
            room: append.room.clone(),
            epoch,
            seq,
        })
    }

    /// Opens a room, if it is not open: loads it, and follows its log.
    pub(super) async fn open_room(self: &Arc<Self>, name: &RoomName) -> Result<()> {
        if self.lock().world.is_loaded(name) {
            return Ok(());
        }
        let epoch = self.epoch_of(name).await?;
        let store = self.store_of(name);
        let (state, nonces) = log::load(&**store, name, epoch).await?;
        let seq = state.seq;
        let mut inner = self.lock();
        if inner.world.is_loaded(name) {
            return Ok(());
        }
        inner.world.load(name.clone(), state, nonces);
        let following = self.follow(name, seq);
        inner.tails.insert(name.clone(), following);
        Ok(())
    }

    /// Waits until a change that is in its room's log holds here. Whoever is told that somebody is muted may rely on
    /// that: nothing that they say from then on is taken.
    async fn holds(self: &Arc<Self>, id: &Id) -> Result<()> {
        let reached = async {
            loop {
                self.open_room(&id.room).await?;
                if self.reached(&id.room, id.seq).await {
                    break;
                }
            }
            // Whoever asked may have been the last one in it, and be gone.
            self.lock().unload(&id.room);
            Ok(())
        };
        tokio::time::timeout(HOLDS, reached).await.map_err(|_| {
            let act = format!("reading back what was changed in the room {}", id.room);
            Error::new(Kind::TimedOut, Side::Local, act)
                .because(format!("the store did not give it within {HOLDS:?}"))
        })?
    }

    /// Waits until the world has this entry of a room; `false` where the room is not open any more.
    async fn reached(&self, room: &RoomName, seq: u64) -> bool {
        let news = self
            .lock()
            .tails
            .get(room)
            .map(|following| following.news.subscribe());
        match news {
            Some(mut news) => news.wait_for(|reached| *reached >= seq).await.is_ok(),
            None => false,
        }
    }

    /// Waits for news of a room, for a while.
    async fn news(&self, room: &RoomName) {
        let news = self
            .lock()
            .tails
            .get(room)
            .map(|following| following.news.subscribe());
        if let Some(mut news) = news {
            // It may have come between the look and now; then asking again finds out.
            drop(tokio::time::timeout(Duration::from_millis(50), news.changed()).await);
        }
    }

    /// Ends a session.
    pub(super) fn close(&self, session: SessionId, reason: &str) {
        let mut inner = self.lock();
        let rooms = inner.world.rooms_of(session);
        inner.outboxes.remove(&session);
        inner.world.close(session, reason);
        inner.tell();
        for room in rooms {
            inner.unload(&room);
        }
        inner.unload_direct();
    }

    /// The room as it is told here now.
    pub(super) fn place(&self, room: &RoomName) -> u64 {
        self.lock().world.place(room).map_or(0, |place| place.seq)
    }

    /// Which of a room's logs there is. What is not kept begins anew with each run, and counts from one again.
    pub(super) async fn epoch_of(&self, room: &RoomName) -> Result<u64> {
        match room.is_fleeting() {
            true => Ok(self.since),
            false => self.begin().await,
        }
    }

    pub(super) async fn seal(&self) -> Result<&Seal> {
        let store = &*self.store;
        self.seal.get_or_try_init(|| Seal::of(store)).await
    }

    /// Where conversations are, and how far they were read: what is kept, and what is not.
    pub(super) fn stores(&self) -> [&Arc<dyn Store>; 2] {
        [&self.store, &self.fleeting]
    }
}

impl Inner {
    /// Brings what happened to whom it is for. What happened in one room goes together, and each event loop is rung once.
    pub(super) fn tell(&mut self) {
        let mut effects = self.world.effects().into_iter().peekable();
        let mut ring: Vec<Arc<Bell>> = Vec::new();
        while let Some(effect) = effects.next() {
            let mut told = vec![Arc::new(Told::new(effect.event))];
            let to = match &effect.to {
                Audience::Room(room) => {
                    while told.len() < RUN
                        && let Some(next) = effects.next_if(|next| next.to == effect.to)
                    {
                        told.push(Arc::new(Told::new(next.event)));
                    }
                    self.world.followers(room)
                }
                Audience::Sessions(sessions) => sessions,
            };
            let run = Arc::new(Run::new(told));
            let outboxes = to.iter().filter_map(|session| self.outboxes.get(session));
            ring.extend(outboxes.filter_map(|outbox| outbox.push(&run)).cloned());
        }
        ring.iter().for_each(|bell| bell.ring());
    }

    /// After a command that may leave a room empty.
    fn tidy(&mut self, command: &Command, is_over: bool) {
        if is_over
            && let Command::Part { room, .. } | Command::Look(room) | Command::Join { room, .. } =
                command
        {
            self.unload(room);
        }
    }

    fn unload(&mut self, room: &RoomName) {
        if self.world.unload(room) {
            self.tails.remove(room);
        }
    }

    /// Conversations of two, neither of whom is here any more.
    fn unload_direct(&mut self) {
        let direct: Vec<RoomName> = self
            .tails
            .keys()
            .filter(|room| room.is_direct())
            .cloned()
            .collect();
        for room in direct {
            self.unload(&room);
        }
    }
}

/// The longest that a change may take from its room's log back to the world.
const HOLDS: Duration = Duration::from_secs(30);
/// A conversation of two is looked at after so many entries, whether some are too old.
const TRIM_EVERY: u64 = 64;

/// The nick that a command names, and that may be an account's which is not here.
fn names(command: &Command) -> Option<&str> {
    match command {
        Command::Nick(nick) | Command::Invite { nick, .. } | Command::Role { nick, .. } => {
            Some(nick)
        }
        Command::Say {
            to: Target::Nick(nick),
            ..
        }
        | Command::Edit {
            at: Target::Nick(nick),
            ..
        }
        | Command::Delete {
            at: Target::Nick(nick),
            ..
        }
        | Command::History {
            of: Target::Nick(nick),
            ..
        }
        | Command::Search {
            of: Target::Nick(nick),
            ..
        }
        | Command::Read {
            of: Target::Nick(nick),
            ..
        } => Some(nick),
        Command::Ban {
            who: Whom::Nick(nick),
            ..
        }
        | Command::Unban {
            who: Whom::Nick(nick),
            ..
        }
        | Command::Mute {
            who: Whom::Nick(nick),
            ..
        }
        | Command::Unmute {
            who: Whom::Nick(nick),
            ..
        } => Some(nick),
        _ => None,
    }
}

/// The time of day.
pub(super) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// An event loop on a thread of its own, until the sender is dropped.
fn start_loop() -> Result<(Handle, oneshot::Sender<()>)> {
    let failed = |e: std::io::Error| {
        Error::new(Kind::Io, Side::Local, "starting the chat's thread").because(e)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(failed)?;
    let handle = runtime.handle().clone();
    let (end, ended) = oneshot::channel::<()>();
    let run = move || {
        // Either way there is nobody any more who would ask.
        let _ = runtime.block_on(ended);
    };
    std::thread::Builder::new()
        .name("chat".to_owned())
        .spawn(run)
        .map_err(failed)?;
    Ok((handle, end))
}
