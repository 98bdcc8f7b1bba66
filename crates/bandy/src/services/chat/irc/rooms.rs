//! Rooms: going in and out, who is there, what they are about.

use super::client::Client;
use super::events::{letter, time};
use super::refusal::{self, Act};
use super::source::source;
use super::welcome::TARGETS;
use crate::services::chat::model::{Answer, Command, MemberLine, Role, RoomName, RoomView};
use crate::wire::irc::capability::Capability;
use crate::wire::irc::{LINE_BYTES, Message, names, numeric, text};

impl Client {
    pub(super) async fn join(&mut self, message: &Message<'_>) {
        let Some(targets) = self.needs(message, 0) else {
            return;
        };
        if targets == "0" {
            for room in self.rooms.clone() {
                self.part_one(&room, "").await;
            }
            return;
        }
        let keys: Vec<&str> = message.param(1).unwrap_or_default().split(',').collect();
        for (at, target) in split(targets).enumerate() {
            let Some(room) = self.room("JOIN", target) else {
                continue;
            };
            if self.rooms.contains(&room) {
                continue;
            }
            let password = keys.get(at).filter(|key| !key.is_empty());
            let password = password.map(|key| (*key).to_owned());
            self.join_one(room, password, target).await;
        }
    }

    pub(super) async fn join_one(
        &mut self,
        room: RoomName,
        password: Option<String>,
        written: &str,
    ) {
        let join = Command::Join {
            room: room.clone(),
            password,
        };
        match self.ask(join).await {
            Ok(Answer::Joined(view)) => {
                self.rooms.insert(room.clone());
                let with_role =
                    |member: &MemberLine| Some((member.who.person.clone(), member.role?));
                let roles = view.members.iter().filter_map(with_role).collect();
                self.roles.insert(room.clone(), roles);
                let me = self.me.clone();
                // A role is in the names that follow.
                self.tell_joined(&room, &me, None);
                if view.topic.is_some() {
                    self.tell_topic(&view);
                }
                self.tell_names(&view);
            }
            Ok(_) => {}
            Err(why) => refusal::tell(&mut self.out, Act::Join, "JOIN", written, &why),
        }
    }

    pub(super) async fn part(&mut self, message: &Message<'_>) {
        let Some(targets) = self.needs(message, 0) else {
            return;
        };
        let reason = text::plain(message.param(1).unwrap_or_default()).into_owned();
        for target in split(targets) {
            if let Some(room) = self.room("PART", target) {
                self.part_one(&room, &reason).await;
            }
        }
    }

    async fn part_one(&mut self, room: &RoomName, reason: &str) {
        let part = Command::Part {
            room: room.clone(),
            reason: reason.to_owned(),
        };
        let channel = format!("#{room}");
        self.change(part, Act::Other, "PART", &channel).await;
    }

    pub(super) async fn topic(&mut self, message: &Message<'_>) {
        let Some(target) = self.needs(message, 0) else {
            return;
        };
        let Some(room) = self.room("TOPIC", target) else {
            return;
        };
        if let Some(new) = message.params().get(1) {
            let text = text::plain(new).into_owned();
            self.change(Command::Topic { room, text }, Act::Other, "TOPIC", target)
                .await;
            return;
        }
        let Some(view) = self.look(room, "TOPIC", target).await else {
            return;
        };
        if view.hidden && !view.is_member {
            let text = "You're not on that channel";
            return self.out.reply(numeric::ERR_NOTONCHANNEL, &[target], text);
        }
        match view.topic {
            Some(_) => self.tell_topic(&view),
            None => self
                .out
                .reply(numeric::RPL_NOTOPIC, &[target], "No topic is set"),
        }
    }

    fn tell_topic(&mut self, view: &RoomView) {
        let channel = format!("#{}", view.name);
        if let Some(topic) = &view.topic {
            self.out.reply(numeric::RPL_TOPIC, &[&channel], &topic.text);
            let at = (topic.at / 1000).to_string();
            self.out
                .reply_bare(numeric::RPL_TOPICWHOTIME, &[&channel, &topic.by, &at]);
        }
    }

    pub(super) async fn names(&mut self, message: &Message<'_>) {
        let Some(targets) = message.param(0) else {
            return self
                .out
                .reply(numeric::RPL_ENDOFNAMES, &["*"], "End of /NAMES list");
        };
        for target in split(targets) {
            let room = names::channel(target).and_then(|name| RoomName::parse(name).ok());
            let view = match room {
                Some(room) => match self.ask(Command::Look(room)).await {
                    Ok(Answer::Room(view)) => Some(view),
                    _ => None,
                },
                None => None,
            };
            match view {
                Some(view) => self.tell_names(&view),
                None => {
                    let target = sayable(target);
                    self.out
                        .reply(numeric::RPL_ENDOFNAMES, &[target], "End of /NAMES list");
                }
            }
        }
    }

