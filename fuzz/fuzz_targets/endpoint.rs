//! Any text as an endpoint: what parses prints to what parses to the same; what does not says why and what to write.
#![no_main]

use bandy::Endpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<Endpoint>() {
        Ok(endpoint) => {
            let printed = endpoint.to_string();
            assert_eq!(
                printed.parse().as_ref(),
                Ok(&endpoint),
                "{text:?} printed as {printed:?}"
            );
            assert!(!printed.contains(char::is_control), "{printed:?}");
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.contains(char::is_control), "{said:?}");
            assert!(!error.hint().is_empty(), "{said}");
            assert!(
                !error.hint().contains(char::is_control),
                "{:?}",
                error.hint()
            );
        }
    }
});
