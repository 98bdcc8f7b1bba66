//! A room as its log makes it: what is to be known of it besides what was said. Folding the log gives it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::event::{Entry, Millis, Setting, What};
use super::name::{Person, RoomName, fold};

/// The most bans, mutes, roles and invitations of a room, each.
pub const RULES_MAX: usize = 500;

/// What somebody may do in a room, besides being there; each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Speaks where it is moderated.
    Voice,
    /// Kicks, bans, mutes, deletes, invites, sets the topic and the room.
    Moderator,
    /// Makes moderators. Whoever makes a room owns it.
    Owner,
}

impl Role {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Voice => "voice",
            Role::Moderator => "moderator",
            Role::Owner => "owner",
        }
    }

    /// What is written so.
    pub fn parse(text: &str) -> Option<Role> {
        [Role::Voice, Role::Moderator, Role::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a ban or a mute is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mask {
    /// Somebody, whatever they are called: an account, or a guest for as long as they are here.
    Person(Person),
    /// Whoever is called so, in lower case.
    Nick(String),
    /// Whoever comes from there.
    Address(IpAddr),
}

impl Mask {
    /// Whether it is about them.
    pub fn is(&self, nick: &str, person: &Person, address: Option<IpAddr>) -> bool {
        match self {
            Mask::Person(masked) => masked == person,
            Mask::Nick(masked) => *masked == fold(nick),
            Mask::Address(masked) => Some(*masked) == address,
        }
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mask::Person(person) => write!(f, "{person}"),
            Mask::Nick(nick) => f.write_str(nick),
            Mask::Address(address) => write!(f, "{address}"),
        }
    }
}

/// A ban or a mute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Whom it is about.
    pub mask: Mask,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Until when; for good where it is not there.
    pub until: Option<Millis>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What a room is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// One line.
    pub text: String,
    /// The nick of whoever said so.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// A room, folded from its log up to and with the entry `seq`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomState {
    /// Which of the room's logs it is. Whoever loads it knows.
    pub epoch: u64,
    /// When it was made.
    pub created: Millis,
    /// The last entry that is folded in.
    pub seq: u64,
    /// What it is about.
    pub topic: Option<Topic>,
    /// Who has which role.
    pub roles: BTreeMap<Person, Role>,
    /// Who may not come in.
    pub bans: Vec<Rule>,
    /// Who may not speak.
    pub mutes: Vec<Rule>,
    /// Who was invited, and may come in whenever they like.
    pub invited: BTreeSet<Person>,
    /// See [`Setting`].
    pub invite_only: bool,
    /// The hash of the password, where there is one.
    pub password: Option<String>,
    /// See [`Setting`].
    pub moderated: bool,
    /// See [`Setting`].
    pub topic_locked: bool,
    /// Not in the list of rooms.
    pub hidden: bool,
    /// How many may be in it at once.
    pub limit: Option<u32>,
}

impl RoomState {
    /// A room that nobody has made yet, and that has this log.
    pub fn new(epoch: u64) -> RoomState {
        RoomState {
            epoch,
            topic_locked: true,
            ..RoomState::default()
        }
    }

    /// Takes the next entry of the log in.
    pub fn fold(&mut self, seq: u64, entry: &Entry) {
        self.seq = seq;
        let by = &entry.by;
        match &entry.what {
            What::Created if seq == 1 => {
                self.created = entry.time;
                self.roles.insert(by.person.clone(), Role::Owner);
            }
            What::Topic { text } => {
                self.topic = (!text.is_empty()).then(|| Topic {
                    text: text.clone(),
                    by: by.nick.clone(),
                    at: entry.time,
                });
            }
            What::Banned {
                mask,
                until,
                reason,
            } => {
                let rule = rule(entry, mask, *until, reason);
                put(&mut self.bans, rule);
            }
            What::Unbanned { mask } => self.bans.retain(|rule| rule.mask != *mask),
            What::Muted { mask, until } => {
                let rule = rule(entry, mask, *until, "");
                put(&mut self.mutes, rule);
            }
            What::Unmuted { mask } => self.mutes.retain(|rule| rule.mask != *mask),
            What::Invited { who } if self.invited.len() < RULES_MAX => {
                self.invited.insert(who.person.clone());
            }
            // Whoever was put out is not invited any more.
            What::Kicked { who, .. } => {
                self.invited.remove(&who.person);
            }
            What::Role { who, role } => match role {
                Some(role) => {
                    self.roles.insert(who.person.clone(), *role);
                }
                None => {
                    self.roles.remove(&who.person);
                }
            },
            What::Set(setting) => self.set(setting),
            _ => {}
        }
    }

    fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::InviteOnly(is) => self.invite_only = *is,
            Setting::Password(hash) => self.password.clone_from(hash),
            Setting::Moderated(is) => self.moderated = *is,
            Setting::TopicLocked(is) => self.topic_locked = *is,
            Setting::Hidden(is) => self.hidden = *is,
            Setting::Limit(limit) => self.limit = *limit,
        }
    }

    /// Somebody's role.
    pub fn role(&self, person: &Person) -> Option<Role> {
        self.roles.get(person).copied()
    }

    /// The ban that keeps them out now.
    pub fn ban(
        &self,
        nick: &str,
        person: &Person,
        address: Option<IpAddr>,
        now: Millis,
    ) -> Option<&Rule> {
        in_force(&self.bans, nick, person, address, now)
    }

    /// The mute that keeps them silent now.
    pub fn mute(
        &self,
        nick: &str,
        person: &Person,
        address: Option<IpAddr>,
        now: Millis,
    ) -> Option<&Rule> {
        in_force(&self.mutes, nick, person, address, now)
    }
}

fn in_force<'r>(
    rules: &'r [Rule],
    nick: &str,
    person: &Person,
    address: Option<IpAddr>,
    now: Millis,
) -> Option<&'r Rule> {
    rules.iter().find(|rule| {
        rule.until.is_none_or(|until| now < until) && rule.mask.is(nick, person, address)
    })
}

fn rule(entry: &Entry, mask: &Mask, until: Option<Millis>, reason: &str) -> Rule {
    Rule {
        mask: mask.clone(),
        by: entry.by.nick.clone(),
        at: entry.time,
        until,
        reason: reason.to_owned(),
    }
}

/// In the place of an older one about the same; those that are over make room.
fn put(rules: &mut Vec<Rule>, rule: Rule) {
    rules.retain(|old| old.mask != rule.mask && old.until.is_none_or(|until| rule.at < until));
    if rules.len() < RULES_MAX {
        rules.push(rule);
    }
}

/// A room's password as it is stored. It only keeps the curious out, and is known to all who are in; it is hashed so
/// that whoever reads the log does not have it.
pub fn hash_password(room: &RoomName, epoch: u64, password: &str) -> String {
    let text = format!("{room}\0{epoch}\0{password}");
    let digest = digest(&SHA256, text.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}
