//! People: what they are called, who they are, whether they are there.

use super::client::Client;
use super::refusal::{self, Act};
use super::rooms::{prefix, sayable, split};
use super::source::{host, source, user};
use crate::services::chat::model::{
    Answer, Command, Known, MemberLine, PersonView, RoomName, Step, World,
};
use crate::wire::irc::{Message, names, numeric, text};

impl Client {
    pub(super) async fn nick(&mut self, message: &Message<'_>) {
        let Some(nick) = message.param(0) else {
            return self
                .out
                .reply(numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
        };
        let nick = nick.to_owned();
        if self.me.nick == nick {
            return;
        }
        let before = self.me.nick.clone();
        if self
            .change(Command::Nick(nick.clone()), Act::Other, "NICK", &nick)
            .await
        {
            let who = self.me.clone();
            self.shared.gone(before, &who);
        }
    }

    pub(super) async fn away(&mut self, message: &Message<'_>) {
        let text = message.param(0).map(|text| text::plain(text).into_owned());
        let is_away = text.is_some();
        if self.ask(Command::Away(text)).await.is_err() {
            return;
        }
        match is_away {
            true => self.out.reply(
                numeric::RPL_NOWAWAY,
                &[],
                "You have been marked as being away",
            ),
            false => self.out.reply(
                numeric::RPL_UNAWAY,
                &[],
                "You are no longer marked as being away",
            ),
        }
    }

    /// 301, if somebody is away.
    pub(super) fn tell_away_of(&mut self, nick: &str) {
        if let Some(person) = self.person(nick) {
            self.tell_away_text(&person);
        }
    }

    fn tell_away_text(&mut self, person: &PersonView) {
        if let Some(text) = &person.away {
            self.out.reply(numeric::RPL_AWAY, &[&person.who.nick], text);
        }
    }

    /// Somebody who is here. It is looked up in memory, beside the command that it is for, and so at no pace of its own.
    pub(super) fn person(&self, nick: &str) -> Option<Box<PersonView>> {
        let session = self.session.as_ref()?.id();
        let whois = Command::Whois(nick.to_owned());
        let now = self.now();
        let look = |world: &mut World| world.apply(now, session, whois, &Known::default());
        match self.hub.0.with(look) {
            Ok(Step::Done(Answer::Person(person))) => Some(person),
            _ => None,
        }
    }

    pub(super) async fn who(&mut self, message: &Message<'_>) {
        let target = message.param(0).unwrap_or("*").to_owned();
        let room = names::channel(&target).and_then(|name| RoomName::parse(name).ok());
        if let Some(room) = room {
            if let Ok(Answer::Room(view)) = self.ask(Command::Look(room)).await {
                let channel = format!("#{}", view.name);
                for member in &view.members {
                    self.tell_who(&channel, member);
                }
            }
        } else if let Some(person) = self.person(&target) {
            let member = MemberLine {
                who: person.who.clone(),
                role: None,
                is_away: person.away.is_some(),
            };
            self.tell_who("*", &member);
        }
        self.out.reply(
            numeric::RPL_ENDOFWHO,
            &[sayable(&target)],
            "End of /WHO list",
        );
    }

    fn tell_who(&mut self, channel: &str, member: &MemberLine) {
        let MemberLine { who, role, is_away } = member;
        let here = if *is_away { 'G' } else { 'H' };
        let flags = format!("{here}{}", prefix(*role));
        let server = self.out.server().to_owned();
        let host = host(&who.person);
        let real = format!("0 {}", who.nick);
        let params = [
            channel,
            user(&who.person),
            &host,
            &server,
            &who.nick,
            &flags,
        ];
        self.out.reply(numeric::RPL_WHOREPLY, &params, &real);
    }

    pub(super) async fn whois(&mut self, message: &Message<'_>) {
        // With two parameters the first is a server, and there is one.
        let Some(nick) = message.param(1).or(message.param(0)) else {
            return self
                .out
                .reply(numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
        };
        let nick = nick.split(',').next().unwrap_or_default().to_owned();
        match self.ask(Command::Whois(nick.clone())).await {
            Ok(Answer::Person(person)) => self.tell_whois(&person),
            Ok(_) => {}
            Err(why) => refusal::tell(&mut self.out, Act::Other, "WHOIS", &nick, &why),
        }
        self.out.reply(
            numeric::RPL_ENDOFWHOIS,
            &[sayable(&nick)],
            "End of /WHOIS list",
        );
    }

    fn tell_whois(&mut self, person: &PersonView) {
        let who = &person.who;
        let nick = who.nick.as_str();
        let host = host(&who.person);
        self.out.reply(
            numeric::RPL_WHOISUSER,
            &[nick, user(&who.person), &host, "*"],
            nick,
        );
        if let Some(address) = person.address {
            let text = format!("is connecting from {address}");
            self.out.reply(numeric::RPL_WHOISHOST, &[nick], &text);
        }
        let server = self.out.server().to_owned();
        self.out
            .reply(numeric::RPL_WHOISSERVER, &[nick, &server], "Bandy");
        if person.is_admin {
            self.out.reply(
                numeric::RPL_WHOISOPERATOR,
                &[nick],
                "is an operator of this server",
            );
        }
        let rooms: Vec<String> = person
            .rooms
            .iter()
            .map(|(room, role)| format!("{}#{room}", prefix(*role)))
            .collect();
        for some in rooms.chunks(10) {
            self.out
                .reply(numeric::RPL_WHOISCHANNELS, &[nick], &some.join(" "));
        }
        self.tell_away_text(person);
        if let Some(account) = who.account() {
            self.out.reply(
                numeric::RPL_WHOISACCOUNT,
                &[nick, account],
                "is logged in as",
            );
        }
        let idle = (self.now().saturating_sub(person.active) / 1000).to_string();
        let since = (person.since / 1000).to_string();
        self.out.reply(
            numeric::RPL_WHOISIDLE,
            &[nick, &idle, &since],
            "seconds idle, signon time",
        );
    }

    pub(super) fn whowas(&mut self, message: &Message<'_>) {
        let Some(nick) = message.param(0) else {
            return self
                .out
                .reply(numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
        };
        let gone = self.shared.who_was(nick);
        if gone.is_empty() {
            self.out.reply(
                numeric::ERR_WASNOSUCHNICK,
                &[sayable(nick)],
                "There was no such nickname",
            );
        }
        for who in gone {
            let host = host(&who.person);
            let params = [who.nick.as_str(), user(&who.person), &host, "*"];
            self.out.reply(numeric::RPL_WHOWASUSER, &params, &who.nick);
        }
        self.out
            .reply(numeric::RPL_ENDOFWHOWAS, &[sayable(nick)], "End of WHOWAS");
    }

    pub(super) fn ison(&mut self, message: &Message<'_>) {
        if self.needs(message, 0).is_none() {
            return;
        }
        let mut here = Vec::new();
        for nick in message
            .params()
            .iter()
            .flat_map(|p| p.split(' '))
            .filter(|n| !n.is_empty())
            .take(20)
        {
            here.extend(self.person(nick).map(|person| person.who.nick.clone()));
        }
        self.out.reply(numeric::RPL_ISON, &[], &here.join(" "));
    }

    pub(super) fn userhost(&mut self, message: &Message<'_>) {
        if self.needs(message, 0).is_none() {
            return;
        }
        let mut found = Vec::new();
        for nick in message.params().iter().flat_map(|p| split(p)).take(5) {
            if let Some(person) = self.person(nick) {
                let here = if person.away.is_some() { '-' } else { '+' };
                let full = source(&person.who);
                let (_, address) = full.split_once('!').unwrap_or(("", &full));
                found.push(format!("{}={here}{address}", person.who.nick));
            }
        }
        self.out.reply(numeric::RPL_USERHOST, &[], &found.join(" "));
    }
}
