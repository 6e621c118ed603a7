//! Scripts of tests of PromQL, and the series that tests of rules are written with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::promql::script::{Script, series_notation};

fuzz_target!(|text: &str| {
    if let Err(error) = Script::parse(text) {
        assert!(error.line <= text.lines().count(), "{error}");
    }
    if let Err(error) = series_notation::series(text) {
        assert!(error.at <= text.len(), "{error}");
    }
});
