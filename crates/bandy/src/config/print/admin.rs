//! The admin endpoint, as it is written.

use super::super::diagnostic::Origin;
use super::super::raw::Table;
use crate::services::admin::Options;

pub(super) fn write(root: &mut Table, admin: &Options) {
    // Named one by one, so that a new option cannot be forgotten here.
    let Options { listen, token } = admin;
    let listen = listen.to_string();
    root.set(&["admin", "listen"], listen, Origin::Nowhere);
    if let Some(token) = token {
        root.set(&["admin", "token"], token.reveal(), Origin::Nowhere);
    }
}
