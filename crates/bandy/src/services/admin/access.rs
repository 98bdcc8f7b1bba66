//! Who may ask.

use super::Token;
use crate::endpoint::Scheme;
use crate::http::{Downstream, Problem, Request, StatusCode, header, same_origin};
use crate::net::ws::is_this_machine;

/// Refuses whoever has no token, where there is one. Where there is none, whoever reaches it may ask; but a name that an
/// attacker owns can be made to resolve to this machine (DNS rebinding), and then a browser would ask for its pages: so the
/// request has to be for this machine.
pub(super) fn check(request: &Request, token: Option<&Token>) -> Result<(), Problem> {
    match token {
        Some(token) if sent(request).is_some_and(|sent| token.is(sent)) => Ok(()),
        Some(_) => Err(Problem::new(StatusCode::UNAUTHORIZED)
            .detail("send the token of the configuration, as in `Authorization: Bearer TOKEN`")),
        None if is_for_this_machine(request) => Ok(()),
        None => Err(Problem::new(StatusCode::FORBIDDEN)
            .detail("without a token only this machine's own names are answered, as in localhost")),
    }
}

fn sent(request: &Request) -> Option<&[u8]> {
    let value = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn is_for_this_machine(request: &Request) -> bool {
    let is_net = |d: &Downstream| !matches!(d.endpoint().scheme(), Scheme::Unix | Scheme::Mem);
    // No browser comes over a Unix socket.
    !Downstream::of(request).is_some_and(is_net)
        || same_origin::authority(request).is_some_and(is_this_machine)
}
