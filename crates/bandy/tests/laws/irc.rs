//! IRC messages: what is read can be written and read again as the same, and what is written is one line, which says
//! what was put into it.

use std::borrow::Cow;

use bandy::wire::irc::{
    Compose, LINE_BYTES, Line, Lines, Message, PARAMS, TAG_BYTES, TAG_BYTES_CLIENT, tags,
};
use proptest::prelude::*;

/// Text that is mostly what separates the parts of a line.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9#*]{1,6}",
        2 => Just(" ".to_owned()),
        2 => Just(":".to_owned()),
        1 => "[@;=+/!,\\\\-]",
        1 => "[\r\n\0\u{1}\u{1b}]",
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// A line that is nearly a message.
fn line() -> impl Strategy<Value = String> {
    let tag = ("[+]?[a-z/.-]{0,5}", prop::option::of(text()))
        .prop_map(|(key, value)| value.map_or(key.clone(), |v| format!("{key}={v}")));
    let tags = prop::collection::vec(tag, 0..4).prop_map(|tags| tags.join(";"));
    let params = prop::collection::vec(text(), 0..18);
    let command = prop_oneof![4 => "[A-Za-z]{1,8}", 1 => "[0-9]{1,4}", 1 => text()];
    let source = prop::option::of("[a-z!@.]{0,8}");
    (prop::option::of(tags), source, command, params).prop_map(|(tags, source, command, params)| {
        let mut line = String::new();
        line.extend(tags.map(|tags| format!("@{tags} ")));
        line.extend(source.map(|source| format!(":{source} ")));
        line + &command + " " + &params.join(" ")
    })
}

/// The lines of what was written, without their ends.
fn lines(written: &[u8]) -> Vec<String> {
    let mut lines = Lines::new(TAG_BYTES + LINE_BYTES);
    lines.feed(written);
    std::iter::from_fn(|| lines.take())
        .map(|line| match line {
            Line::Text(text) => String::from_utf8(text.into()).expect("UTF-8"),
            Line::TooLong => panic!("within the limit"),
        })
        .collect()
}

proptest! {
    #[test]
    fn what_is_read_is_written_and_read_as_the_same(line in line()) {
        let Ok(message) = Message::parse(&line, TAG_BYTES_CLIENT) else {
            return Ok(());
        };
        prop_assert!(message.params().len() <= PARAMS);
        let mut out = Vec::new();
        let is_sayable = message.tags.iter().all(|(key, _)| tags::is_key(key))
            && message.tags.iter().all(|(_, value)| !value.contains('\0'))
            && message.source.is_none_or(|source| !source.is_empty());
        // Escapes that were left out may make it longer than it was.
        match message.write(&mut out) {
            Ok(()) => prop_assert!(is_sayable),
            Err(why) => {
                prop_assert!(!is_sayable || line.len() > LINE_BYTES / 2, "{why}: {line:?}");
                prop_assert!(out.is_empty());
                return Ok(());
            }
        }
        let written = lines(&out);
        prop_assert_eq!(written.len(), 1);
        let again = Message::parse(&written[0], TAG_BYTES).expect("a message");
        prop_assert_eq!(again.source, message.source);
        prop_assert_eq!(again.command, message.command);
        prop_assert_eq!(again.params(), message.params());
        prop_assert!(again.tags.iter().eq(message.tags.iter()));
    }

    #[test]
    fn whatever_is_put_into_a_line_it_is_one_line_that_says_that(
        written_tags in prop::collection::vec((text(), text()), 0..3),
        source in prop::option::of(text()),
        command in text(),
        params in prop::collection::vec(text(), 0..4),
        last in prop::option::of(text()),
    ) {
        let mut out = Vec::new();
        let compose = written_tags
            .iter()
            .fold(Compose::new(&mut out), |line, (key, value)| line.tag(key, value));
        let mut body = compose
            .command(source.as_deref(), &command)
            .params(params.iter().map(String::as_str));
        if let Some(last) = &last {
            body = body.text(last);
        }
        if body.end().is_err() {
            prop_assert!(out.is_empty());
            return Ok(());
        }
        let written = lines(&out);
        prop_assert_eq!(written.len(), 1, "{:?}", out);
        let message = Message::parse(&written[0], TAG_BYTES).expect("a message");
        prop_assert_eq!(message.source, source.as_deref());
        prop_assert_eq!(message.command, &command);
        let said: Vec<_> = params.iter().chain(&last).collect();
        prop_assert_eq!(message.params(), said);
        let said = written_tags.iter().map(|(key, value)| (key.as_str(), Cow::Borrowed(value.as_str())));
        prop_assert!(message.tags.iter().eq(said));
    }

    #[test]
    fn a_value_comes_back_as_it_was(value in any::<String>()) {
        let mut out = Vec::new();
        let is_written = tags::escape(&value, &mut out);
        prop_assert_eq!(is_written, !value.contains('\0'));
        if is_written {
            let written = String::from_utf8(out).expect("UTF-8");
            prop_assert!(!written.contains([' ', ';', '\r', '\n']));
            prop_assert_eq!(tags::unescape(&written), value);
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::parse_bytes(&bytes, TAG_BYTES_CLIENT) {
            prop_assert!(!message.command.is_empty());
        }
    }
}