    /// 353 in as many lines as it takes, and 366.
    fn tell_names(&mut self, view: &RoomView) {
        let channel = format!("#{}", view.name);
        let kind = if view.hidden { "@" } else { "=" };
        let frame = self.out.server().len() + self.out.nick.len() + channel.len() + 20;
        let room_for = LINE_BYTES.saturating_sub(frame);
        let mut line = String::new();
        for member in &view.members {
            let shown = self.shown(member);
            if !line.is_empty() && line.len() + 1 + shown.len() > room_for {
                self.out
                    .reply(numeric::RPL_NAMREPLY, &[kind, &channel], &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&shown);
        }
        if !line.is_empty() {
            self.out
                .reply(numeric::RPL_NAMREPLY, &[kind, &channel], &line);
        }
        self.out
            .reply(numeric::RPL_ENDOFNAMES, &[&channel], "End of /NAMES list");
    }

    fn shown(&self, member: &MemberLine) -> String {
        let prefix = prefix(member.role);
        match self.out.has(Capability::UserhostInNames) {
            true => format!("{prefix}{}", source(&member.who)),
            false => format!("{prefix}{}", member.who.nick),
        }
    }

    pub(super) async fn list(&mut self, message: &Message<'_>) {
        let wanted: Option<Vec<String>> = message
            .param(0)
            .map(|masks| masks.split(',').take(TARGETS).map(str::to_owned).collect());
        let Ok(Answer::Rooms(rooms)) = self.ask(Command::Rooms).await else {
            return;
        };
        self.out
            .reply(numeric::RPL_LISTSTART, &["Channel"], "Users  Name");
        for room in rooms {
            let channel = format!("#{}", room.name);
            let is_wanted =
                |masks: &Vec<String>| masks.iter().any(|mask| names::matches(mask, &channel));
            if wanted.as_ref().is_none_or(is_wanted) {
                let members = room.members.to_string();
                self.out
                    .reply(numeric::RPL_LIST, &[&channel, &members], &room.topic);
            }
        }
        self.out.reply(numeric::RPL_LISTEND, &[], "End of /LIST");
    }

    pub(super) async fn kick(&mut self, message: &Message<'_>) {
        let (Some(target), Some(nicks)) = (self.needs(message, 0), self.needs(message, 1)) else {
            return;
        };
        let reason = text::plain(message.param(2).unwrap_or_default()).into_owned();
        // One channel for all the nicks, or one for each.
        let channels: Vec<&str> = split(target).collect();
        for (at, nick) in split(nicks).enumerate() {
            let Some(target) = channels.get(at).or(channels.last()) else {
                return;
            };
            let Some(room) = self.room("KICK", target) else {
                continue;
            };
            let about = match self.may_moderate(&room).await {
                true => nick,
                false => target,
            };
            let kick = Command::Kick {
                room,
                nick: nick.to_owned(),
                reason: reason.clone(),
            };
            self.change(kick, Act::Other, "KICK", about).await;
        }
    }

    async fn may_moderate(&mut self, room: &RoomName) -> bool {
        match self.ask(Command::Look(room.clone())).await {
            Ok(Answer::Room(view)) => view.role >= Some(Role::Moderator),
            _ => false,
        }
    }

    pub(super) async fn invite(&mut self, message: &Message<'_>) {
        let (Some(nick), Some(target)) = (self.needs(message, 0), self.needs(message, 1)) else {
            return;
        };
        let Some(room) = self.room("INVITE", target) else {
            return;
        };
        let channel = format!("#{room}");
        if let Some(view) = self.look(room.clone(), "INVITE", target).await {
            if !view.is_member {
                let text = "You're not on that channel";
                return self.out.reply(numeric::ERR_NOTONCHANNEL, &[&channel], text);
            }
            let is_there = |member: &MemberLine| names::same(&member.who.nick, nick);
            if view.members.iter().any(is_there) {
                let text = "is already on channel";
                return self.out.reply(
                    numeric::ERR_USERONCHANNEL,
                    &[sayable(nick), &channel],
                    text,
                );
            }
            let invite = Command::Invite {
                room,
                nick: nick.to_owned(),
            };
            let about = if view.role >= Some(Role::Moderator) {
                nick
            } else {
                target
            };
            if self.change(invite, Act::Other, "INVITE", about).await {
                self.out
                    .reply_bare(numeric::RPL_INVITING, &[sayable(nick), &channel]);
                self.tell_away_of(nick);
            }
        }
    }

    /// What there is to know of a room, or why not is told.
    pub(super) async fn look(
        &mut self,
        room: RoomName,
        command: &str,
        written: &str,
    ) -> Option<Box<RoomView>> {
        match self.ask(Command::Look(room)).await {
            Ok(Answer::Room(view)) => Some(view),
            Ok(_) => None,
            Err(why) => {
                refusal::tell(&mut self.out, Act::Other, command, written, &why);
                None
            }
        }
    }

    /// The room of this name, or that there can be none is told.
    pub(super) fn room(&mut self, command: &str, written: &str) -> Option<RoomName> {
        let room = names::channel(written).map(RoomName::parse);
        match room {
            Some(Ok(room)) => Some(room),
            Some(Err(fault)) if command == "JOIN" => {
                let text = format!("Illegal channel name: {fault}");
                self.out
                    .reply(numeric::ERR_NOSUCHCHANNEL, &[sayable(written)], &text);
                None
            }
            _ => {
                self.out.reply(
                    numeric::ERR_NOSUCHCHANNEL,
                    &[sayable(written)],
                    "No such channel",
                );
                None
            }
        }
    }

    /// 329: when a room was made.
    pub(super) fn tell_created(&mut self, view: &RoomView) {
        let channel = format!("#{}", view.name);
        if time(view.created).is_some() {
            let at = (view.created / 1000).to_string();
            self.out
                .reply_bare(numeric::RPL_CREATIONTIME, &[&channel, &at]);
        }
    }
}

/// The sign of a role in lists of names.
pub(super) fn prefix(role: Option<Role>) -> &'static str {
    match role.map(letter) {
        Some('o') => "@",
        Some(_) => "+",
        None => "",
    }
}

/// Names with commas between, a bounded number of them.
pub(super) fn split(targets: &str) -> impl Iterator<Item = &str> {
    targets
        .split(',')
        .filter(|target| !target.is_empty())
        .take(TARGETS)
}

/// What a client wrote, where it can stand in the middle of a line.
pub(super) fn sayable(written: &str) -> &str {
    let stands = !written.is_empty() && !written.starts_with(':') && !written.contains(' ');
    if stands { written } else { "*" }
}
