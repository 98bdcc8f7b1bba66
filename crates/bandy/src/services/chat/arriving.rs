//! Letting somebody in: as a guest with a nick that is free, as the guest that they were, or as their account.

use super::hub::{Hub, now};
use super::model::{Arrival, Person, Refused};
use super::session::Session;
use crate::error::Result;

/// How often a guest's nick is looked for.
const TRIES: usize = 20;

impl Hub {
    /// Lets somebody in. A guest whose nick is taken, reserved or none gets a free one that is like it.
    ///
    /// # Errors
    /// The store's. Inside, why they may not come.
    pub async fn open(&self, arrival: Arrival) -> Result<Result<Session, Refused>> {
        let mut arrival = arrival;
        self.0.begin().await?;
        let wish = std::mem::take(&mut arrival.nick);
        for try_ in 0..TRIES {
            if arrival.account.is_none() {
                let nick = self.0.with(|world| world.free_nick(&wish));
                // A number may make an account's name of it.
                if self.0.is_account(&nick).await? {
                    if try_ + 1 == TRIES {
                        return Ok(Err(Refused::NickReserved(nick)));
                    }
                    let other = format!("guest-{}", now() % 100_000);
                    arrival.nick = self.0.with(|world| world.free_nick(&other));
                } else {
                    arrival.nick = nick;
                }
            }
            match self.open_now(arrival.clone()) {
                // Somebody was quicker.
                Err(Refused::NickTaken(_)) => {}
                other => return Ok(other),
            }
        }
        Ok(Err(Refused::NickTaken(wish)))
    }

    /// As [`Hub::open`], with the nick as it is or not at all.
    ///
    /// # Errors
    /// As there.
    pub async fn open_as(&self, arrival: Arrival) -> Result<Result<Session, Refused>> {
        self.0.begin().await?;
        if arrival.account.is_none() && self.0.is_account(&arrival.nick).await? {
            return Ok(Err(Refused::NickReserved(arrival.nick)));
        }
        Ok(self.open_now(arrival))
    }

    /// The guest who was given this token, to come back as.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn guest(&self, token: &str) -> Result<Option<Person>> {
        Ok(self.0.seal().await?.guest(token))
    }

    /// What a guest comes back with.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn guest_token(&self, who: &Person) -> Result<Option<String>> {
        match who.is_guest() {
            true => Ok(Some(self.0.seal().await?.token(who))),
            false => Ok(None),
        }
    }

    fn open_now(&self, arrival: Arrival) -> Result<Session, Refused> {
        let (opened, outbox) = self.0.admit(arrival)?;
        Ok(Session::new(self.clone(), opened, outbox))
    }
}
