//! People as IRC names them: `nick!user@host`.
//!
//! Nobody's address is shown. The host says who somebody is instead, and cannot be chosen: `user/ada` is who logged in as
//! ada, `guest/…` is nobody known. So a mask on it means the person, whatever they are called.

use super::super::model::{Author, Mask, Person, Whom};
use crate::wire::irc::names;

/// `nick!user@host` of somebody.
pub(super) fn source(who: &Author) -> String {
    format!("{}!{}@{}", who.nick, user(&who.person), host(&who.person))
}

/// The user's part.
pub(super) fn user(person: &Person) -> &str {
    match person.is_guest() {
        true => "guest",
        false => person.as_str(),
    }
}

/// The host's part.
pub(super) fn host(person: &Person) -> String {
    match person.as_str().strip_prefix('~') {
        Some(guest) => format!("guest/{guest}"),
        None => format!("user/{person}"),
    }
}

/// A ban or mute as a mask of IRC.
pub(super) fn mask(mask: &Mask) -> String {
    match mask {
        Mask::Person(person) => format!("*!*@{}", host(person)),
        Mask::Nick(nick) => format!("{nick}!*@*"),
        Mask::Address(address) => format!("*!*@{address}"),
    }
}

/// A mask of IRC as a ban or mute; `None` for what cannot be one here, such as a part of a nick.
pub(super) fn whom(written: &str) -> Option<Whom> {
    let full = names::full_mask(written);
    let parts = names::Source::parse(&full);
    let is_any = |part: &str| part == "*";
    let has_wildcard = |part: &str| part.contains(['*', '?']);
    if parts.host.is_empty() || has_wildcard(parts.nick) && !is_any(parts.nick) {
        return None;
    }
    match (is_any(parts.nick), is_any(parts.host)) {
        // Both together say no more than the person alone.
        (_, false) if !has_wildcard(parts.host) => of_host(parts.host).map(Whom::Mask),
        (false, true) => Some(Whom::Nick(parts.nick.to_owned())),
        _ => None,
    }
}

fn of_host(host: &str) -> Option<Mask> {
    if let Some(user) = host.strip_prefix("user/") {
        return crate::accounts::name::check(user)
            .is_ok()
            .then(|| Mask::Person(Person::account(user)));
    }
    if let Some(guest) = host.strip_prefix("guest/") {
        let (epoch, number) = guest.split_once('.')?;
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        return Some(Mask::Person(Person::guest(epoch, number.parse().ok()?)));
    }
    host.parse().ok().map(Mask::Address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_lead_back_to_whom_they_are_about() {
        for masked in [
            Mask::Person(Person::account("ada")),
            Mask::Person(Person::guest(0x17f3a, 4)),
            Mask::Address([192, 0, 2, 1].into()),
        ] {
            assert_eq!(whom(&mask(&masked)), Some(Whom::Mask(masked)));
        }
        for nick in ["ada", "ada!*@*", "ada!*", "ada!x@*"] {
            assert_eq!(whom(nick), Some(Whom::Nick("ada".to_owned())), "{nick}");
        }
        assert_eq!(
            whom("ada!ada@user/Ada"),
            Some(Whom::Mask(Mask::Person(Person::account("ada"))))
        );
        for none in [
            "*",
            "*!*@*",
            "a*!*@*",
            "*!*@192.0.*",
            "*!*@user/",
            "*!*@guest/x",
            "*!*@host",
        ] {
            assert_eq!(whom(none), None, "{none}");
        }
    }

    #[test]
    fn nobody_is_shown_with_an_address() {
        let author = |person| Author {
            nick: "Ada".to_owned(),
            person,
        };
        assert_eq!(source(&author(Person::account("Ada"))), "Ada!ada@user/ada");
        assert_eq!(
            source(&author(Person::guest(0x1f, 3))),
            "Ada!guest@guest/1f.3"
        );
    }
}
