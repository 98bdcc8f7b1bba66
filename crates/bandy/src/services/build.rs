//! Services out of what was told: one value that answers on connections and on requests.

use std::sync::Arc;

use super::template::Template;
use super::{
    Answers, Route, Spec, To, api, balance, chargen, chat, discard, echo, exec, files, greet, reply,
};
use crate::accounts::Accounts;
use crate::endpoint::Carries;
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Authority, Http, Request, Response, Router, router};
use crate::limits::Limits;
use crate::net::conn::Conn;
use crate::pool::Pools;
use crate::service::{Answer, BoxService, Service};
use crate::state::Store;

/// What services need that was not told to them.
#[derive(Clone, Default)]
pub struct Needs {
    /// Where services remember.
    pub store: Option<Arc<dyn Store>>,
    /// Who is who there: for the application server, and for routes that want to know who asks.
    pub accounts: Option<Accounts>,
    /// The servers that `balance` asks.
    pub pools: Pools,
    /// The bounds of the server that they are for.
    pub limits: Limits,
    /// The chats that run already: servers that are told the same share one.
    pub chats: chat::Hubs,
}

impl std::fmt::Debug for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Needs").finish_non_exhaustive()
    }
}

/// What answers at a server, made.
#[derive(Debug, Clone)]
pub struct Built {
    service: BoxService<Conn>,
    requests: Option<Http<BoxService<Request, Response>>>,
    balances: Vec<balance::Balance>,
}

impl Built {
    /// It takes connections of every scheme that it stands on: those that carry requests are lifted by [`Http`].
    pub fn service(&self) -> BoxService<Conn> {
        self.service.clone()
    }

    /// Those in it that pass requests on, in the order of the routes.
    pub fn balances(&self) -> &[balance::Balance] {
        &self.balances
    }

    /// Has the other one answer the requests that come from now on, on connections that stand too.
    pub fn succeed(&self, next: &Built) {
        if let (Some(before), Some(next)) = (&self.requests, &next.requests) {
            before.succeed(next);
        }
    }
}

/// Makes what answers at a server.
///
/// # Errors
/// What only the machine can tell: that there is no such program or folder. And a template that is none, where no configuration
/// checked it before.
pub fn build(answers: &Answers, needs: &Needs) -> Result<Built> {
    let mut balances = Vec::new();
    let (conns, requests) = match answers {
        // On whatever it stands, one limit holds for all its programs.
        Answers::Service(Spec::Exec { command, programs }) => {
            let exec = exec::Exec::new(command, *programs)?;
            (
                Some(BoxService::new(exec.clone())),
                Some(BoxService::new(exec)),
            )
        }
        Answers::Service(spec) => {
            let requests = of_requests(spec, needs, &mut balances)?;
            (of_conns(spec, needs)?, requests)
        }
        Answers::Routes(routes) => {
            let mut router = Router::new();
            for route in routes {
                router = router.route(made(route, needs, &mut balances)?);
            }
            (None, Some(BoxService::new(router)))
        }
    };
    let lift = |requests| Http::new(requests).limits(needs.limits.http.clone());
    let requests = match (requests.map(lift), answers) {
        // What is nothing but passed on needs no request to be made of it.
        (Some(http), Answers::Service(Spec::Balance(options))) => {
            let balance = balance::Balance::new(options, needs)?;
            Some(http.forward(Arc::new(balance)))
        }
        (requests, _) => requests,
    };
    let service = BoxService::new(Standing {
        name: answers.name(),
        conns,
        requests: requests.clone().map(BoxService::new),
    });
    Ok(Built {
        service,
        requests,
        balances,
    })
}

/// A service with all that it stands on.
struct Standing {
    name: &'static str,
    conns: Option<BoxService<Conn>>,
    requests: Option<BoxService<Conn>>,
}

impl Standing {
    /// What answers a connection that carries this.
    ///
    /// # Errors
    /// That nothing does. A checked configuration does not come here.
    fn stands_on(&self, conn: &Conn) -> Result<&BoxService<Conn>> {
        let carries = conn.carries();
        let service = match carries {
            Carries::Request => &self.requests,
            _ => &self.conns,
        };
        service.as_ref().ok_or_else(|| {
            let act = format!("answering at {}", conn.endpoint());
            let why = format!("`{}` cannot stand there ({carries})", self.name);
            Error::new(Kind::Usage, Side::Local, act).because(why)
        })
    }
}

/// It only chooses: nothing of it is in a conversation's future, which has the size of the one that answers.
impl Service<Conn> for Standing {
    type Out = ();

    async fn call(&self, conn: Conn) -> Result<()> {
        self.stands_on(&conn)?.call(conn).await
    }

