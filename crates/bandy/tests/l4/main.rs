//! Conversations that are passed on as they are: streams, messages and datagrams between a client and a backend.

mod proxied;
