//! Any bytes as a body: the same body however they were cut, and the same again when it is written anew.
//!
//! The first byte is how the body is framed, the second how many cuts follow, each a chunk's length; the rest is the
//! stream.
#![no_main]

use bandy::wire::http1::{
    BodyDecoder, Bounds, CHUNK_TAIL, Length, Reject, Step, write_chunk_head, write_last_chunk,
};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds {
    head_bytes: 64,
    target_bytes: 0,
    fields: 4,
};

/// What it says, its trailers, and how many bytes it took or why it is none.
type Body = (Vec<u8>, Option<HeaderMap>, Result<usize, Reject>);

fuzz_target!(|input: &[u8]| {
    let [framing, cuts, rest @ ..] = input else {
        return;
    };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(*cuts)));
    let length = match framing {
        0..128 => Length::Chunked,
        128 => Length::UntilClose,
        129 => Length::None,
        known => Length::Known(u64::from(*known) - 130),
    };
    let whole = read(length, &BOUNDS, [stream]);
    let mut left = stream;
    let chunks = cuts.iter().map(|&cut| {
        let (chunk, after) = left.split_at(left.len().min(usize::from(cut)));
        left = after;
        chunk
    });
    let mut chunks: Vec<&[u8]> = chunks.collect();
    chunks.push(left);
    assert_eq!(read(length, &BOUNDS, chunks), whole);
    assert_eq!(read(length, &BOUNDS, stream.chunks(1)), whole);

    let (body, trailers, end) = whole;
    assert!(body.len() <= stream.len());
    if let (Ok(end), Length::Chunked) = (end, length) {
        assert!(end <= stream.len());
        let mut again = Vec::new();
        for chunk in body.chunks(7) {
            write_chunk_head(&mut again, chunk.len());
            again.extend_from_slice(chunk);
            again.extend_from_slice(CHUNK_TAIL);
        }
        write_last_chunk(&mut again, trailers.as_ref());
        let length = again.len();
        again.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(
            read(Length::Chunked, &Bounds::default(), [&again[..]]),
            (body, trailers, Ok(length))
        );
    }
});

fn read<'a>(length: Length, bounds: &Bounds, chunks: impl IntoIterator<Item = &'a [u8]>) -> Body {
    let mut decoder = BodyDecoder::new(length, bounds);
    let (mut body, mut taken) = (Vec::new(), 0);
    for chunk in chunks {
        let mut rest = chunk;
        loop {
            match decoder.decode(rest) {
                Ok(Step::Data { skip, len }) => {
                    assert!(len > 0);
                    body.extend_from_slice(&rest[skip..skip + len]);
                    taken += skip + len;
                    rest = &rest[skip + len..];
                }
                Ok(Step::More { consumed }) => {
                    assert_eq!(consumed, rest.len());
                    taken += consumed;
                    break;
                }
                Ok(Step::End { consumed, trailers }) => {
                    assert!(decoder.is_done());
                    return (body, trailers, Ok(taken + consumed));
                }
                Err(reject) => {
                    assert_eq!(decoder.decode(b"0\r\n\r\n"), Err(reject));
                    return (body, None, Err(reject));
                }
            }
        }
    }
    let end = decoder.end_of_stream().map(|()| taken);
    (body, None, end)
}
