//! IRC: the same rooms, for every client that speaks RFC 1459, RFC 2812 and what IRCv3 added to them.
//!
//! A room `lobby` is the channel `#lobby`. Over a stream a line is a line; over WebSocket, with the subprotocol
//! [`SUBPROTOCOL`], it is a message. What is on the wire is [`crate::wire::irc`]'s; what may be done is the model's.
//!
//! | file | has |
//! |---|---|
//! | `wire` | lines in and out of a connection |
//! | `client` | one client: its next line, its next event, its silence |
//! | `registration` | from the first line to the welcome: NICK, USER, PASS, CAP, AUTHENTICATE |
//! | `rooms` `modes` `people` `saying` `history` | commands by what they are about |
//! | `events` | what happened, as lines |
//! | `out` | lines with the tags that a client may have; answers under a label |
//! | `refusal` `welcome` `source` | numbers for what was refused; what the server says of itself; `nick!user@host` |
//!
//! # Where IRC and this chat differ
//! - Whoever logs in, by SASL or by PASS (the password, or `user:password`), is called as their account. Several clients of
//!   one account are one person: they share rooms, and each hears what the others say.
//! - Owners and moderators are both operators (`@`), voices are voiced (`+`). A mask of a ban (`+b`) or mute (`+q`) is a
//!   person, an address or a nick; there are none with half a name.
//! - Formatting is taken out of what is said: the same words are read on terminals and on pages. Of CTCP only ACTION is
//!   taken, of clients' tags only `+typing` and `+draft/reply` (`CLIENTTAGDENY`).
//! - A text of several lines, or a longer one than a line has room for, comes as several messages, the first of which has
//!   the `msgid`. One that was edited comes again, with `(edited)` before it.
//! - Nobody's address is shown, and no real name: there is none.

mod client;
mod events;
mod history;
mod modes;
mod out;
mod people;
mod refusal;
mod registration;
mod rooms;
mod saying;
mod source;
mod welcome;
mod wire;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;

use super::Hub;
use super::model::Author;
use crate::error::Result;
use crate::net::{Conn, Peer};
use crate::service::Service;
use crate::wire::irc::capability::Offer;
use crate::wire::irc::names;
use client::Client;
use wire::Wire;

/// The WebSocket subprotocol for IRC (IRCv3 WebSocket): each message is a line, as text.
pub const SUBPROTOCOL: &str = "text.ircv3.net";

/// As the server calls itself. Somebody may have that nick; a person's source has a `!`, and this has none.
const SERVER: &str = "irc.bandy";
/// As it calls its network.
const NETWORK: &str = "Bandy";
/// How many of those who went are remembered for WHOWAS.
const GONE: usize = 256;

/// IRC, spoken with the people of one chat. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Irc {
    hub: Hub,
    shared: Arc<Shared>,
}

impl Irc {
    /// For this chat.
    pub fn new(hub: Hub) -> Irc {
        Irc {
            hub,
            shared: Arc::new(Shared {
                server: SERVER.into(),
                since: OffsetDateTime::now_utc(),
                offer: welcome::offer(),
                gone: Mutex::default(),
            }),
        }
    }
}

/// Talks with one client until either side ends it.
impl Service<Conn> for Irc {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        let address = match conn.peer() {
            Peer::Ip(address) => Some(address.ip()),
            _ => None,
        };
        let client = Client::new(self.hub.clone(), self.shared.clone(), address);
        client::talk(client, Wire::new(conn)).await
    }
}

/// What all clients of one server share.
#[derive(Debug)]
pub(super) struct Shared {
    server: Arc<str>,
    since: OffsetDateTime,
    offer: Offer,
    gone: Mutex<VecDeque<Author>>,
}

impl Shared {
    /// Notes that somebody is not called so any more.
    fn gone(&self, nick: String, who: &Author) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() >= GONE {
            gone.pop_front();
        }
        gone.push_back(Author {
            nick,
            person: who.person.clone(),
        });
    }

    /// Who was called so, the last one first.
    fn who_was(&self, nick: &str) -> Vec<Author> {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.iter()
            .rev()
            .filter(|who| names::same(&who.nick, nick))
            .take(5)
            .cloned()
            .collect()
    }
}
