//! Chat over WebSocket, in JSON: for pages and programs. [`wire`] has the messages, [`SCHEMA`] describes them to others.
//!
//! The server says hello. Whoever is not known by the handshake's cookie or token sends `enter` first. Each request has a
//! number and gets one answer with it, in order; what happens comes in between. The close codes say whether to come back:
//! 4000 to 4499 do, 4500 to 4999 do not.
//!
//! | code | means |
//! |---|---|
//! | 4000 | the server ends: come back and resume |
//! | 4001 | too slow: come back and resume |
//! | 4002 | something failed here: come back and resume |
//! | 4003 | no sign of life, though asked for one with a ping: come back and resume |
//! | 4500 | what was sent is no request, several times |
//! | 4501 | nobody came in: wrong or missing login, several times; or the handshake's may not come in |

mod answer;
mod ask;
mod happening;
mod request;
mod view;
pub mod wire;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use self::wire::{Answer, Ask, Came, Good, Happening, Live, Request, Wrong};
use super::hub::Hub;
use super::model::{Arrival, Refused, text};
use super::outbox::{Cut, Form, Run, Told};
use super::session::Session;
use super::talk::{self, Next, Out, Speech, Task};
use crate::accounts::{Admission, Credentials, User};
use crate::error::Result;
use crate::net::{Conn, Peer, ws};

/// The JSON Schema of all messages (draft 2020-12).
pub const SCHEMA: &str = include_str!("schema.json");

/// Messages that are no requests, before whoever sends them is disconnected.
const WRONG_MAX: u32 = 10;
/// The longest reason why something is no request. Bytes.
const REASON_MAX: usize = 400;
/// Attempts to come in, or to do something without, before whoever makes them is disconnected. How many passwords may be
/// tried is the accounts' to say.
const OUTSIDE_MAX: u32 = 10;

/// Talks with somebody until they go. `known` is who they proved to be with the handshake.
///
/// # Errors
/// What the transport reports; the store's.
pub(super) async fn talk(conn: Conn, hub: Hub, known: Option<Arc<User>>) -> Result<()> {
    let address = match conn.peer() {
        Peer::Ip(address) => Some(address.ip()),
        _ => None,
    };
    let ping = hub.options().ping;
    let json = Json {
        hub,
        address,
        known,
        session: None,
        wrong: 0,
        outside: 0,
        asked: None,
    };
    talk::talk(conn, json, ping).await
}

struct Json {
    hub: Hub,
    address: Option<IpAddr>,
    known: Option<Arc<User>>,
    session: Option<Session>,
    wrong: u32,
    outside: u32,
    /// The number of the request that is being done.
    asked: Option<u64>,
}

/// What a task came to.
enum Done {
    /// Who came in, with what a guest comes back with.
    Opened(std::result::Result<(Session, Option<String>), Refused>),
    Came(Came),
}

impl Speech for Json {
    type Done = Done;

    fn begin(&mut self, out: &mut Out) -> Next<Done> {
        match self.known.take() {
            Some(user) => self.open(Arrival::of(&user, self.address)),
            None => {
                self.hello(out);
                Next::Read
            }
        }
    }

    fn heard(&mut self, message: Bytes, out: &mut Out) -> Next<Done> {
        let request: Request = match serde_json::from_slice(&message) {
            Ok(request) => request,
            Err(e) => return self.no_request(&message, &e, out),
        };
        self.asked = Some(request.reference);
        match (request.ask, &self.session) {
            (
                Ask::Enter {
                    nick,
                    user,
                    password,
                    token,
                    guest,
                },
                None,
            ) => {
                return self.enter(nick, user.zip(password), token, guest);
            }
            (Ask::Ping, _) => self.came(Came::Ok(Box::new(Good::Done)), out),
            (Ask::Enter { .. }, Some(_)) => self.came(wrong("entered", "you are in already"), out),
            (_, None) => {
                self.came(wrong("enter_first", "send `enter` first"), out);
                return self.still_outside();
            }
            (ask, Some(session)) => match ask::task(ask, session) {
                Ok(task) => {
                    return Next::Do(Box::pin(async move { Ok(Done::Came(task.await?)) }));
                }
                Err(why) => self.came(Came::Error(why), out),
            },
        }
        Next::Read
    }

    fn done(&mut self, done: Done, out: &mut Out) -> Next<Done> {
        match done {
            Done::Came(came) => self.came(came, out),
            Done::Opened(opened) => return self.opened(opened, out),
        }
        match self.session {
            Some(_) => Next::Read,
            None => self.still_outside(),
        }
    }

    fn told(&mut self, told: &Arc<Told>, out: &mut Out) {
        out.push_back(told.encoded(Form::Json, |event| frame(&Happening::from(event))));
    }

    fn told_run(&mut self, run: &Run, out: &mut Out) {
        out.push_back(run.json(|event| frame(&Happening::from(event))));
    }

    fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    fn cut(&mut self, why: Cut, _out: &mut Out) -> (u16, String) {
        (why.code(), why.reason().to_owned())
    }

    fn ping(&mut self, out: &mut Out) -> bool {
        out.push_back(ws::ping_frame());
        true
    }

