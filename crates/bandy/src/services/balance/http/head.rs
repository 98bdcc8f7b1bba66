//! A request's head on its way to a backend: what is taken out, what is said beside.

use std::cell::Cell;
use std::io::Write as _;
use std::net::IpAddr;

use ::http::request;

use super::{Rules, Turn};
use crate::error::{Error, Kind, Result, Side};
use crate::http::{Downstream, HeaderMap, HeaderName, HeaderValue, header};
use crate::wire::http1::{Connection, FieldSet, Length, strip_hop_by_hop, write_request_head_with};

/// Who asks, as far as can be believed.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Behind trusted hops: what the first of them that is not trusted was.
    pub(super) ip: Option<IpAddr>,
    /// Whether what the peer says of others is believed.
    is_trusted: bool,
    pub(super) is_secure: bool,
    /// `None`: it comes with the request.
    id: Option<[u64; 2]>,
}

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request as it goes on to a backend, wherever its fields are.
pub(super) struct Asking<'a, F> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) fields: &'a F,
    pub(super) client: &'a Client,
    pub(super) rules: &'a Rules,
    /// Whom it came from.
    pub(super) peer: Option<IpAddr>,
    /// It offers another protocol.
    pub(super) upgrades: bool,
}

/// The request of a turn, to be asked.
pub(super) fn asking<'a>(turn: &'a Turn<'_>) -> Asking<'a, HeaderMap> {
    let target = turn.parts.uri.path_and_query();
    Asking {
        method: turn.parts.method.as_str(),
        target: target.map_or("/", |target| target.as_str()),
        fields: &turn.parts.headers,
        client: &turn.client,
        rules: turn.rules,
        peer: peer(turn.downstream.as_ref()),
        upgrades: turn.upgrades,
    }
}

/// The address at the other end of a connection.
pub(super) fn peer(downstream: Option<&Downstream>) -> Option<IpAddr> {
    let ip = downstream.and_then(Downstream::ip);
    ip.map(|ip| ip.to_canonical())
}

impl Client {
    pub(super) fn of(
        fields: &impl FieldSet,
        downstream: Option<&Downstream>,
        rules: &Rules,
    ) -> Client {
        let is_secure = downstream.is_some_and(Downstream::is_secure);
        let ip = downstream.and_then(Downstream::ip);
        Client::at(ip, is_secure, fields, rules)
    }

    /// The same, of who came from this address.
    pub(super) fn at(
        ip: Option<IpAddr>,
        is_secure: bool,
        fields: &impl FieldSet,
        rules: &Rules,
    ) -> Client {
        let ip = ip.map(|ip| ip.to_canonical());
        let is_trusted = is_trusted(ip, rules);
        let has_id = is_trusted && fields.has(&REQUEST_ID);
        Client {
            ip: match is_trusted {
                true => first_untrusted(fields, rules).or(ip),
                false => ip,
            },
            is_trusted,
            is_secure,
            id: (rules.request_id && !has_id).then(next_id),
        }
    }

    /// The request's id, if it has one.
    pub(super) fn id(&self, fields: &HeaderMap) -> Option<String> {
        match self.id {
            Some([high, low]) => Some(format!("{high:016x}{low:016x}")),
            None => text(fields.get(&REQUEST_ID)?.as_bytes()).map(str::to_owned),
        }
    }
}

fn is_trusted(ip: Option<IpAddr>, rules: &Rules) -> bool {
    !rules.trust.is_empty()
        && ip.is_some_and(|ip| rules.trust.iter().any(|range| range.contains(ip)))
}

/// The last address in X-Forwarded-For that is nobody's whom we trust: each hop appends whom it heard from.
fn first_untrusted(fields: &impl FieldSet, rules: &Rules) -> Option<IpAddr> {
    let lines: Vec<&str> = fields.values(&FORWARDED_FOR).filter_map(text).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    let mut last = None;
    for hop in hops {
        // What is no address is as far as can be believed.
        let Ok(ip) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        last = Some(ip.to_canonical());
        if !is_trusted(last, rules) {
            break;
        }
    }
    last
}

/// A value that is visible ASCII, as text.
fn text(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let text = value.iter().all(is_visible).then_some(value)?;
    std::str::from_utf8(text).ok()
}

