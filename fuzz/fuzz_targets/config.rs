//! Any text as a configuration: a plan that prints to the same plan, or errors that each say something and point into
//! the text.
#![no_main]

use bandy::config::diagnostic::Origin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = bandy::config::parse("bandy.toml", text);
    if let Ok((plan, _)) = &parsed {
        let printed = plan.to_toml();
        let again = bandy::config::parse("printed", &printed).map(|(plan, _)| plan);
        assert_eq!(again.as_ref(), Ok(plan), "printed as\n{printed}");
    }
    let (Ok((_, report)) | Err(report)) = parsed;
    for diagnostic in &report.diagnostics {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:?}");
        if let Origin::File(span) = &diagnostic.primary.at {
            assert!(text.get(span.clone()).is_some(), "{diagnostic:?}");
        }
    }
    drop(report.lines());
});
