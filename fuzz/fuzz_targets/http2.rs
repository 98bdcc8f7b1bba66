//! Any bytes as what an HTTP/2 server says: however it is cut, the same comes of it, and nothing is counted twice.
#![no_main]

use bandy::wire::http2::{Asked, Client, Event};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// How each of three requests ended, and how many bytes of body it had.
fn hear(input: &[u8], piece: usize) -> (Vec<(usize, u8)>, usize, bool) {
    let mut client = Client::default();
    // Its settings, of which there are none.
    let hello = client.receive(&[0, 0, 0, 4, 0, 0, 0, 0, 0], &mut |_, _| {});
    assert!(hello.is_ok());
    for key in 0..3 {
        let fields = [(b":method".to_vec(), b"GET".to_vec())];
        client.ask(Asked {
            key,
            known: Some(key),
            fields: &fields,
            body: &Bytes::new(),
            is_head: false,
        });
    }
    let (mut ended, mut bytes) = (Vec::new(), 0);
    let mut found = |key: usize, event: Event<'_>| match event {
        Event::Data(data) => bytes += data.len(),
        Event::End => ended.push((key, 0)),
        Event::Lost(_) => ended.push((key, 1)),
        Event::Field(..) | Event::Head(_) => {}
    };
    let is_good = input
        .chunks(piece.max(1))
        .all(|part| client.receive(part, &mut found).is_ok());
    let mut keys: Vec<usize> = ended.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), ended.len(), "each ends once");
    assert_eq!(client.open() + ended.len(), 3);
    (ended, bytes, is_good)
}

fuzz_target!(|input: &[u8]| {
    assert_eq!(hear(input, 1), hear(input, input.len()));
});
