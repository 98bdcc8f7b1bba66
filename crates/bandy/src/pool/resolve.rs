//! Names of backends, looked up in the DNS again and again, each time that the last answer is too old.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Weak;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::Pool;
use super::options::{Member, Options};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result, Side};

/// An answer is believed this long at least, whatever its TTL: a TTL of 0 must not become a question for each
/// turn of the loop.
const TTL_MIN: Duration = Duration::from_secs(1);
/// And this long at most: an entry of `/etc/hosts` has no TTL.
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What the names of a pool's members stand for, by the member's name. A member that is not in it was not found yet.
pub(super) type Found = HashMap<String, Vec<Target>>;

/// One of the places that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    address: SocketAddr,
    /// Of a service: the host that has it, and its share of the work.
    host: Option<(String, u32)>,
}

/// The members as they are to be backends: a name is one for each place that it stands for.
pub(super) fn expanded(options: &Options, found: &Found) -> Vec<Member> {
    let mut members = Vec::new();
    for member in &options.members {
        match (member.host_to_resolve(), found.get(&member.name)) {
            (None, _) => members.push(member.clone()),
            (Some(_), Some(targets)) => {
                members.extend(targets.iter().filter_map(|target| placed(member, target)));
            }
            // Until the first answer the system's resolver is asked with each connection. It knows no services.
            (Some(_), None) if !member.is_srv => members.push(member.clone()),
            (Some(_), None) => {}
        }
    }
    members
}

fn placed(member: &Member, target: &Target) -> Option<Member> {
    let (endpoint, weight) = match &target.host {
        None => (member.endpoint.clone(), member.weight),
        Some((host, weight)) => {
            let (scheme, port) = (member.endpoint.scheme(), target.address.port());
            let endpoint = format!("{scheme}://{host}:{port}").parse::<Endpoint>();
            (endpoint.ok()?, member.weight.saturating_mul(*weight))
        }
    };
    let at = endpoint.with_addr(target.address).to_string();
    let is_named = member.name != member.endpoint.to_string();
    Some(Member {
        name: match is_named {
            true => format!("{}/{}", member.name, target.address),
            false => at,
        },
        endpoint,
        weight: weight.clamp(1, Options::WEIGHT_MAX),
        address: Some(target.address),
        ..member.clone()
    })
}

/// Looks a member's name up for as long as its pool lives, and tells the pool of each answer. A lookup that fails changes
/// nothing.
pub(super) async fn keep_looking(pool: Weak<Pool>, member: Member, server: Option<SocketAddr>) {
    let mut has_failed = false;
    loop {
        let looked_up = match resolver(server) {
            Ok(resolver) => look_up(&resolver, &member).await,
            Err(error) => Err(error),
        };
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let wait = match looked_up {
            Ok((targets, ttl)) => {
                has_failed = false;
                pool.found(&member, targets);
                ttl
            }
            Err(error) => {
                if !has_failed {
                    tracing::warn!(pool = pool.name(), "{error}; what was known of it stays");
                }
                has_failed = true;
                RETRY
            }
        };
        drop(pool);
        tokio::time::sleep(wait).await;
    }
}

/// Made for each lookup, so that what the system's files say now is what holds, and nothing is remembered but here.
fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = match server {
        None => TokioResolver::builder(provider).map_err(failed_to_begin)?,
        Some(server) => {
            let mut at = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut at.connections {
                connection.port = server.port();
            }
            let config = ResolverConfig::from_name_servers(vec![at]);
            let mut builder = TokioResolver::builder_with_config(config, provider);
            *builder.options_mut() = ResolverOpts::default();
            builder
        }
    };
    let options = builder.options_mut();
    // A name with addresses of both sorts is one host twice.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    builder.build().map_err(failed_to_begin)
}

fn failed_to_begin(cause: NetError) -> Error {
    Error::new(
        Kind::NotResolved,
        Side::Local,
        "reading the system's name servers",
    )
    .because(cause)
    .hint("is there an /etc/resolv.conf? `resolver` of the pool names another server")
}

/// The places that a member's name stands for, in their order, and how long that holds.
async fn look_up(resolver: &TokioResolver, member: &Member) -> Result<(Vec<Target>, Duration)> {
    let name = member.host_to_resolve().unwrap_or_default();
    let failed = |cause: NetError| {
        Error::new(
            Kind::NotResolved,
            Side::Upstream,
            format!("looking {name} up"),
        )
        .because(cause)
        .hint("is the name spelled right, and can the name server be reached?")
    };
    let (mut targets, until) = match member.is_srv {
        false => {
            let port = member.endpoint.port().unwrap_or_default();
            let (addresses, until) = addresses(resolver, name).await.map_err(failed)?;
            let target = |ip| Target {
                address: SocketAddr::new(ip, port),
                host: None,
            };
            (addresses.into_iter().map(target).collect(), until)
        }
        true => service(resolver, name).await.map_err(failed)?,
    };
    targets.sort_by_key(|target| target.address);
    targets.dedup();
    let ttl = until.saturating_duration_since(Instant::now());
    Ok((targets, ttl.clamp(TTL_MIN, TTL_MAX)))
}

async fn addresses(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(Vec<IpAddr>, Instant), NetError> {
    let found = resolver.lookup_ip(name).await?;
    Ok((found.iter().collect(), found.valid_until()))
}

/// The hosts of a service: those of the best priority. The others the DNS keeps for when it takes these away.
async fn service(resolver: &TokioResolver, name: &str) -> Result<(Vec<Target>, Instant), NetError> {
    let found = resolver.srv_lookup(name).await?;
    let mut until = found.valid_until();
    let services = found
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
    let services: Vec<_> = services.collect();
    let best = services.iter().map(|srv| srv.priority).min();
    let mut targets = Vec::new();
    for srv in services {
        // A target of "." says that there is no such service (RFC 2782).
        if Some(srv.priority) != best || srv.target.is_root() {
            continue;
        }
        let host = srv.target.to_ascii();
        let (ips, valid) = addresses(resolver, &host).await?;
        until = until.min(valid);
        let host = host.trim_end_matches('.').to_owned();
        targets.extend(ips.into_iter().map(|ip| Target {
            address: SocketAddr::new(ip, srv.port),
            host: Some((host.clone(), u32::from(srv.weight).max(1))),
        }));
    }
    Ok((targets, until))
}
