//! What is said, PRIVMSG, NOTICE, TAGMSG, and taken back, REDACT.

use super::client::Client;
use super::events::place;
use super::out::Marks;
use super::refusal::{self, Act};
use super::rooms::{sayable, split};
use super::source::source;
use crate::services::chat::model::{Answer, Command, Manner, Place, Refused, RoomName, Target};
use crate::wire::irc::capability::Capability;
use crate::wire::irc::text::{Ctcp, ctcp, plain};
use crate::wire::irc::{Message, names, numeric};

impl Client {
    pub(super) async fn privmsg(&mut self, message: &Message<'_>) {
        let Some(targets) = message.param(0) else {
            return self.out.reply(
                numeric::ERR_NORECIPIENT,
                &[],
                "No recipient given (PRIVMSG)",
            );
        };
        let Some(written) = message.param(1) else {
            return self
                .out
                .reply(numeric::ERR_NOTEXTTOSEND, &[], "No text to send");
        };
        let (manner, text) = match ctcp(written) {
            Ctcp::None(text) => (Manner::Message, text),
            Ctcp::Action(text) => (Manner::Action, text),
            // A question from program to program. Rooms have people of other protocols in them, and a history.
            Ctcp::Other(..) => return,
        };
        let text = plain(text).into_owned();
        let reply = reply(message);
        for target in split(targets) {
            self.say_to(target, &text, manner, reply.as_deref(), false)
                .await;
        }
    }

    pub(super) async fn notice(&mut self, message: &Message<'_>) {
        let (Some(targets), Some(written)) = (message.param(0), message.param(1)) else {
            return;
        };
        let Ctcp::None(text) = ctcp(written) else {
            return;
        };
        let text = plain(text).into_owned();
        let reply = reply(message);
        for target in split(targets) {
            self.say_to(target, &text, Manner::Notice, reply.as_deref(), true)
                .await;
        }
    }

    /// Says something to one target. A NOTICE is never answered by an error (RFC 2812, section 3.3.2).
    async fn say_to(
        &mut self,
        target: &str,
        text: &str,
        manner: Manner,
        reply: Option<&str>,
        is_silent: bool,
    ) {
        let Some(to) = self.named(target, is_silent) else {
            return;
        };
        let is_room = matches!(to, Target::Room(_));
        let place = reply.and_then(|msgid| place_in(&to, msgid));
        let say = Command::Say {
            to,
            text: text.to_owned(),
            manner,
            nonce: None,
            reply: place.map(|place| place.seq),
        };
        match self.ask(say).await {
            Ok(Answer::Logged(id)) => {
                if let Some((one, other)) = id.room.people() {
                    let other = if one == self.me.person { other } else { one };
                    self.remember_nick(other, target);
                }
                self.said(id).await;
                if !is_room && manner != Manner::Notice {
                    self.tell_away_of(target);
                }
            }
            Ok(_) => {}
            Err(_) if is_silent => {}
            Err(why) => refusal::tell(&mut self.out, Act::Speak, "PRIVMSG", target, &why),
        }
    }

    /// REDACT (IRCv3 draft/message-redaction): takes back what was said. The reason is not kept.
    pub(super) async fn redact(&mut self, message: &Message<'_>) {
        if !self.out.has(Capability::MessageRedaction) {
            return self.unknown(message.command);
        }
        let (Some(target), Some(msgid)) = (self.needs(message, 0), message.param(1)) else {
            if message.param(0).is_some() {
                self.needs(message, 1);
            }
            return;
        };
        let Some(at) = self.named(target, true) else {
            return self.not_redacted("INVALID_TARGET", &[target], "There is no such target");
        };
        let Some(place) = place_in(&at, msgid) else {
            let text = "There is no such message";
            return self.not_redacted("UNKNOWN_MSGID", &[target, msgid], text);
        };
        let seq = place.seq;
        match self.ask(Command::Delete { at, seq }).await {
            Ok(Answer::Logged(id)) => self.said(id).await,
            Ok(_) | Err(Refused::Over) => {}
            Err(why @ Refused::NoSuchEntry(_)) => {
                self.not_redacted("UNKNOWN_MSGID", &[target, msgid], &why.to_string());
            }
            Err(why @ Refused::NotYours(_)) => {
                self.not_redacted("REDACT_FORBIDDEN", &[target, msgid], &why.to_string());
            }
            Err(why) => self.not_redacted("INVALID_TARGET", &[target], &why.to_string()),
        }
    }

    fn not_redacted(&mut self, code: &str, context: &[&str], text: &str) {
        let context: Vec<&str> = context.iter().map(|word| sayable(word)).collect();
        self.out.fail("REDACT", code, &context, text);
    }

    /// A room or somebody, as a client names them.
    fn named(&mut self, target: &str, is_silent: bool) -> Option<Target> {
        match names::channel(target).map(RoomName::parse) {
            Some(Ok(room)) => return Some(Target::Room(room)),
            None if !target.starts_with('#') => return Some(Target::Nick(target.to_owned())),
            _ if is_silent => {}
            _ => self.out.reply(
                numeric::ERR_NOSUCHCHANNEL,
                &[sayable(target)],
                "No such channel",
            ),
        }
        None
    }

    pub(super) async fn tagmsg(&mut self, message: &Message<'_>) {
        if !self.out.has(Capability::MessageTags) {
            return self.unknown(message.command);
        }
        let Some(targets) = self.needs(message, 0) else {
            return;
        };
        // Of all tags only this one has a meaning to other protocols: see CLIENTTAGDENY.
        let Some(state) = message.tag("+typing") else {
            return;
        };
        let active = match state.as_ref() {
            "active" => true,
            "paused" | "done" => false,
            _ => return,
        };
        for target in split(targets) {
            let Some(to) = self.named(target, false) else {
                continue;
            };
            let shown = match &to {
                Target::Room(room) => format!("#{room}"),
                Target::Nick(nick) => nick.clone(),
            };
            match self.ask(Command::Typing { to, active }).await {
                Ok(_) if self.out.has(Capability::EchoMessage) => {
                    let client = [("+typing".to_owned(), state.to_string())];
                    let me = source(&self.me);
                    let marks = Marks {
                        client: &client,
                        ..Marks::default()
                    };
                    self.out
                        .line(&marks, Some(&me), "TAGMSG", |line| line.param(&shown).end());
                }
                Ok(_) => {}
                Err(why) => refusal::tell(&mut self.out, Act::Speak, "TAGMSG", target, &why),
            }
        }
    }
}

/// The place that a message's name means, where it is of the room or of a conversation.
fn place_in(to: &Target, msgid: &str) -> Option<Place> {
    match to {
        Target::Room(room) => place(msgid, room),
        // The one who is meant is looked up later; a conversation's places are its own.
        Target::Nick(_) if msgid.contains("@@") => msgid
            .split_once('@')
            .and_then(|(place, _)| place.parse().ok()),
        Target::Nick(_) => None,
    }
}

/// The message that this one answers.
fn reply(message: &Message<'_>) -> Option<String> {
    let id = message
        .tag("+draft/reply")
        .or_else(|| message.tag("+reply"))?;
    Some(id.into_owned())
}
