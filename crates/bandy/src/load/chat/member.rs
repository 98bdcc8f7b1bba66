//! One member: joins, says what is given to it, and hears everything.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::board::{self, Shared};
use super::ear::Ear;
use super::{Label, Room};
use crate::load::talk::{Failure, Line};
use crate::load::tally::Cause;
use crate::net::{Conn, Message};
use crate::services::chat::json::wire::{Ask, Came, FromServer, Good, Request, To};
use crate::services::chat::model::Manner;

/// Messages that are taken before other members' turn comes.
const TURN: usize = 64;
/// A request's number is its message's, behind those of coming in.
const FIRST: u64 = 10;

/// What every member is told.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) line: Line,
    pub(super) room: Room,
    /// How long coming in may take.
    pub(super) timeout: Duration,
    pub(super) shared: Arc<Shared>,
    /// So many come in at a time.
    pub(super) door: Semaphore,
}

/// Runs a member until the run is over. `first` is told how joining went.
pub(super) async fn attend(
    seat: usize,
    part: Arc<Part>,
    first: impl FnOnce(Result<(), Failure>) + Send,
) {
    let joined = {
        let Ok(_permit) = part.door.acquire().await else {
            return;
        };
        tokio::time::timeout(part.timeout, join(&part)).await
    };
    let joined = joined.unwrap_or_else(|_| {
        Err(Failure::new(
            Cause::Timeout,
            "the room was not joined in time",
        ))
    });
    let mut talk = match joined {
        Ok((conn, nick, ear)) => {
            first(Ok(()));
            board::with(|board| board.tried(seat, Ok((nick, ear))));
            Talk {
                seat,
                part,
                conn,
                sending: None,
                unanswered: BTreeSet::new(),
            }
        }
        Err(failure) => {
            first(Err(failure.clone()));
            board::with(|board| board.tried(seat, Err(failure)));
            return;
        }
    };
    let ended = std::future::poll_fn(|cx| talk.poll(cx)).await;
    board::with(|board| {
        if let Err(failure) = ended {
            for number in &talk.unanswered {
                board.lose(*number);
            }
            board.leave(seat, failure);
        }
    });
}

/// Connects, comes in as a guest, and joins the room.
async fn join(part: &Part) -> Result<(Conn, String, Ear), Failure> {
    let mut conn = {
        let (connected, phases) = part.line.dial().await;
        board::with(|board| phases.note(&mut board.recorder, connected.is_ok()));
        connected?
    };
    let enter = Ask::Enter {
        nick: None,
        user: None,
        password: None,
        token: None,
        guest: None,
    };
    let nick = match ask(&mut conn, 1, enter).await? {
        Good::Entered { you, .. } => you.nick,
        _ => return Err(no_chat("its answer to coming in is another")),
    };
    let join = Ask::Join {
        room: part.room.name.clone(),
        password: None,
        after: None,
        recent: Some(0),
    };
    match ask(&mut conn, 2, join).await? {
        Good::Joined { room, .. } => {
            let ear = Ear::new(room.from.epoch, room.from.seq);
            Ok((conn, nick, ear))
        }
        _ => Err(no_chat("its answer to joining is another")),
    }
}

/// Asks, and waits for the answer.
async fn ask(conn: &mut Conn, reference: u64, ask: Ask) -> Result<Good, Failure> {
    let request = Request { reference, ask };
    conn.send(Message::text(text_of(&request)?))
        .await
        .map_err(|e| Failure::of(&e))?;
    loop {
        let Some(message) = conn.recv().await.map_err(|e| Failure::of(&e))? else {
            return Err(ended(conn));
        };
        // What happens meanwhile was before this member was there.
        if let Ok(FromServer::Answer(answer)) = serde_json::from_slice(&message.data)
            && answer.re == Some(reference)
        {
            return match answer.came {
                Came::Ok(good) => Ok(*good),
                Came::Error(wrong) => Err(Failure::new(
                    Cause::Unexpected,
                    format!("the chat refused: {}", wrong.message),
                )),
            };
        }
        match serde_json::from_slice::<Told<'_>>(&message.data) {
            Ok(told) if told.re.is_some() || told.event.is_some() => {}
            _ => return Err(no_chat("what it says is not the chat's JSON")),
        }
    }
}

