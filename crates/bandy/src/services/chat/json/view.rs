//! The model's answers as the messages that are sent.

use super::wire::{Good, Logged, Room, RoomLine, TopicLine, UnreadLine};
use crate::services::chat::model::{Answer, History, RoomView};

pub(super) fn good(answer: &Answer) -> Good {
    match answer {
        Answer::Done => Good::Done,
        Answer::Logged(id) => Good::Logged {
            room: id.room.as_str().to_owned(),
            at: super::wire::At {
                epoch: id.epoch,
                seq: id.seq,
            },
        },
        Answer::Joined(view) | Answer::Room(view) => Good::Room {
            room: Box::new(room(view)),
        },
        Answer::Person(view) => Good::Person {
            who: (&view.who).into(),
            away: view.away.clone(),
            since: view.since,
            active: view.active,
            rooms: view
                .rooms
                .iter()
                .map(|(room, _)| room.as_str().to_owned())
                .collect(),
        },
        Answer::Rooms(rooms) => {
            let line = |room: &crate::services::chat::model::RoomLine| RoomLine {
                name: room.name.as_str().to_owned(),
                members: room.members,
                topic: room.topic.clone(),
                closed: room.is_closed,
            };
            Good::Rooms {
                rooms: rooms.iter().map(line).collect(),
            }
        }
        Answer::History(history) => Good::History {
            room: history.room.as_str().to_owned(),
            epoch: history.epoch,
            entries: entries(history),
            oldest: history.oldest,
            last: history.last,
            lost: history.is_lost,
            more: history.has_more,
        },
        Answer::Unread(unread) => {
            let line = |unread: &crate::services::chat::model::Unread| UnreadLine {
                room: unread.room.as_str().to_owned(),
                epoch: unread.epoch,
                nick: unread.nick.clone(),
                read: unread.read,
                last: unread.last,
            };
            Good::Unread {
                rooms: unread.iter().map(line).collect(),
            }
        }
    }
}

pub(super) fn entries(history: &History) -> Vec<Logged> {
    let entry = |(seq, entry): &(u64, _)| Logged::new(&history.room, history.epoch, *seq, entry);
    history.entries.iter().map(entry).collect()
}

pub(super) fn room(view: &RoomView) -> Room {
    Room {
        name: view.name.as_str().to_owned(),
        from: view.from.into(),
        topic: view.topic.as_ref().map(|topic| TopicLine {
            text: topic.text.clone(),
            by: topic.by.clone(),
            at: topic.at,
        }),
        members: view.members.iter().map(Into::into).collect(),
        count: view.count,
        role: view.role,
        member: view.is_member,
        invite_only: view.invite_only,
        password: view.has_password,
        moderated: view.moderated,
        topic_locked: view.topic_locked,
        hidden: view.hidden,
        limit: view.limit,
        created: view.created,
        bans: view.bans.iter().map(Into::into).collect(),
        mutes: view.mutes.iter().map(Into::into).collect(),
    }
}
