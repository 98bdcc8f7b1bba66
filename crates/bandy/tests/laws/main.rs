//! Laws of the pure cores: what holds for every endpoint, every stream of lines, every template, however it was cut.
//!
//! What has to look inside stands beside the code: flows in `wire/flow`, memory of the line codec in `wire/line.rs`,
//! partial writes in `net/pump.rs`.

mod endpoint;
mod http1;
mod irc;
mod line;
mod messages;
mod template;

use proptest::prelude::*;

/// Bytes that are mostly line ends and short words: what a stream of lines is made of, and what breaks it.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just(b"\n".to_vec()),
        3 => Just(b"\r\n".to_vec()),
        2 => Just(b"\r".to_vec()),
        5 => prop::collection::vec(any::<u8>(), 0..12),
        3 => "[a-z ]{0,10}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Places to cut a stream at.
fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

/// The stream in chunks, some of them empty, that are the stream when put together.
fn cut<'a>(stream: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|c| c.index(stream.len() + 1)).collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places.windows(2).map(|w| &stream[w[0]..w[1]]).collect()
}