fn text_of(request: &Request) -> Result<String, Failure> {
    serde_json::to_string(request).map_err(|e| Failure::new(Cause::Local, e.to_string()))
}

fn no_chat(why: &str) -> Failure {
    Failure::new(
        Cause::Protocol,
        format!("this is no chat of bandy's: {why}"),
    )
}

fn ended(conn: &Conn) -> Failure {
    let code = conn.close_code();
    let code = code.map_or(String::new(), |code| format!(" (code {code})"));
    Failure::new(
        Cause::Closed,
        format!("the server ended the connection{code}"),
    )
}

/// A member that is in the room.
struct Talk {
    seat: usize,
    part: Arc<Part>,
    conn: Conn,
    /// What waits for the connection.
    sending: Option<Message>,
    /// The messages that were said, and have no answer.
    unanswered: BTreeSet<u32>,
}

impl Talk {
    /// Says and hears. Ready when the run is over, or the connection is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        board::with(|board| board.watch(self.seat, cx.waker()));
        loop {
            if self.sending.is_none() {
                let Some((number, label)) = board::with(|board| board.next(self.seat)) else {
                    break;
                };
                self.unanswered.insert(number);
                self.sending = Some(self.message(number, label)?);
            }
            match self.conn.poll_send(cx, &mut self.sending) {
                Poll::Ready(Ok(())) => self.sending = None,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::of(&e))),
                Poll::Pending => break,
            }
        }
        for _ in 0..TURN {
            match self.conn.poll_recv(cx) {
                Poll::Ready(Ok(Some(message))) => self.hear(&message.data)?,
                Poll::Ready(Ok(None)) => return Poll::Ready(Err(ended(&self.conn))),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(Failure::of(&e))),
                Poll::Pending => {
                    return match board::with(|board| board.is_over) {
                        true => Poll::Ready(Ok(())),
                        false => Poll::Pending,
                    };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn message(&self, number: u32, label: Label) -> Result<Message, Failure> {
        let request = Request {
            reference: FIRST + u64::from(number),
            ask: Ask::Say {
                to: To::room(self.part.room.name.clone()),
                text: label.write(self.part.room.size),
                manner: Manner::Message,
                nonce: None,
                reply: None,
            },
        };
        let text = text_of(&request)?;
        board::with(|board| board.recorder.tally.sent_bytes += text.len() as u64);
        Ok(Message::text(text))
    }

    fn hear(&mut self, data: &[u8]) -> Result<(), Failure> {
        let told: Told<'_> = serde_json::from_slice(data)
            .map_err(|_| no_chat("what it says is not the chat's JSON"))?;
        let shared = &self.part.shared;
        board::with(|board| {
            board.recorder.tally.received_bytes += data.len() as u64;
            if let Some(number) = told
                .re
                .and_then(|re| u32::try_from(re.checked_sub(FIRST)?).ok())
            {
                self.unanswered.remove(&number);
                board.answered(number, told.error.map(|wrong| wrong.message), shared);
            }
            // Only what is in a log has a place in it.
            let is_here = told.room.is_some_and(|room| room.0 == self.part.room.name);
            if let (Some(_), Some(epoch), Some(seq), true) =
                (told.event, told.epoch, told.seq, is_here)
            {
                let label = told.text.and_then(|text| Label::read(&text.0));
                board.hear(self.seat, (epoch, seq), label, shared);
            }
        });
        Ok(())
    }
}

/// As much of what a server says as is needed, without a copy of its text.
#[derive(Debug, Deserialize)]
struct Told<'a> {
    re: Option<u64>,
    error: Option<Wrong>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    room: Option<Text<'a>>,
    epoch: Option<u64>,
    seq: Option<u64>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

/// Borrowed where nothing in it is escaped.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct Wrong {
    message: String,
}
