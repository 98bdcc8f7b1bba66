//! What answers at a server: one service, or routes to several.

use super::{Spec, chat};
use crate::http::router::{Fixed, Layers, Redirect, Scope};
use crate::net::ws::Subprotocols;

/// What answers at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// One service, whatever is asked.
    Service(Spec),
    /// The first of these that takes a request.
    Routes(Vec<Route>),
}

impl Answers {
    /// What a ready line and a log call it: the service's name, or `routes`.
    pub fn name(&self) -> &'static str {
        match self {
            Answers::Service(spec) => spec.name(),
            Answers::Routes(_) => "routes",
        }
    }

    /// Whether people meet here, so that one at a time makes no sense.
    pub fn is_chat(&self) -> bool {
        match self {
            Answers::Service(spec) => matches!(spec, Spec::Chat(_)),
            Answers::Routes(routes) => routes
                .iter()
                .any(|route| matches!(route.to, To::Service(Spec::Chat(_)))),
        }
    }

    /// What may be asked for over a WebSocket of the server's own.
    pub fn subprotocols(&self) -> Subprotocols {
        match self {
            Answers::Service(Spec::Chat(_)) => &[chat::irc::SUBPROTOCOL],
            _ => &[],
        }
    }
}

impl From<Spec> for Answers {
    fn from(spec: Spec) -> Answers {
        Answers::Service(spec)
    }
}

/// A route as it was told: [`build`](super::build) makes a [`router::Route`](crate::http::Route) of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which requests it takes.
    pub scope: Scope,
    /// What happens on the way.
    pub layers: Layers,
    /// What answers.
    pub to: To,
}

/// What answers the requests of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A service, which stands on requests.
    Service(Spec),
    /// Somewhere else.
    Redirect(Redirect),
    /// Always the same.
    Fixed(Fixed),
}
