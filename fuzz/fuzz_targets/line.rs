//! Any bytes as lines: the same lines however the bytes were cut, and the bytes again when the lines are put together.
//!
//! The first byte is the limit, the second how many cuts follow, each a chunk's length; the rest is the stream.
#![no_main]

use bandy::wire::line::{Ending, Line, Lines, TooLong};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [max, cuts, rest @ ..] = input else {
        return;
    };
    let (cuts, stream) = rest.split_at(rest.len().min(usize::from(*cuts)));
    let max = usize::from(*max);

    let whole = read(max, [stream]);
    let mut left = stream;
    let chunks = cuts.iter().map(|&cut| {
        let (chunk, after) = left.split_at(left.len().min(usize::from(cut)));
        left = after;
        chunk
    });
    let mut chunks: Vec<&[u8]> = chunks.collect();
    chunks.push(left);
    assert_eq!(read(max, chunks), whole);

    let (lines, failed) = whole;
    assert!(lines.iter().all(|line| counted(line) <= max));
    assert!(lines.iter().all(|line| !line.text.contains(&b'\n')));
    let again: Vec<u8> = lines
        .iter()
        .flat_map(|line| [&line.text[..], line.ending.as_bytes()].concat())
        .collect();
    match failed {
        None => assert_eq!(again, stream),
        Some(_) => assert!(stream.starts_with(&again)),
    }
});

/// Every line of the stream, and what ended it early.
fn read<'a>(
    max: usize,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Line>, Option<TooLong>) {
    let mut lines = Lines::new(max);
    let mut out = Vec::new();
    for chunk in chunks {
        lines.feed(chunk);
        loop {
            match lines.take() {
                Ok(Some(line)) => out.push(line),
                Ok(None) => break,
                Err(failed) => return (out, Some(failed)),
            }
        }
    }
    out.extend(lines.take_open());
    (out, None)
}

/// How much of a line counts against the limit: a CR at the end of an open one could have been half of a line end.
fn counted(line: &Line) -> usize {
    match line.ending {
        Ending::Open => line.text.strip_suffix(b"\r").unwrap_or(&line.text).len(),
        _ => line.text.len(),
    }
}
