//! What decides which backend a request goes to: of one that has come, and of one that is only asked about.

use std::net::IpAddr;
use std::sync::Arc;

use ::http::request;

use super::super::Balance;
use super::head::Client;
use super::{Rules, sticky};
use crate::pool::snapshot::Explained;
use crate::pool::{Backend, Key, Options, Pool, Wanted};

/// What a request says about where it wants to go.
pub(super) struct Choice {
    /// What the strategy decides by, where it wants to know and the request has it.
    pub(super) key: Option<Key>,
    /// The backend that its cookie names.
    pub(super) stuck: Option<Arc<Backend>>,
}

impl Choice {
    pub(super) fn of(
        pool: &Pool,
        options: &Options,
        rules: &Rules,
        parts: &request::Parts,
        client: &Client,
    ) -> Choice {
        let named = |wanted| sticky::named(pool, wanted, rules, parts);
        Choice {
            key: rules.key(&options.strategy, parts, client),
            stuck: options.sticky.as_ref().and_then(named),
        }
    }

    pub(super) fn wanted<'a>(&'a self, avoid: &'a [Arc<Backend>]) -> Wanted<'a> {
        Wanted {
            key: self.key,
            avoid,
            stick: self.stuck.as_ref().map(|backend| backend.name()),
        }
    }
}

/// What a request would get.
#[derive(Debug)]
pub struct Foreseen {
    /// Which backend, and why.
    pub explained: Explained,
    /// Whether the request has what the strategy decides by.
    pub has_key: bool,
    /// Who asks, as far as can be believed.
    pub client: Option<IpAddr>,
    /// The backend that a cookie of ours names, ready or not.
    pub cookie: Option<String>,
}

impl Balance {
    /// Which backend a request like this would get if it came from there now, and why. It is decided as of one that has
    /// come, and nothing is changed by asking.
    pub fn foresee(&self, parts: &request::Parts, from: Option<IpAddr>) -> Foreseen {
        let client = Client::at(from, false, &parts.headers, &self.rules);
        let options = self.pool.options();
        let choice = Choice::of(&self.pool, &options, &self.rules, parts, &client);
        Foreseen {
            explained: self.pool.explain(choice.wanted(&[])),
            has_key: choice.key.is_some(),
            client: client.ip,
            cookie: choice.stuck.map(|backend| backend.name().to_owned()),
        }
    }

    /// The pool that answers.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether a request would be told the same by both.
    pub fn decides_alike(&self, other: &Balance) -> bool {
        self.rules.trust == other.rules.trust && self.rules.secret == other.rules.secret
    }
}
