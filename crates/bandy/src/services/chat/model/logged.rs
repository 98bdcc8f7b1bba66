//! What a room's log gives back is what happened.

use super::event::{Entry, Event, Id, What};
use super::name::{Person, RoomName};
use super::nonces;
use super::world::{Audience, SessionId, World};

impl World {
    /// Takes the next entry of an open room's log in, and tells it. Entries come in their order, each once; one that the
    /// world has already is passed over.
    pub fn logged(&mut self, name: &RoomName, seq: u64, entry: Entry) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        if seq <= room.state.seq {
            return;
        }
        room.state.fold(seq, &entry);
        if let Some(nonce) = &entry.nonce {
            room.nonces.note(&entry.by.person, nonce, seq);
            room.pending.remove(&nonces::key(&entry.by.person, nonce));
        }
        let epoch = room.state.epoch;
        let state = (!matches!(entry.what, What::Said { .. })).then(|| room.state.clone());
        if let Some(state) = state {
            self.list(name.clone(), &state);
        }
        let what = entry.what.clone();
        let by = entry.by.clone();
        let to = match name.people() {
            Some((a, b)) => Audience::Sessions(self.both(&a, &b)),
            // Whoever is put out follows it no more when this is told, and is to hear it.
            None if matches!(what, What::Kicked { .. }) => {
                Audience::Sessions(self.followers(name).to_vec())
            }
            None => Audience::Room(name.clone()),
        };
        let id = Id {
            room: name.clone(),
            epoch,
            seq,
        };
        self.tell(to, Event::Logged { id, entry });
        match what {
            What::Kicked { who, .. } => self.put_out(name, &who.person),
            What::Invited { who } => {
                let to = self.sessions_of(&who.person);
                if !to.is_empty() {
                    let room = name.clone();
                    self.tell(Audience::Sessions(to), Event::Invited { room, by });
                }
            }
            _ => {}
        }
    }

    /// What is between the last entry that was told and `through` could not be read: it was trimmed before.
    pub fn lost(&mut self, name: &RoomName, through: u64) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        if through <= room.state.seq {
            return;
        }
        room.state.seq = through;
        let room = name.clone();
        self.tell(Audience::Room(name.clone()), Event::Lost { room, through });
    }

    fn put_out(&mut self, name: &RoomName, person: &Person) {
        let followers = self.followers(name);
        let is_following = |session: &SessionId| followers.contains(session);
        let others: Vec<SessionId> = self
            .sessions_of(person)
            .into_iter()
            .filter(|session| !is_following(session))
            .collect();
        let is_member = self
            .rooms
            .get(name)
            .is_some_and(|room| room.members.contains(person));
        if !is_member {
            return;
        }
        if !others.is_empty() {
            let room = name.clone();
            self.tell(
                Audience::Sessions(others),
                Event::Membership {
                    room,
                    is_member: false,
                },
            );
        }
        self.leave(person, name);
    }

    fn both(&self, a: &Person, b: &Person) -> Vec<SessionId> {
        let mut to = self.sessions_of(a);
        if a != b {
            to.extend(self.sessions_of(b));
        }
        to
    }
}
