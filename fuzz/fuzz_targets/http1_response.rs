//! Any bytes as the head of a response: the same verdict however they were cut, and what is written of what was read is
//! read again as the same.
//!
//! The first byte is what was asked, the second how many cuts follow, each a chunk's length; the rest is the stream.
#![no_main]

use bandy::wire::http1::{
    Asked, Bounds, Framing, Length, Reject, ResponseHead, Scan, parse_response, strip_hop_by_hop,
    write_response_head,
};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds {
    head_bytes: 256,
    target_bytes: 0,
    fields: 8,
};

fuzz_target!(|input: &[u8]| {
    let [asked, cuts, rest @ ..] = input else {
        return;
    };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(*cuts)));
    let asked = match asked {
        0 => Asked::Head,
        1 => Asked::Connect,
        _ => Asked::Other,
    };
    let whole = parse_response(stream, &BOUNDS, asked);
    let mut came = 0;
    let mut ends: Vec<usize> = Vec::new();
    for cut in cuts {
        came = stream.len().min(came + usize::from(*cut));
        ends.push(came);
    }
    ends.push(stream.len());
    let verdict = whole.clone().map(|head| head.map(|head| said(&head)));
    assert_eq!(in_chunks(stream, ends, asked), verdict);
    assert_eq!(in_chunks(stream, 0..=stream.len(), asked), verdict);

    if let Ok(Some((head, end))) = &whole {
        passed(head, &stream[..*end], asked);
    }
});

fn said((head, end): &(ResponseHead<'_>, usize)) -> String {
    let fields: Vec<_> = head.fields().collect();
    format!("{end} {head:?} {fields:?}")
}

fn in_chunks(
    stream: &[u8],
    ends: impl IntoIterator<Item = usize>,
    asked: Asked,
) -> Result<Option<String>, Reject> {
    let mut scan = Scan::new(&BOUNDS);
    for end in ends {
        let bytes = &stream[..end];
        if scan.is_worth_parsing(bytes)
            && let Some(head) = parse_response(bytes, &BOUNDS, asked)?
        {
            return Ok(Some(said(&head)));
        }
    }
    // What is wrong with a line that did not end is seen when nobody waits for its end any more.
    Ok(parse_response(stream, &BOUNDS, asked)?.as_ref().map(said))
}

fn passed(head: &ResponseHead<'_>, bytes: &[u8], asked: Asked) {
    assert!(head.length != Length::UntilClose || !head.keep_alive);
    let parts = head
        .to_parts(&Bytes::copy_from_slice(bytes))
        .expect("what passes has a place");
    if head.upgrades {
        return;
    }
    // As a balancer would hand it on.
    let framing = Framing::new(
        asked,
        head.version,
        head.status,
        head.length,
        head.keep_alive,
    );
    let mut fields = parts.headers;
    strip_hop_by_hop(&mut fields);
    let mut out = Vec::new();
    write_response_head(&mut out, head.status, &fields, &framing, None);
    let (again, _) = parse_response(&out, &Bounds::default(), asked)
        .expect("valid")
        .expect("whole");
    assert_eq!((again.status, again.length), (head.status, framing.body));
    let mut again = again
        .to_parts(&Bytes::copy_from_slice(&out))
        .expect("parts")
        .headers;
    for name in [
        "content-length",
        "connection",
        "transfer-encoding",
        "upgrade",
    ] {
        again.remove(name);
    }
    fields.remove("content-length");
    fields.remove("te");
    assert_eq!(again, fields);
}
