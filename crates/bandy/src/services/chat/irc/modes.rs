//! MODE: what a room is like, and who is what in it.

use super::client::Client;
use super::refusal::Act;
use super::rooms::sayable;
use super::source::{mask, whom};
use super::welcome::TARGETS;
use crate::services::chat::model::{Command, Role, RoomName, RoomView, Rule, Setting};
use crate::wire::irc::mode::{self, Change, Fault, Takes};
use crate::wire::irc::numeric;
use crate::wire::irc::{Message, names};

fn takes(letter: char) -> Option<Takes> {
    Some(match letter {
        'b' | 'q' => Takes::List,
        'o' | 'v' => Takes::Always,
        // Who takes a key away need not know it.
        'k' | 'l' => Takes::WhenSet,
        'i' | 'm' | 'n' | 's' | 't' => Takes::Nothing,
        _ => return None,
    })
}

impl Client {
    pub(super) async fn mode(&mut self, message: &Message<'_>) {
        let Some(target) = self.needs(message, 0) else {
            return;
        };
        if names::channel(target).is_none() {
            return self.own_mode(target, message.param(1));
        }
        let Some(room) = self.room("MODE", target) else {
            return;
        };
        let Some(letters) = message.param(1) else {
            if let Some(view) = self.look(room, "MODE", target).await {
                self.tell_modes(&view);
            }
            return;
        };
        let params = message.params().get(2..).unwrap_or_default();
        let changes: Vec<_> = mode::changes(letters, params.iter().copied(), takes)
            .take(2 * TARGETS)
            .collect();
        let mut lists = Vec::new();
        for change in changes {
            match change {
                Err(Fault::Unknown(letter)) => {
                    let letter = letter.to_string();
                    self.out.reply(
                        numeric::ERR_UNKNOWNMODE,
                        &[sayable(&letter)],
                        "is unknown mode char to me",
                    );
                }
                Err(Fault::Missing(letter)) => {
                    let letter = letter.to_string();
                    let text = "You must specify a parameter for this mode";
                    self.out
                        .reply(numeric::ERR_INVALIDMODEPARAM, &[target, &letter, "*"], text);
                }
                Ok(Change {
                    letter,
                    param: None,
                    ..
                }) if takes(letter) == Some(Takes::List) => {
                    if !lists.contains(&letter) {
                        lists.push(letter);
                    }
                }
                Ok(change) => self.change_mode(&room, target, change).await,
            }
        }
        for letter in lists {
            self.list_mode(&room, target, letter).await;
        }
    }

    fn own_mode(&mut self, target: &str, letters: Option<&str>) {
        if !names::same(target, &self.me.nick) {
            let text = "Cannot change mode for other users";
            return self.out.reply(numeric::ERR_USERSDONTMATCH, &[], text);
        }
        match letters {
            None => self.out.reply_bare(numeric::RPL_UMODEIS, &["+i"]),
            // Nobody is visible to those who share no room, and that is all there is.
            Some(letters) => {
                let is_known = |c: char| matches!(c, '+' | '-' | 'i');
                if !letters.chars().all(is_known) {
                    self.out
                        .reply(numeric::ERR_UMODEUNKNOWNFLAG, &[], "Unknown MODE flag");
                }
            }
        }
    }

    /// 324 and 329.
    fn tell_modes(&mut self, view: &RoomView) {
        let channel = format!("#{}", view.name);
        let limit = view.limit.map(|limit| limit.to_string());
        let flag = |letter, set, param| {
            (
                set,
                Change {
                    set: true,
                    letter,
                    param,
                },
            )
        };
        let set = [
            flag('i', view.invite_only, None),
            flag('k', view.has_password, view.is_member.then_some("*")),
            flag('l', limit.is_some(), limit.as_deref()),
            flag('m', view.moderated, None),
            flag('n', true, None),
            flag('s', view.hidden, None),
            flag('t', view.topic_locked, None),
        ];
        let (letters, params) = mode::written(
            set.into_iter()
                .filter(|(is, _)| *is)
                .map(|(_, change)| change),
        );
        let mut all = vec![channel.as_str(), &letters];
        all.extend(params);
        self.out.reply_bare(numeric::RPL_CHANNELMODEIS, &all);
        self.tell_created(view);
    }