/// A number that no other request has: where it began is random.
fn next_id() -> [u64; 2] {
    thread_local! {
        static NEXT: Cell<Option<[u64; 2]>> = const { Cell::new(None) };
    }
    let [high, low] = NEXT.get().unwrap_or_else(|| {
        let mut bytes = [0; 16];
        // Without randomness ids are the same after a restart, which is no harm.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        let (high, low) = bytes.split_at(8);
        [high, low].map(|half| half.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    });
    NEXT.set(Some([high, low.wrapping_add(1)]));
    [high, low]
}

/// Whether a request of HTTP/1.1 offers another protocol (RFC 9110, section 7.8).
pub(super) fn upgrades(parts: &request::Parts) -> bool {
    let fields = &parts.headers;
    parts.version == ::http::Version::HTTP_11
        && fields.contains_key(header::UPGRADE)
        && fields
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| text(value.as_bytes()))
            .flat_map(|value| value.split(','))
            .any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// Whether the client waits to be told to send the body.
pub(super) fn expects_continue(parts: &request::Parts) -> bool {
    let expect = parts.headers.get(header::EXPECT);
    expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Writes the head as HTTP/1.1. Target and fields are as they came, but for what is for one hop, and what is said anew.
pub(super) fn write(
    out: &mut Vec<u8>,
    asking: &Asking<'_, impl FieldSet>,
    length: Length,
    expects_continue: bool,
) {
    let connection = match asking.upgrades {
        true => Connection::Upgrade,
        false => Connection::KeepAlive,
    };
    let sets_host = asking.rules.host.is_some();
    write_request_head_with(
        out,
        (asking.method, asking.target),
        asking.fields,
        (length, connection),
        |name| match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => !sets_host,
            6 if name.eq_ignore_ascii_case(b"expect") => expects_continue,
            _ => !is_said_anew(name, asking.client, asking.rules),
        },
        |out| said_beside(out, asking),
    );
}

fn is_said_anew(name: &[u8], client: &Client, rules: &Rules) -> bool {
    let is = |other: &HeaderName| name.eq_ignore_ascii_case(other.as_str().as_bytes());
    match name.len() {
        9 => (!client.is_trusted || rules.forwarded) && is(&header::FORWARDED),
        12 => client.id.is_some() && is(&REQUEST_ID),
        15 => is(&FORWARDED_FOR),
        16 => !client.is_trusted && is(&FORWARDED_HOST),
        17 => !client.is_trusted && is(&FORWARDED_PROTO),
        _ => false,
    }
}

/// Lines of fields that are ours to say.
fn said_beside(out: &mut Vec<u8>, asking: &Asking<'_, impl FieldSet>) {
    let Asking { fields, client, .. } = asking;
    if let Some(host) = &asking.rules.host {
        line(out, &header::HOST, host.as_bytes());
    }
    if let Some(ip) = asking.peer {
        out.extend_from_slice(b"x-forwarded-for: ");
        if client.is_trusted {
            for value in fields.values(&FORWARDED_FOR) {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        write_ip(out, ip);
        out.extend_from_slice(b"\r\n");
    }
    let proto: &[u8] = if client.is_secure { b"https" } else { b"http" };
    if !(client.is_trusted && fields.has(&FORWARDED_PROTO)) {
        line(out, &FORWARDED_PROTO, proto);
    }
    let host = fields.host();
    if let Some(host) = host
        && !(client.is_trusted && fields.has(&FORWARDED_HOST))
    {
        line(out, &FORWARDED_HOST, host);
    }
    if asking.rules.forwarded {
        forwarded(out, asking, proto, host);
    }
    if let Some([high, low]) = client.id {
        out.extend_from_slice(b"x-request-id: ");
        write_hex(out, high);
        write_hex(out, low);
        out.extend_from_slice(b"\r\n");
    }
}

/// The field of RFC 7239.
fn forwarded(
    out: &mut Vec<u8>,
    asking: &Asking<'_, impl FieldSet>,
    proto: &[u8],
    host: Option<&[u8]>,
) {
    out.extend_from_slice(b"forwarded: ");
    if asking.client.is_trusted {
        for value in asking.fields.values(&header::FORWARDED) {
            out.extend_from_slice(value);
            out.extend_from_slice(b", ");
        }
    }
    // Writing to a Vec cannot fail.
    let _ = match asking.peer {
        Some(IpAddr::V4(ip)) => write!(out, "for={ip}"),
        Some(IpAddr::V6(ip)) => write!(out, "for=\"[{ip}]\""),
        None => write!(out, "for=unknown"),
    };
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(proto);
    // The gate let it through: there is no quote in it.
    if let Some(host) = host {
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(host);
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Every request has one: formatting by the standard library takes longer than all of its other fields.
fn write_ip(out: &mut Vec<u8>, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        let _ = write!(out, "{ip}");
        return;
    };
    for (at, octet) in ip.octets().into_iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        let skipped = usize::from(octet < 100) + usize::from(octet < 10);
        out.extend_from_slice(digits.get(skipped..).unwrap_or_default());
    }
}

fn write_hex(out: &mut Vec<u8>, number: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits: [u8; 16] = std::array::from_fn(|place| {
        let digit = (number >> ((15 - place) * 4)) & 0xf;
        DIGITS.get(digit as usize).copied().unwrap_or_default()
    });
    out.extend_from_slice(&digits);
}

/// Takes out of an answer what it says of the backend's connection: that this is closed is not the client's affair.
/// Upgrade stays, for those who may write it.
pub(super) fn forget_connection(fields: &mut HeaderMap) {
    if !FieldSet::names_fields(fields) {
        fields.remove(header::CONNECTION);
        return;
    }
    let upgrades: Vec<HeaderValue> = fields.get_all(header::UPGRADE).iter().cloned().collect();
    strip_hop_by_hop(fields);
    for upgrade in upgrades {
        fields.append(header::UPGRADE, upgrade);
    }
}

/// The request as HTTP/2 has it: its host in the URI, nothing of one hop.
pub(super) fn absolute(turn: &Turn<'_>, is_secure: bool) -> Result<::http::Request<()>> {
    let parts = &turn.parts;
    let wrong = |why: String| {
        Error::new(Kind::Protocol, Side::Downstream, "passing a request on").because(why)
    };
    let asked = FieldSet::host(&parts.headers).and_then(text);
    let host = turn.rules.host.as_deref().or(asked).unwrap_or_default();
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let uri = ::http::Uri::builder()
        .scheme(if is_secure { "https" } else { "http" })
        .authority(host)
        .path_and_query(target)
        .build()
        .map_err(|e| wrong(e.to_string()))?;
    let mut fields = parts.headers.clone();
    strip_hop_by_hop(&mut fields);
    fields.remove(header::HOST);
    fields.remove(header::EXPECT);
    for name in [
        &FORWARDED_FOR,
        &FORWARDED_HOST,
        &FORWARDED_PROTO,
        &REQUEST_ID,
        &header::FORWARDED,
    ] {
        if is_said_anew(name.as_str().as_bytes(), &turn.client, turn.rules) {
            fields.remove(name);
        }
    }
    let mut beside = Vec::new();
    said_beside(&mut beside, &asking(turn));
    for said in beside.split(|byte| *byte == b'\n') {
        let said = said.strip_suffix(b"\r").unwrap_or(said);
        let Some(colon) = said.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = said.split_at(colon);
        let name = HeaderName::from_bytes(name)
            .ok()
            .filter(|name| name != header::HOST);
        let value = HeaderValue::from_bytes(value.get(2..).unwrap_or_default());
        if let (Some(name), Ok(value)) = (name, value) {
            fields.insert(name, value);
        }
    }
    let mut request = ::http::Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_written_as_everybody_writes_it(ip: IpAddr) {
            let mut out = Vec::new();
            write_ip(&mut out, ip);
            prop_assert_eq!(String::from_utf8_lossy(&out), ip.to_string());
        }

        #[test]
        fn ids_have_all_their_digits(number: u64) {
            let mut out = Vec::new();
            write_hex(&mut out, number);
            prop_assert_eq!(String::from_utf8_lossy(&out), format!("{number:016x}"));
        }
    }

    fn rules(trust: &[&str]) -> Rules {
        Rules {
            trust: trust
                .iter()
                .map(|range| range.parse().expect("a range"))
                .collect(),
            ..Rules::default()
        }
    }

    #[test]
    fn who_asks_is_the_last_that_nobody_trusts() {
        let rules = rules(&["10.0.0.0/8"]);
        for (lines, ip) in [
            (&["192.0.2.1"][..], Some("192.0.2.1")),
            (&["203.0.113.9, 192.0.2.1, 10.0.0.3"], Some("192.0.2.1")),
            (&["203.0.113.9", "192.0.2.1, 10.0.0.3"], Some("192.0.2.1")),
            (&["10.0.0.2, 10.0.0.3"], Some("10.0.0.2")),
            (&["nonsense, 10.0.0.3"], Some("10.0.0.3")),
            (&[], None),
        ] {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(&FORWARDED_FOR, HeaderValue::from_static(line));
            }
            let expected = ip.map(|ip| ip.parse().expect("an address"));
            assert_eq!(first_untrusted(&fields, &rules), expected, "{lines:?}");
        }
    }
}
