//! How a running server becomes another one: its sockets stay, what it has begun goes on.
//!
//! Connections that are accepted from then on are answered by the new service, under the new limits. Those that stand
//! go on as they began; over HTTP they go over at their next request, where the services are
//! [linked](crate::http::Http::succeed).

use std::sync::Arc;

use super::listening::Listening;
use super::live::Shared;
use super::{Certificate, Running, Server, bind};
use crate::endpoint::{Carries, Endpoint};
use crate::error::{Error, Kind, Result, Side};
use crate::limits::Limits;
use crate::net::{Bound, Inherited, Spare};

/// What a server will become. Everything that can fail has been done.
#[derive(Debug)]
pub struct Change {
    server: Server,
    tls: Certificate,
    bound: Vec<(Endpoint, Vec<Bound>)>,
}

impl Running {
    /// The sockets that would be closed if the server became this one: another server may take them over.
    pub fn leaving(&self, server: &Server) -> impl Iterator<Item = Arc<Spare>> {
        let limits = self.live.current().limits.clone();
        self.listening
            .iter()
            .filter(move |l| !stays(&l.asked, server, &limits))
            .filter_map(Listening::spare)
    }

    /// Prepares to become another server, with the sockets that others leave. Nothing changes yet.
    ///
    /// # Errors
    /// What [`Server::start_on`] reports; that it is of another model, which cannot be changed.
    pub fn prepare(&self, server: Server, inherited: &mut Inherited) -> Result<Change> {
        if server.endpoints.is_empty() {
            return Err(server.listens_nowhere());
        }
        if server.model != self.model {
            let act = format!("changing the server `{}`", server.name);
            let why = format!(
                "it runs its connections as `{}`, and would as `{}`",
                self.model, server.model
            );
            let error = Error::new(Kind::Usage, Side::Local, act).because(why);
            return Err(error.hint("that takes a new process: `bandy reload --upgrade` starts one"));
        }
        let tls = Certificate::of(&server, Some(&self.tls))?;
        let limits = &self.live.current().limits;
        let mut bound = Vec::new();
        for endpoint in &server.endpoints {
            let has = self.listening.iter().any(|l| l.asked == *endpoint);
            if !has || !stays(endpoint, &server, limits) {
                bound.push((endpoint.clone(), bind(endpoint, inherited)?));
            }
        }
        Ok(Change { server, tls, bound })
    }

    /// Becomes the server that was prepared.
    ///
    /// # Errors
    /// That an event loop does not take a new socket; the others are listened on then.
    pub fn become_changed(&mut self, change: Change, inherited: &mut Inherited) -> Result<()> {
        let Change { server, tls, bound } = change;
        let before = self.live.current();
        let doors = server.doors(&tls, &self.live.drain);
        let (staying, leaving): (Vec<_>, Vec<_>) = self
            .listening
            .drain(..)
            .partition(|l| stays(&l.asked, &server, &before.limits));
        self.listening = staying;
        for listening in &self.listening {
            listening.entrance.change(&doors)?;
        }
        let shared: Shared = server.shared(before.places.clone(), self.live.drain.clone());
        if let Some(event_loop) = self.all_loops().first() {
            self.live.replace(shared, &event_loop.handle);
        }
        self.tls = tls;
        let mut opened = Ok(());
        for (asked, sockets) in bound {
            opened = opened.and(self.open(&asked, sockets, &doors, inherited));
        }
        // Closed once the others are open: at an address that only changes hands there is always somebody.
        drop(leaving);
        self.note_endpoints();
        opened
    }
}

/// Whether a socket goes on under another server. What bounds UDP flows is fixed where they are received: another bound
/// needs another listener.
fn stays(asked: &Endpoint, server: &Server, before: &Limits) -> bool {
    let flows = |l: &Limits| (l.flows, l.flow_idle, l.flow_queue, l.message_bytes);
    let is_datagram = asked.scheme().carries() == Carries::Datagram;
    server.endpoints.contains(asked) && (!is_datagram || flows(before) == flows(&server.limits))
}
