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

    /// The name of a log as clients were told it: a room's, or that of a conversation of two.
    pub fn parse_log(text: &str) -> Option<RoomName> {
        let Some(people) = text.strip_prefix('@') else {
            return RoomName::parse(text).ok();
        };
        let (one, other) = people.split_once('+')?;
        let name = RoomName::direct(&Person::parse(one)?, &Person::parse(other)?);
        (name.as_str() == text).then_some(name)
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

    /// Somebody as clients were told who it is: exactly as it is written here.
    pub fn parse(text: &str) -> Option<Person> {
        let person = match text.strip_prefix('~') {
            Some(guest) => {
                let (epoch, number) = guest.split_once('.')?;
                let epoch = u64::from_str_radix(epoch, 16).ok()?;
                Person::guest(epoch, number.parse().ok()?)
            }
            None => {
                rule::check(text).ok()?;
                Person::account(text)
            }
        };
        // One spelling, so that nothing has two names.
        (person.as_str() == text).then_some(person)
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

    #[test]
    fn logs_are_named_in_one_way() {
        let (ada, guest) = (Person::account("ada"), Person::guest(0x1f, 2));
        let name = RoomName::direct(&ada, &guest);
        assert_eq!(RoomName::parse_log(name.as_str()), Some(name));
        assert_eq!(RoomName::parse_log("lobby"), RoomName::parse("lobby").ok());
        for wrong in [
            "@",
            "@+",
            "@ada",
            "@ada+",
            "@bob+ada",
            "@Ada+bob",
            "@ada+~",
            "@ada+~1",
            "@ada+~01.2",
            "@ada+~1.2/x",
            "@ada+b/c",
            "@ada+bob+eve",
            "a b",
        ] {
            assert_eq!(RoomName::parse_log(wrong), None, "{wrong}");
        }
    }
}
