//! A chat under load: members join one room over WebSocket, some say something at a rate, and every delivery is
//! accounted for.
//!
//! A delivery is one message at one member: of `m` messages in a room of `n` there are `m * n`. Each message carries
//! when it was due, so whoever hears it knows how long it took from then, whichever event loop it was said on. What a
//! member should have heard, how often and in which order is known by the room's own numbers (`ear`); what messages
//! there were at all, by the answers to those who said them. `member` is one connection, `board` what those of an event
//! loop share, `govern` that loop, `account` adds it all up at the end.

pub(super) mod account;
pub(super) mod board;
pub(super) mod ear;
pub(super) mod govern;
mod member;

pub use account::{Chat, Faulty};

/// The room, and what is said there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Its name; it is made if it is not there.
    pub name: String,
    /// How long a message is, if there is room for what it has to say of itself. Bytes.
    pub size: usize,
}

/// The highest rate at which messages are said: each is heard by everybody.
pub const RATE_MAX: f64 = 100_000.0;
/// The shortest text that says all it has to.
pub const SIZE_MIN: usize = 96;

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label {
    /// Which run it is of; what is left of another one is not counted.
    pub(super) run: u32,
    /// Whose message it is, and which of theirs.
    pub(super) lane: u16,
    pub(super) number: u32,
    /// When it was due and when it was sent, in nanoseconds from the run's beginning.
    pub(super) due: u64,
    pub(super) sent: u64,
}

const MARK: &str = "bandy load";

impl Label {
    /// As text of this size.
    pub(super) fn write(&self, size: usize) -> String {
        let Label {
            run,
            lane,
            number,
            due,
            sent,
        } = self;
        let text = format!("{MARK} {run:08x} {lane} {number} {due} {sent} ");
        let padding = size.saturating_sub(text.len());
        let letters = ('a'..='z').cycle().take(padding);
        text.chars().chain(letters).collect()
    }

    pub(super) fn read(text: &str) -> Option<Label> {
        let mut words = text.strip_prefix(MARK)?.split_ascii_whitespace();
        Some(Label {
            run: u32::from_str_radix(words.next()?, 16).ok()?,
            lane: words.next()?.parse().ok()?,
            number: words.next()?.parse().ok()?,
            due: words.next()?.parse().ok()?,
            sent: words.next()?.parse().ok()?,
        })
    }

    /// Which message it is, among all of a run.
    pub(super) fn id(&self) -> u64 {
        u64::from(self.lane) << 32 | u64::from(self.number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_message_says_is_read(
            run: u32, lane: u16, number: u32, due in 0_u64..1 << 42, sent in 0_u64..1 << 42, size in 0_usize..300,
        ) {
            let label = Label { run, lane, number, due, sent };
            let text = label.write(size);
            prop_assert!(text.len() == size || size < SIZE_MIN);
            prop_assert_eq!(Label::read(&text), Some(label));
        }

        #[test]
        fn what_others_say_is_none(text: String) {
            prop_assert_eq!(Label::read(&text), None);
        }
    }
}