    async fn change_mode(&mut self, room: &RoomName, target: &str, change: Change<'_>) {
        let Change { set, letter, param } = change;
        let room = room.clone();
        let param = param.unwrap_or_default();
        let invalid = |client: &mut Client, why: &str| {
            let letter = letter.to_string();
            client.out.reply(
                numeric::ERR_INVALIDMODEPARAM,
                &[target, &letter, sayable(param)],
                why,
            );
        };
        let setting = match letter {
            'i' => Setting::InviteOnly(set),
            'm' => Setting::Moderated(set),
            's' => Setting::Hidden(set),
            't' => Setting::TopicLocked(set),
            'k' if set && (param.is_empty() || param.contains(',')) => {
                return invalid(self, "A key has no comma");
            }
            'k' => Setting::Password(set.then(|| param.to_owned())),
            'l' => match (set, param.parse()) {
                (false, _) => Setting::Limit(None),
                (true, Ok(limit)) if limit > 0 => Setting::Limit(Some(limit)),
                _ => return invalid(self, "A limit is a number above 0"),
            },
            'o' | 'v' => return self.change_role(room, target, set, letter, param).await,
            'b' | 'q' => {
                let Some(who) = whom(param) else {
                    let why = "A mask here is a nick, or a host as WHOIS shows it: nick!*@*, *!*@user/name";
                    return invalid(self, why);
                };
                let length = None;
                let command = match (letter, set) {
                    ('b', true) => Command::Ban {
                        room,
                        who,
                        length,
                        reason: String::new(),
                    },
                    ('b', false) => Command::Unban { room, who },
                    (_, true) => Command::Mute { room, who, length },
                    (_, false) => Command::Unmute { room, who },
                };
                self.change(command, Act::List, "MODE", target).await;
                return;
            }
            // Only members speak, always.
            _ => return,
        };
        self.change(Command::Set { room, setting }, Act::Other, "MODE", target)
            .await;
    }

    async fn change_role(
        &mut self,
        room: RoomName,
        target: &str,
        set: bool,
        letter: char,
        nick: &str,
    ) {
        let wanted = if letter == 'o' {
            Role::Moderator
        } else {
            Role::Voice
        };
        let Some(view) = self.look(room.clone(), "MODE", target).await else {
            return;
        };
        let member = view
            .members
            .iter()
            .find(|member| names::same(&member.who.nick, nick));
        let has = member.and_then(|member| member.role);
        // What is so already is not said again: an owner who gets +o stays one, and -v takes nothing else away.
        let is_so = match (letter, set) {
            ('o', true) => has >= Some(Role::Moderator),
            ('o', false) => member.is_some() && has < Some(Role::Moderator),
            (_, true) => has >= Some(Role::Voice),
            (_, false) => member.is_some() && has != Some(Role::Voice),
        };
        if is_so && view.role >= Some(Role::Moderator) {
            return;
        }
        let command = Command::Role {
            room,
            nick: nick.to_owned(),
            role: set.then_some(wanted),
        };
        let about = match (view.role >= Some(Role::Moderator), member) {
            (true, None) => nick,
            _ => target,
        };
        self.change(command, Act::Other, "MODE", about).await;
    }

    async fn list_mode(&mut self, room: &RoomName, target: &str, letter: char) {
        let Some(view) = self.look(room.clone(), "MODE", target).await else {
            return;
        };
        let channel = format!("#{}", view.name);
        let (rules, is_ban): (&[Rule], _) = match letter {
            'b' => (&view.bans, true),
            _ => (&view.mutes, false),
        };
        for rule in rules {
            let at = (rule.at / 1000).to_string();
            let masked = mask(&rule.mask);
            match is_ban {
                true => self
                    .out
                    .reply_bare(numeric::RPL_BANLIST, &[&channel, &masked, &rule.by, &at]),
                false => self.out.reply_bare(
                    numeric::RPL_QUIETLIST,
                    &[&channel, "q", &masked, &rule.by, &at],
                ),
            }
        }
        match is_ban {
            true => self.out.reply(
                numeric::RPL_ENDOFBANLIST,
                &[&channel],
                "End of channel ban list",
            ),
            false => self.out.reply(
                numeric::RPL_ENDOFQUIETLIST,
                &[&channel, "q"],
                "End of channel quiet list",
            ),
        }
    }
}
