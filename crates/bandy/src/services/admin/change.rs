//! `POST /pools/POOL/backends/NAME`: what an operator changes of a backend, until the configuration says otherwise.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::board::Board;
use super::status;
use crate::http::{Problem, Request, StatusCode};
use crate::pool::{Backend, Options};

/// The longest body that is read.
const BODY_MAX: usize = 4 << 10;

/// What is to be changed; what is not named stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    drain: Option<bool>,
    /// The opposite of `drain`.
    ready: Option<bool>,
    weight: Option<u32>,
}

/// The backend of this name.
pub(super) fn backend(board: &Board, pool: &str, name: &str) -> Result<Arc<Backend>, Problem> {
    let missing = |detail| Problem::new(StatusCode::NOT_FOUND).detail(detail);
    let view = board.view();
    let Some(found) = view.pools.get(pool) else {
        return Err(missing(format!("there is no pool `{pool}`")));
    };
    found.member(name).ok_or_else(|| {
        let names: Vec<String> = found.members().iter().map(|b| b.name().into()).collect();
        let names = names.join(", ");
        missing(format!(
            "pool `{pool}` has no backend `{name}`; it has {names}"
        ))
    })
}

/// Changes it, and shows what it is now.
pub(super) async fn answer(backend: &Backend, request: Request) -> Result<Value, Problem> {
    let body = request.into_body().collect(BODY_MAX).await;
    let body = body.map_err(|e| Problem::from(&e))?;
    let change: Change = serde_json::from_slice(&body).map_err(|e| {
        let detail = format!("{e}; send it as in {{\"drain\": true}} or {{\"weight\": 2}}");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(detail)
    })?;
    let is_drained = match (change.drain, change.ready) {
        (Some(drain), Some(ready)) if drain == ready => {
            return Err(wrong("ready", "a backend that drains is not ready"));
        }
        (drain, ready) => drain.or(ready.map(|ready| !ready)),
    };
    if is_drained.is_none() && change.weight.is_none() {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY);
        return Err(problem.detail("nothing is changed: say `drain`, `ready` or `weight`"));
    }
    if let Some(weight) = change.weight {
        if !(1..=Options::WEIGHT_MAX).contains(&weight) {
            let detail = format!("a weight is from 1 to {}", Options::WEIGHT_MAX);
            return Err(wrong("weight", &detail));
        }
        backend.set_weight(weight);
    }
    match is_drained {
        Some(true) => backend.drain(),
        Some(false) => backend.ready(),
        None => {}
    }
    tracing::info!(
        backend = backend.name(),
        weight = backend.weight(),
        draining = backend.is_draining(),
        "changed by an operator"
    );
    Ok(status::of_backend(&backend.snapshot()))
}

fn wrong(field: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).field(field, detail)
}
