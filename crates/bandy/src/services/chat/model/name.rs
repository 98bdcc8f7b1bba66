//! What rooms and people are called.
//!
//! One strict rule, that of accounts ([`crate::accounts::name`]), for rooms and for nicks: what passes it can stand in a
//! line of IRC, in a URL and on a terminal as it is. Upper and lower case are one name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::accounts::name::{self as rule, NameFault};

/// A room's name, in lower case; or a conversation of two, which is kept as a room is and has a name that nobody can
/// ask for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// A room's name as people write it: `Lobby`, `#lobby`.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn parse(text: &str) -> Result<RoomName, NameFault> {
        let text = text.strip_prefix('#').unwrap_or(text);
        rule::check(text)?;
        Ok(RoomName(text.to_ascii_lowercase().into()))
    }

    /// The conversation of two people; the same whoever begins.
    pub fn direct(one: &Person, other: &Person) -> RoomName {
        let (a, b) = if one <= other {
            (one, other)
        } else {
            (other, one)
        };
        RoomName(format!("@{a}+{b}").into())
    }

    /// The two whose conversation it is, if it is one.
    pub fn people(&self) -> Option<(Person, Person)> {
        let (a, b) = self.0.strip_prefix('@')?.split_once('+')?;
        Some((Person(a.into()), Person(b.into())))
    }

    /// Whether it is a conversation of two.
    pub fn is_direct(&self) -> bool {
        self.0.starts_with('@')
    }

    /// Whether nothing of it is to be kept: a conversation with a guest, whose name somebody else may have tomorrow.
    pub fn is_fleeting(&self) -> bool {
        self.people()
            .is_some_and(|(a, b)| a.is_guest() || b.is_guest())
    }

    /// As it is written, without a `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody, whatever they are called now: an account's name in lower case, or `~` and a guest's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Person(Arc<str>);

impl Person {
    /// An account's user.
    pub fn account(name: &str) -> Person {
        Person(rule::fold(name).into())
    }

    /// A guest; `epoch` tells those of one run of the server from another's.
    pub fn guest(epoch: u64, number: u64) -> Person {
        Person(format!("~{epoch:x}.{number}").into())
    }

    /// All guests together.
    pub fn any_guest() -> Person {
        Person("~".into())
    }

    /// Whether nobody proved who they are.
    pub fn is_guest(&self) -> bool {
        self.0.starts_with('~')
    }

    /// As it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The form in which two nicks are the same.
pub fn fold(nick: &str) -> String {
    rule::fold(nick)
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Ok($name(String::deserialize(from)?.into()))
            }
        }
    )*};
}

// As the server itself stored them; what clients send goes through `parse`.
as_text!(RoomName, Person);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_written_with_and_without_the_sign() {
        assert_eq!(RoomName::parse("#Lobby"), RoomName::parse("lobby"));
        for wrong in ["", "#", "##a", "a b", "a,b", "@a+b", "a\r\nb", "ä"] {
            assert!(RoomName::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_conversation_is_the_same_whoever_begins() {
        let (ada, bob) = (Person::account("Ada"), Person::account("bob"));
        let name = RoomName::direct(&bob, &ada);
        assert_eq!(name, RoomName::direct(&ada, &bob));
        assert_eq!(name.people(), Some((ada.clone(), bob)));
        assert!(!name.is_fleeting());
        assert!(RoomName::direct(&ada, &Person::guest(1, 2)).is_fleeting());
    }
}
