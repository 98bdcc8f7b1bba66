//! Any bytes as a client's stream of IRC: the lines do not depend on how it was cut, what is a message is the same one
//! when it is written again, and the small machines take whatever comes.
//!
//! The first byte is the length of a chunk; the rest is the stream.
#![no_main]

use bandy::wire::irc::capability::{Capability, Negotiation, Offer};
use bandy::wire::irc::history::Question;
use bandy::wire::irc::mode::{self, Takes};
use bandy::wire::irc::sasl::Sasl;
use bandy::wire::irc::{Line, Lines, Message, TAG_BYTES, TAG_BYTES_CLIENT, names, text};
use libfuzzer_sys::fuzz_target;

/// Short, so that the limit is met.
const MAX: usize = 300;

fuzz_target!(|input: &[u8]| {
    let Some((&chunk, stream)) = input.split_first() else {
        return;
    };
    let lines = read(stream.chunks(usize::from(chunk).max(1)));
    let mut whole = read([stream]);
    // How early a long line is told of that never ends does not matter.
    whole.truncate(lines.len());
    assert_eq!(lines[..whole.len()], whole);

    let offer = Offer::new(Capability::ALL.map(|c| (c, "value".to_owned())));
    let (mut negotiation, mut sasl) = (Negotiation::default(), Sasl::default());
    for line in &lines {
        let Line::Text(line) = line else { continue };
        assert!(line.len() <= MAX && !line.contains(&b'\n'));
        let Ok(message) = Message::parse_bytes(line, TAG_BYTES_CLIENT) else {
            continue;
        };
        same_again(&message);
        let params = message.params();
        let _ = negotiation.command(params, &offer);
        let _ = Question::parse(params);
        for param in params {
            let _ = sasl.command(param);
            let _ = text::ctcp(param);
            assert!(!text::plain(param).contains(|c: char| c.is_control() && c != '\t'));
            let pieces: String = text::pieces(param, 10).collect();
            assert_eq!(pieces, *param, "there is no line end in it");
            assert!(names::matches("*", param));
            names::matches(param, message.command);
        }
        if let [letters, rest @ ..] = params {
            let takes = |c: char| match c {
                'b' => Some(Takes::List),
                'o' => Some(Takes::Always),
                'l' => Some(Takes::WhenSet),
                c => c.is_ascii_lowercase().then_some(Takes::Nothing),
            };
            let found = mode::changes(letters, rest.iter().copied(), takes);
            let changes: Vec<_> = found.filter_map(Result::ok).collect();
            let (letters, params) = mode::written(changes.iter().copied());
            let again: Vec<_> = mode::changes(&letters, params, takes).collect();
            // A list that is asked for in the middle takes the parameter of what follows.
            if changes.iter().all(|c| c.letter != 'b' || c.param.is_some()) {
                assert_eq!(again, changes.into_iter().map(Ok).collect::<Vec<_>>());
            }
        }
    }
});

fn same_again(message: &Message<'_>) {
    let mut out = Vec::new();
    if message.write(&mut out).is_err() {
        assert!(out.is_empty());
        return;
    }
    let line = out.strip_suffix(b"\r\n").expect("a line end");
    let again = Message::parse_bytes(line, TAG_BYTES).expect("a message");
    assert_eq!(again.source, message.source);
    assert_eq!(again.command, message.command);
    assert_eq!(again.params(), message.params());
    assert!(again.tags.iter().eq(message.tags.iter()));
}

fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Line> {
    let mut lines = Lines::new(MAX);
    let mut out = Vec::new();
    for chunk in chunks {
        lines.feed(chunk);
        out.extend(std::iter::from_fn(|| lines.take()));
    }
    out
}
