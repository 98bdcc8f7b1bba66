//! Any text as a template: what parses renders without looking into its values; what does not points at a brace.
#![no_main]

use bandy::services::template::Template;
use libfuzzer_sys::fuzz_target;

/// A value that is no template: looking into it would show.
const VALUE: &[u8] = b"}{n}{{{";

fuzz_target!(|text: &str| {
    match Template::parse(text) {
        Ok(template) => {
            let mut out = Vec::new();
            let mut fields = 0;
            template.render(&mut out, |_, out| {
                fields += 1;
                out.extend_from_slice(VALUE);
            });
            assert!(out.len() <= text.len() + fields * VALUE.len());
        }
        Err(error) => {
            let brace = text.as_bytes().get(error.at);
            assert!(
                matches!(brace, Some(b'{' | b'}')),
                "{error} at {}",
                error.at
            );
            assert!(!error.to_string().is_empty());
        }
    }
});
