//! The chat as a service: which protocol is spoken on a connection is known from its endpoint's scheme.

use std::sync::{Arc, Mutex, PoisonError};

use super::hub::Hub;
use super::options::Options;
use super::{json, lines};
use crate::accounts::Accounts;
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::net::Conn;
use crate::service::Service;
use crate::services::api::Api;
use crate::state::Store;

/// The chat, a service of connections and of requests.
#[derive(Debug, Clone)]
pub struct Chat {
    pub(super) hub: Hub,
    pub(super) people: Arc<Api>,
}

impl Chat {
    /// What speaks to this hub.
    ///
    /// # Errors
    /// As [`Api::new`].
    pub fn new(hub: Hub) -> Result<Chat> {
        let people = Api::people(hub.store().clone(), hub.accounts().clone())?;
        Ok(Chat {
            hub,
            people: Arc::new(people),
        })
    }
}

impl Service<Conn> for Chat {
    type Out = ();

    /// Each protocol in a box of its own: a future that could be any would have the size of the largest.
    fn call(&self, conn: Conn) -> impl Future<Output = Result<()>> + Send {
        let hub = self.hub.clone();
        let scheme = conn.endpoint().scheme();
        let talk: std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>> =
            match scheme.carries() {
                Carries::Stream => Box::pin(lines::talk(conn, hub)),
                Carries::Message => Box::pin(json::talk(conn, hub, None)),
                _ => {
                    let act = format!("answering at {}", conn.endpoint());
                    let error = Error::new(Kind::Usage, Side::Local, act);
                    Box::pin(std::future::ready(Err(
                        error.because("chat is not spoken there")
                    )))
                }
            };
        talk
    }
}

/// The chats of one process: servers that are told the same talk to one.
#[derive(Debug, Clone, Default)]
pub struct Hubs(Arc<Mutex<Vec<Hub>>>);

impl Hubs {
    /// The chat that was told this, started if it does not run yet.
    ///
    /// # Errors
    /// As [`Hub::start`].
    pub fn hub(
        &self,
        options: &Options,
        store: &Arc<dyn Store>,
        accounts: &Accounts,
    ) -> Result<Hub> {
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |hub: &&Hub| hub.options() == options && hub.is_on(store);
        if let Some(hub) = hubs.iter().find(is_it) {
            return Ok(hub.clone());
        }
        let hub = Hub::start(options.clone(), store.clone(), accounts.clone())?;
        hubs.push(hub.clone());
        Ok(hub)
    }
}