    fn end(&mut self) {
        self.session = None;
    }
}

impl Json {
    fn hello(&self, out: &mut Out) {
        let options = self.hub.options();
        let hello = Live::Hello {
            version: wire::VERSION,
            you: self.session.as_ref().map(|session| (&session.who()).into()),
            guests: options.rules.guests,
            room: options.room().map(|room| room.as_str().to_owned()),
            welcome: options.welcome.clone(),
            text_max: options.rules.text_bytes,
        };
        out.push_back(frame(&hello));
    }

    fn came(&mut self, came: Came, out: &mut Out) {
        let re = self.asked.take();
        out.push_back(frame(&Answer { re, came }));
    }

    fn open(&self, arrival: Arrival) -> Next<Done> {
        let hub = self.hub.clone();
        Next::Do(Box::pin(async move { open(&hub, arrival).await }))
    }

    fn opened(
        &mut self,
        opened: std::result::Result<(Session, Option<String>), Refused>,
        out: &mut Out,
    ) -> Next<Done> {
        let (session, guest) = match opened {
            Ok(opened) => opened,
            Err(refused) if self.asked.is_some() => {
                self.came(Came::Error((&refused).into()), out);
                return self.still_outside();
            }
            // By the handshake's cookie, which nobody asked for.
            Err(refused) => return Next::End(4501, refused.to_string()),
        };
        let entered = Good::Entered {
            you: (&session.who()).into(),
            rooms: session
                .rooms()
                .iter()
                .map(|room| room.as_str().to_owned())
                .collect(),
            guest,
        };
        self.session = Some(session);
        match self.asked {
            Some(_) => self.came(Came::Ok(Box::new(entered)), out),
            None => self.hello(out),
        }
        Next::Read
    }

    fn enter(
        &self,
        nick: Option<String>,
        login: Option<(String, String)>,
        token: Option<String>,
        guest: Option<String>,
    ) -> Next<Done> {
        let (hub, address) = (self.hub.clone(), self.address);
        let task: Task<Done> = Box::pin(async move {
            let accounts = hub.accounts();
            let arrival = if let Some((user, password)) = login {
                match accounts
                    .check(Credentials::new(user, password), address)
                    .await?
                {
                    Admission::Granted(user) => Arrival::of(&user, address),
                    Admission::Wrong => {
                        return Ok(Done::Came(wrong(
                            "wrong_login",
                            "name or password is wrong",
                        )));
                    }
                    Admission::TooMany { retry_after } => {
                        return Ok(Done::Came(too_many(retry_after)));
                    }
                }
            } else if let Some(token) = token {
                match accounts.who(&token).await? {
                    Some(session) => Arrival::of(&session.user, address),
                    None => return Ok(Done::Came(wrong("wrong_login", "this session is over"))),
                }
            } else {
                let guest = match guest {
                    Some(token) => hub.guest(&token).await?,
                    None => None,
                };
                Arrival {
                    nick: nick.unwrap_or_default(),
                    guest,
                    address,
                    ..Arrival::default()
                }
            };
            open(&hub, arrival).await
        });
        Next::Do(task)
    }

    /// Somebody tried something, and is not in.
    fn still_outside(&mut self) -> Next<Done> {
        self.outside += 1;
        match self.outside >= OUTSIDE_MAX {
            true => Next::End(4501, "you did not come in".to_owned()),
            false => Next::Read,
        }
    }

    /// What came is none of ours: it is said, and if that goes on, it is over.
    fn no_request(&mut self, message: &[u8], why: &serde_json::Error, out: &mut Out) -> Next<Done> {
        self.wrong += 1;
        if self.wrong >= WRONG_MAX {
            return Next::End(4500, "what you send are no requests".to_owned());
        }
        #[derive(serde::Deserialize)]
        struct Numbered {
            #[serde(rename = "ref")]
            reference: u64,
        }
        let numbered: Option<Numbered> = serde_json::from_slice(message).ok();
        self.asked = numbered.map(|numbered| numbered.reference);
        // It may quote what came.
        let why = text::line(&why.to_string(), REASON_MAX);
        self.came(wrong("no_request", &why), out);
        Next::Read
    }
}

/// Lets somebody in.
async fn open(hub: &Hub, arrival: Arrival) -> Result<Done> {
    Ok(Done::Opened(match hub.open(arrival).await? {
        Ok(session) => {
            let guest = hub.guest_token(&session.who().person).await?;
            Ok((session, guest))
        }
        Err(refused) => Err(refused),
    }))
}

/// A message as the bytes that go out.
fn frame(message: &impl serde::Serialize) -> Bytes {
    // None of our types fails to serialize; if one did, nothing is what could be said.
    ws::text_frame(&serde_json::to_vec(message).unwrap_or_default())
}

fn wrong(code: &str, message: &str) -> Came {
    Came::Error(Wrong {
        code: code.to_owned(),
        message: message.to_owned(),
        wait: None,
    })
}

fn too_many(wait: std::time::Duration) -> Came {
    Came::Error(Wrong {
        code: "too_many_attempts".to_owned(),
        message: "too many attempts failed; wait".to_owned(),
        wait: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    })
}
