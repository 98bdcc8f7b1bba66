//! Any bytes as a TLS client's hello: a verdict that more bytes do not change.
#![no_main]

use bandy::wire::client_hello::{LENGTH_MAX, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = parse(input);
    for cut in 0..input.len().min(512) {
        match parse(&input[..cut]) {
            Ok(None) => {}
            decided => assert_eq!(decided, whole),
        }
    }
    match whole {
        Ok(Some(hello)) => {
            let name = hello.server_name.unwrap_or_default();
            assert!(name.len() <= 253 && name.is_ascii() && !name.contains('\0'));
            assert!(hello.alpn.iter().all(|name| !name.is_empty()));
        }
        Ok(None) => assert!(input.len() < LENGTH_MAX),
        Err(_) => {}
    }
});
