//! What there is to see: kept by whoever runs the servers, shown by the admin endpoint.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use crate::endpoint::Endpoint;
use crate::net::Ending;
use crate::pool::{Pool, Pools};
use crate::services::balance::Balance;

/// What runs, and who can be asked to read the configuration again.
#[derive(Debug)]
pub struct Board {
    pub(super) started: SystemTime,
    pub(super) since: Instant,
    view: RwLock<Arc<View>>,
    reload: Mutex<Option<mpsc::Sender<Wish>>>,
}

/// What runs.
#[derive(Debug, Default)]
pub struct View {
    /// In the order of the configuration.
    pub servers: Vec<Card>,
    /// The names of the pools, in the order of the configuration.
    pub names: Vec<String>,
    /// The pools.
    pub pools: Pools,
    /// Who passes requests on to them: the server's name with each.
    pub balances: Vec<(String, Balance)>,
}

/// A server, as far as it is shown.
#[derive(Debug, Clone)]
pub struct Card {
    /// Its name.
    pub name: String,
    /// What answers there.
    pub service: String,
    /// How its connections are run.
    pub model: &'static str,
    /// Where it listens, with real ports.
    pub listen: Vec<Endpoint>,
    /// Where its connections are counted.
    pub counted: Ending,
}

/// Somebody wants the configuration to be read again.
#[derive(Debug)]
pub struct Wish(oneshot::Sender<Reloaded>);

/// What came of reading the configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// What is different now, in words.
    Done(String),
    /// Why nothing has changed.
    Refused(String),
}

impl Wish {
    /// Says what came of it.
    pub fn answer(self, came: Reloaded) {
        // Whoever asked may have gone: then nobody wants to know.
        let _ = self.0.send(came);
    }
}

impl Default for Board {
    fn default() -> Board {
        Board {
            started: SystemTime::now(),
            since: Instant::now(),
            view: RwLock::default(),
            reload: Mutex::default(),
        }
    }
}

/// Wishes that wait; with more, who wishes waits.
const WISHES: usize = 4;

impl Board {
    /// Shows this from now on.
    pub fn show(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    pub(super) fn view(&self) -> Arc<View> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.clone()
    }

    /// Where wishes to read the configuration again come out. Whoever takes it answers them, until it is dropped.
    pub fn wishes(&self) -> mpsc::Receiver<Wish> {
        let (sender, wishes) = mpsc::channel(WISHES);
        *self.reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        wishes
    }

    /// Has the configuration read again. `None` where nobody does that.
    pub(super) async fn reload(&self) -> Option<Reloaded> {
        let sender = self.reload.lock();
        let sender = sender.unwrap_or_else(PoisonError::into_inner).clone()?;
        let (answer, answered) = oneshot::channel();
        sender.send(Wish(answer)).await.ok()?;
        answered.await.ok()
    }
}

impl View {
    /// The pools, in the order of the configuration.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.names.iter().filter_map(|name| self.pools.get(name))
    }
}
