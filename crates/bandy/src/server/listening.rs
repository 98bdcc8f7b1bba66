//! The sockets of a running server: each with its accept loop.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::loops::EventLoop;
use super::model::Run;
use super::{Model, On, Running, serve};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::net::{Bound, Doors, Entrance, Inherited, Spare};

/// A socket that is listened on. Dropping it stops accepting there.
#[derive(Debug)]
pub(super) struct Listening {
    /// As it was asked for: a name, or port 0.
    pub(super) asked: Endpoint,
    /// As it is.
    pub(super) endpoint: Endpoint,
    pub(super) entrance: Entrance,
    spare: Option<Weak<Spare>>,
    _open: watch::Sender<()>,
}

impl Listening {
    /// Through which the socket can be handed on, while it is listened on. A `mem` listener has none.
    pub(super) fn spare(&self) -> Option<Arc<Spare>> {
        self.spare.as_ref()?.upgrade()
    }
}

impl Running {
    /// Listens on sockets of one endpoint, on as many event loops as the model wants.
    pub(super) fn open(
        &mut self,
        asked: &Endpoint,
        sockets: Vec<Bound>,
        doors: &Doors,
        inherited: &mut Inherited,
    ) -> Result<()> {
        let loops = self.all_loops().len();
        for (i, socket) in sockets.into_iter().enumerate() {
            let mut all = vec![];
            while let Some(another) = socket.another(inherited)? {
                all.push(another);
            }
            if self.model == Model::Async {
                while all.len() + 1 < loops
                    && let Some(beside) = socket.beside()?
                {
                    all.push(beside);
                }
            }
            all.insert(0, socket);
            let first = if self.model == Model::Async { 0 } else { i };
            for (k, socket) in all.into_iter().enumerate() {
                self.accept_from(asked, socket, doors, (first + k) % loops.max(1))?;
            }
        }
        Ok(())
    }

    pub(super) fn all_loops(&self) -> &Arc<[EventLoop]> {
        match &self.on {
            On::Own(own) => own.all(),
            On::Shared => self.loops.all(),
        }
    }

    /// Begins to accept from a socket, on the event loop of this number.
    fn accept_from(
        &mut self,
        asked: &Endpoint,
        socket: Bound,
        doors: &Doors,
        home: usize,
    ) -> Result<()> {
        let loops = self.all_loops().clone();
        let Some(event_loop) = loops.get(home) else {
            return Ok(());
        };
        let run = match self.model {
            Model::Async => Run::OnLoops {
                loops: loops.clone(),
                home,
            },
            Model::Threads => Run::OnThreads,
            Model::Sequential => Run::InTurn(self.turn.clone()),
        };
        let _on_loop = event_loop.handle.enter();
        let listener = socket.listen(doors)?;
        let (open, is_open) = watch::channel(());
        self.listening.push(Listening {
            asked: asked.clone(),
            endpoint: listener.endpoint().clone(),
            entrance: listener.entrance().clone(),
            spare: listener.spare(),
            _open: open,
        });
        let part = self.live.drain.part();
        let accepting = serve::serve(self.live.clone(), listener, run, is_open, part);
        event_loop.handle.spawn(accepting);
        Ok(())
    }

    /// Notes where it listens, for those who ask: each address once.
    pub(super) fn note_endpoints(&mut self) {
        self.endpoints.clear();
        for listening in &self.listening {
            if !self.endpoints.contains(&listening.endpoint) {
                self.endpoints.push(listening.endpoint.clone());
            }
        }
    }

    /// Handles on the sockets that it listens on, through which another process can go on.
    pub fn spares(&self) -> impl Iterator<Item = Arc<Spare>> {
        self.listening.iter().filter_map(Listening::spare)
    }
}