    fn call_owned(self: Arc<Self>, conn: Conn) -> Answer<'static, ()> {
        match self.stands_on(&conn) {
            Ok(service) => service.answer(conn),
            Err(e) => Box::pin(std::future::ready(Err(e))),
        }
    }
}

fn made(
    route: &Route,
    needs: &Needs,
    balances: &mut Vec<balance::Balance>,
) -> Result<router::Route> {
    let answers = match &route.to {
        To::Service(spec) => match of_requests(spec, needs, balances)? {
            Some(service) => router::Answers::Service(service),
            None => {
                let act = format!("making a route to `{spec}`");
                let error = Error::new(Kind::Usage, Side::Local, act);
                return Err(error.because("it does not answer requests"));
            }
        },
        To::Redirect(redirect) => router::Answers::Redirect(redirect.clone()),
        To::Fixed(fixed) => router::Answers::Fixed(fixed.clone()),
    };
    let accounts = needs.accounts.clone();
    Ok(router::Route::new(answers)
        .scope(route.scope.clone())
        .layers(route.layers.clone())
        .authority(accounts.map(|accounts| Arc::new(accounts) as Arc<dyn Authority>)))
}

/// The service as it answers connections, if it does.
fn of_conns(spec: &Spec, needs: &Needs) -> Result<Option<BoxService<Conn>>> {
    Ok(Some(match spec {
        Spec::Echo => BoxService::new(echo::Echo),
        Spec::Greet { text } => BoxService::new(greet::Greet::new(text)),
        Spec::Reply { template, pause } => {
            BoxService::new(reply::Reply::new(parsed(template)?, *pause))
        }
        Spec::Discard => BoxService::new(discard::Discard),
        Spec::Chargen => BoxService::new(chargen::Chargen),
        Spec::Exec { command, programs } => BoxService::new(exec::Exec::new(command, *programs)?),
        Spec::Balance(options) if !options.sni.is_empty() => {
            BoxService::new(balance::ByName::new(options, needs)?)
        }
        Spec::Balance(options) => BoxService::new(balance::Balance::new(options, needs)?),
        Spec::Chat(options) => BoxService::new(chat(options, needs)?),
        Spec::Files(_) | Spec::Api(_) => return Ok(None),
    }))
}

/// The service as it answers requests, if it does. One that passes them on is noted.
fn of_requests(
    spec: &Spec,
    needs: &Needs,
    balances: &mut Vec<balance::Balance>,
) -> Result<Option<BoxService<Request, Response>>> {
    Ok(Some(match spec {
        Spec::Echo => BoxService::new(echo::Echo),
        Spec::Greet { text } => BoxService::new(greet::Greet::new(text)),
        Spec::Reply { template, pause } => {
            let reply = reply::Reply::new(parsed(template)?, *pause);
            BoxService::new(reply.message_bytes(needs.limits.message_bytes))
        }
        Spec::Files(options) => BoxService::new(files::Files::new(options.clone())?),
        Spec::Api(options) => {
            let (store, accounts) = remembered(spec, needs)?;
            let api = api::Api::new(options.clone(), store.clone(), accounts.clone())?;
            BoxService::new(api)
        }
        Spec::Chat(options) => BoxService::new(chat(options, needs)?),
        Spec::Exec { command, programs } => BoxService::new(exec::Exec::new(command, *programs)?),
        // Names are what streams of TLS are routed by.
        Spec::Balance(options) if !options.sni.is_empty() => return Ok(None),
        Spec::Balance(options) => {
            let balance = balance::Balance::new(options, needs)?;
            balances.push(balance.clone());
            BoxService::new(balance)
        }
        Spec::Discard | Spec::Chargen => return Ok(None),
    }))
}

/// The chat that was told this: one for all that speak to it.
fn chat(options: &chat::Options, needs: &Needs) -> Result<chat::Chat> {
    let (store, accounts) = remembered(&Spec::Chat(options.clone()), needs)?;
    let hub = needs.chats.hub(options, store, accounts)?;
    chat::Chat::new(hub)
}

/// Where a service remembers, and for whom.
fn remembered<'n>(spec: &Spec, needs: &'n Needs) -> Result<(&'n Arc<dyn Store>, &'n Accounts)> {
    match (&needs.store, &needs.accounts) {
        (Some(store), Some(accounts)) => Ok((store, accounts)),
        _ => {
            let act = format!("starting the service `{spec}`");
            let error = Error::new(Kind::Usage, Side::Local, act);
            Err(error.because("there is no store for it to remember in"))
        }
    }
}

fn parsed(template: &str) -> Result<Template> {
    Template::parse(template)
        .map_err(|e| Error::new(Kind::Usage, Side::Local, "reading the template").because(e))
}
