//! The admin endpoint of what runs: a server like the others, which shows them.

use std::sync::Arc;

use crate::config::Plan;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::http::Http;
use crate::limits::Limits;
use crate::net::{Inherited, Spare};
use crate::server::{Change, Loops, Running, Server};
use crate::services::admin::{Admin, Board, Options};

/// The most connections to it: those who look after servers are few.
const CONNECTIONS: usize = 100;

/// The board that says what runs, and who shows it.
#[derive(Debug, Default)]
pub(super) struct Overseer {
    pub(super) board: Arc<Board>,
    serving: Option<Serving>,
}

#[derive(Debug)]
struct Serving {
    running: Running,
    http: Http<Admin>,
}

/// What becomes of it under another plan. Everything that can fail has been done.
#[expect(clippy::large_enum_variant, reason = "there is one, for a moment")]
pub(super) enum Next {
    Same,
    Nobody,
    New(Running, Http<Admin>),
    Other(Change, Http<Admin>),
}

impl Overseer {
    pub(super) fn start(
        plan: &Plan,
        loops: &Arc<Loops>,
        inherited: &mut Inherited,
    ) -> Result<Overseer> {
        let board = Arc::<Board>::default();
        let serving = match &plan.admin {
            None => None,
            Some(options) => {
                let http = http(&board, options);
                let running = server(options, &http).start_on(loops, inherited)?;
                Some(Serving { running, http })
            }
        };
        Ok(Overseer { board, serving })
    }

    /// The sockets that it leaves to others under another plan.
    pub(super) fn leaving(&self, plan: &Plan) -> Vec<Arc<Spare>> {
        let Some(serving) = &self.serving else {
            return Vec::new();
        };
        match &plan.admin {
            Some(options) => {
                let server = server(options, &http(&self.board, options));
                serving.running.leaving(&server).collect()
            }
            None => serving.running.spares().collect(),
        }
    }

    /// # Errors
    /// As [`Server::start_on`].
    pub(super) fn prepare(
        &self,
        before: &Plan,
        plan: &Plan,
        loops: &Arc<Loops>,
        inherited: &mut Inherited,
    ) -> Result<Next> {
        Ok(match (&self.serving, &plan.admin) {
            _ if before.admin == plan.admin => Next::Same,
            (_, None) => Next::Nobody,
            (None, Some(options)) => {
                let http = http(&self.board, options);
                Next::New(server(options, &http).start_on(loops, inherited)?, http)
            }
            (Some(serving), Some(options)) => {
                let http = http(&self.board, options);
                let change = serving.running.prepare(server(options, &http), inherited)?;
                Next::Other(change, http)
            }
        })
    }

    /// Becomes what was prepared; who serves no more is given back.
    pub(super) fn become_next(&mut self, next: Next, inherited: &mut Inherited) -> Option<Running> {
        match next {
            Next::Same => None,
            Next::Nobody => self.serving.take().map(|serving| serving.running),
            Next::New(running, http) => {
                self.serving = Some(Serving { running, http });
                None
            }
            Next::Other(change, http) => {
                let serving = self.serving.as_mut()?;
                if let Err(e) = serving.running.become_changed(change, inherited) {
                    tracing::error!(server = Options::NAME, error = %e, "not all of it is listened on");
                }
                // The token that no longer holds does not on connections that stand either.
                serving.http.succeed(&http);
                serving.http = http;
                None
            }
        }
    }

    pub(super) fn running(&self) -> Option<&Running> {
        self.serving.as_ref().map(|serving| &serving.running)
    }

    pub(super) fn endpoints(&self) -> &[Endpoint] {
        self.running().map_or(&[], Running::endpoints)
    }
}

fn http(board: &Arc<Board>, options: &Options) -> Http<Admin> {
    Http::new(Admin::new(board.clone(), options.token.clone()))
}

fn server(options: &Options, http: &Http<Admin>) -> Server {
    Server::new(http.clone())
        .named(Options::NAME, Options::NAME)
        .limits(Limits {
            connections: CONNECTIONS,
            ..Limits::default()
        })
        .listen_at(options.listen.clone())
}
