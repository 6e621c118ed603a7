//! Queries: an error points into the text, and what is printed reads as the same query.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::promql::Query;

fuzz_target!(|text: &str| {
    match Query::parse(text) {
        Err(error) => {
            if let Some(at) = error.at {
                assert!(at.start <= at.end && at.end <= text.len(), "{at:?}");
            }
        }
        Ok(query) => {
            let printed = query.to_string();
            let again = Query::parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
            assert_eq!(again.to_string(), printed);
        }
    }
});
