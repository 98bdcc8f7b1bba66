//! Any bytes as a PROXY header: a verdict that more bytes do not change, and what was read is read again when written.
#![no_main]

use bandy::wire::proxy::{LENGTH_MAX, Told, Version, parse, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = parse(input);
    for cut in 0..input.len().min(256) {
        match parse(&input[..cut]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole),
        }
    }
    let Ok(Some((told, length))) = whole else {
        return;
    };
    assert!(length <= input.len() && length <= LENGTH_MAX);
    let mut again = Vec::new();
    write(Version::V2, &told, &mut again);
    let read = parse(&again).expect("a header").expect("whole");
    assert_eq!(read, (told.clone(), again.len()));
    let mut line = Vec::new();
    write(Version::V1, &told, &mut line);
    let (read, _) = parse(&line).expect("a header").expect("whole");
    match told {
        Told::Ip { .. } => assert_eq!(read, told),
        _ => assert_eq!(read, Told::Unknown),
    }
});
