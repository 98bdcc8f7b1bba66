//! One connection's part in the chat: what every protocol is written against.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::hub::Hub;
use super::model::{Answer, Author, Command, Opened, Refused, RoomName, SessionId};
use super::outbox::{Cut, Outbox, Run, Told};
use crate::error::Result;

/// One connection's part in the chat. Dropping it ends it; with the last one somebody is gone.
#[derive(Debug)]
pub struct Session {
    hub: Hub,
    opened: Opened,
    outbox: Arc<Outbox>,
    farewell: String,
}

impl Session {
    pub(super) fn new(hub: Hub, opened: Opened, outbox: Arc<Outbox>) -> Session {
        Session {
            hub,
            opened,
            outbox,
            farewell: "connection closed".to_owned(),
        }
    }

    /// Its number, which nobody else has.
    pub fn id(&self) -> SessionId {
        self.opened.session
    }

    /// The beginning of nonces that only this session uses, also after a restart.
    pub fn nonce_stem(&self) -> String {
        format!("{:x}-{}", super::hub::now(), self.opened.session.0)
    }

    /// Who it is, as they are called now.
    pub fn who(&self) -> Author {
        let who = self.hub.0.with(|world| world.who(self.opened.session));
        who.unwrap_or_else(|| self.opened.who.clone())
    }

    /// The rooms that they were in already, with other sessions, when it began. This one follows them once it joins.
    pub fn rooms(&self) -> &[RoomName] {
        &self.opened.rooms
    }

    /// The rooms that they are in now.
    pub fn rooms_now(&self) -> Vec<RoomName> {
        self.hub.0.with(|world| world.rooms_of(self.opened.session))
    }

    /// The chat that it is part of.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Asks for something, and waits until it is done: what is said is then durable. One that comes too soon waits
    /// first, so a protocol that takes one command after the other slows down who floods.
    ///
    /// The future holds nothing of the session and may be polled beside [`Session::next`]. Dropped, it may have been
    /// done or not.
    ///
    /// # Errors
    /// The store's, which nobody who asked can do anything about. Inside, why it is not done, for whoever asked.
    pub fn command(
        &self,
        command: Command,
    ) -> impl Future<Output = Result<Result<Answer, Refused>>> + Send + use<> {
        let (shared, session) = (self.hub.0.clone(), self.opened.session);
        async move { shared.command(session, command).await }
    }

    /// For a task that asks for something once it knows more. It does not keep the session.
    pub fn command_later(&self) -> Asker {
        Asker {
            hub: self.hub.clone(),
            session: self.opened.session,
        }
    }

    /// What happens next. Cancel-safe.
    ///
    /// # Errors
    /// That the session is cut; nothing comes after it.
    pub async fn next(&self) -> Result<Arc<Told>, Cut> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Session::next`], for futures written by hand. Take all that there is before writing: it is one write then.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Told>, Cut>> {
        self.outbox.poll_next(cx)
    }

    /// As [`Session::poll_next`], for protocols whose form is the same for all: what was told together comes together.
    pub fn poll_run(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Run>, Cut>> {
        self.outbox.poll_run(cx)
    }

    /// Ready once the session is cut: for whoever writes, and takes nothing more until that is done.
    pub fn poll_cut(&self, cx: &mut Context<'_>) -> Poll<Cut> {
        self.outbox.poll_cut(cx)
    }

    /// What the others are told when it ends, in place of `connection closed`.
    pub fn farewell(&mut self, reason: impl Into<String>) {
        self.farewell = reason.into();
    }
}

/// Asks in the name of a session, for as long as there is one: see [`Session::command_later`].
#[derive(Debug, Clone)]
pub struct Asker {
    hub: Hub,
    session: SessionId,
}

impl Asker {
    /// As [`Session::command`].
    ///
    /// # Errors
    /// As there.
    pub async fn command(&self, command: Command) -> Result<Result<Answer, Refused>> {
        self.hub.0.command(self.session, command).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hub.0.close(self.opened.session, &self.farewell);
    }
}
