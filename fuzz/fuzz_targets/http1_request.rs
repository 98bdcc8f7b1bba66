//! Any bytes as the head of a request: the same verdict however they were cut; what passes has one host, one length and
//! a place in the types of `http`; what does not says why.
//!
//! The first byte is the bounds, the second how many cuts follow, each a chunk's length; the rest is the stream.
#![no_main]

use bandy::wire::http1::{Bounds, Length, Reject, RequestHead, Scan, parse_request};
use bytes::Bytes;
use http::Version;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [size, cuts, rest @ ..] = input else {
        return;
    };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(*cuts)));
    let bounds = match size {
        0 => Bounds::default(),
        size => Bounds {
            head_bytes: usize::from(*size),
            target_bytes: usize::from(*size) / 4,
            fields: usize::from(*size) / 16,
        },
    };

    let whole = parse_request(stream, &bounds);
    let verdict = whole.as_ref().map(|head| head.as_ref().map(said));
    let mut left = stream;
    let chunks = cuts.iter().map(|&cut| {
        let (chunk, after) = left.split_at(left.len().min(usize::from(cut)));
        left = after;
        chunk.len()
    });
    let mut chunks: Vec<usize> = chunks.collect();
    chunks.push(left.len());
    let cut = in_chunks(stream, &chunks, &bounds);
    assert_eq!(
        cut.as_ref().map(Option::as_ref),
        verdict.as_ref().map(Option::as_ref).map_err(|r| *r)
    );
    let bytewise = in_chunks(stream, &vec![1; stream.len()], &bounds);
    assert_eq!(bytewise, cut);

    match &whole {
        Ok(Some((head, end))) => passed(head, &stream[..*end], &bounds),
        Ok(None) => {}
        Err(reject) => {
            assert!(!reject.to_string().is_empty());
            assert!(reject.status().is_client_error() || reject.status().is_server_error());
        }
    }
});

/// Everything that a head says.
fn said((head, end): &(RequestHead<'_>, usize)) -> String {
    let fields: Vec<_> = head.fields().collect();
    format!("{end} {head:?} {fields:?}")
}

/// The verdict of one who keeps what came, and looks when it is worth it.
fn in_chunks(stream: &[u8], chunks: &[usize], bounds: &Bounds) -> Result<Option<String>, Reject> {
    let mut scan = Scan::new(bounds);
    let mut came = 0;
    for chunk in chunks {
        came += chunk;
        let bytes = &stream[..came];
        if scan.is_worth_parsing(bytes)
            && let Some(head) = parse_request(bytes, bounds)?
        {
            return Ok(Some(said(&head)));
        }
    }
    // What is wrong with a line that did not end is seen when nobody waits for its end any more.
    Ok(parse_request(stream, bounds)?.as_ref().map(said))
}

fn passed(head: &RequestHead<'_>, bytes: &[u8], bounds: &Bounds) {
    assert!(bytes.len() <= bounds.head_bytes && head.target.len() <= bounds.target_bytes);
    assert!(head.fields().count() <= bounds.fields);
    let fields = |name: &str| {
        let fields = head.fields().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value).collect::<Vec<_>>()
    };
    let hosts = fields("host").len();
    assert!(hosts == 1 || (hosts == 0 && head.version == Version::HTTP_10));
    match (
        &fields("content-length")[..],
        &fields("transfer-encoding")[..],
    ) {
        ([], []) => assert_eq!(head.length, Length::None),
        ([length], []) => {
            let length = std::str::from_utf8(length).expect("digits");
            assert_eq!(
                head.length,
                Length::Known(length.parse().expect("a number"))
            );
        }
        ([], [encoding]) => {
            assert!(encoding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(head.length, Length::Chunked);
        }
        other => panic!("{other:?}"),
    }
    assert!(!bytes.contains(&0));
    let ends = bytes.windows(2).filter(|pair| *pair == b"\r\n").count();
    assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), ends);
    assert_eq!(bytes.iter().filter(|b| **b == b'\r').count(), ends);

    let going_on: Vec<_> = head.end_to_end().collect();
    assert!(
        head.fields()
            .filter(|field| going_on.contains(field))
            .count()
            >= going_on.len()
    );
    assert!(going_on.len() >= hosts);

    let parts = head
        .to_parts(&Bytes::copy_from_slice(bytes))
        .expect("what passes has a place");
    assert_eq!(
        parts.headers.get("host").map(|host| host.as_bytes()),
        head.host().map(str::as_bytes)
    );
    assert_eq!(parts.method.as_str(), head.method);
}
