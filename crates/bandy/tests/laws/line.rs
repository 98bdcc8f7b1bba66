//! Lines do not know how the stream was cut, and lose nothing of it.

use bandy::wire::line::{Ending, Line, Lines, TooLong};
use proptest::prelude::*;

use crate::{cut, cuts, stream};

/// Every line of a stream that came in these chunks, and what ended it early.
fn read(max: usize, chunks: &[&[u8]]) -> (Vec<Line>, Option<TooLong>) {
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
    assert!(!lines.is_open());
    (out, None)
}

/// The lines as somebody would find them with the whole stream at hand.
fn by_hand(stream: &[u8]) -> Vec<(&[u8], Ending)> {
    stream
        .split_inclusive(|&b| b == b'\n')
        .map(|line| match line.strip_suffix(b"\n") {
            None => (line, Ending::Open),
            Some(text) => match text.strip_suffix(b"\r") {
                None => (text, Ending::Lf),
                Some(text) => (text, Ending::CrLf),
            },
        })
        .collect()
}

/// How much of a line counts against the limit: a CR at the end of an open one could have been half of a line end.
fn counted(line: &Line) -> usize {
    match line.ending {
        Ending::Open => line.text.strip_suffix(b"\r").unwrap_or(&line.text).len(),
        _ => line.text.len(),
    }
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_lines(stream in stream(), cuts in cuts(), max in 0..20_usize) {
        prop_assert_eq!(read(max, &cut(&stream, &cuts)), read(max, &[&stream]));
    }

    #[test]
    fn the_lines_are_those_one_would_find(stream in stream(), cuts in cuts()) {
        let (lines, failed) = read(stream.len(), &cut(&stream, &cuts));
        prop_assert_eq!(failed, None);
        let found: Vec<_> = lines.iter().map(|line| (&line.text[..], line.ending)).collect();
        prop_assert_eq!(found, by_hand(&stream));
    }

    #[test]
    fn texts_and_endings_are_the_stream(stream in stream(), cuts in cuts()) {
        let (lines, _) = read(stream.len(), &cut(&stream, &cuts));
        let again: Vec<u8> = lines
            .iter()
            .flat_map(|line| [&line.text[..], line.ending.as_bytes()].concat())
            .collect();
        prop_assert_eq!(again, stream);
    }

    #[test]
    fn the_limit_ends_a_stream_exactly_at_its_first_longer_line(
        stream in stream(),
        cuts in cuts(),
        max in 0..20_usize,
    ) {
        let (all, _) = read(stream.len(), &[&stream]);
        let (within, failed) = read(max, &cut(&stream, &cuts));
        let expected = all.iter().take_while(|line| counted(line) <= max).count();
        prop_assert_eq!(within.len(), expected);
        prop_assert_eq!(failed, (expected < all.len()).then_some(TooLong { max }));
    }
}
