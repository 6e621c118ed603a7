//! Conditions and assignments: an error points into the text that it is about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::expression::{check, logs::SUBJECT, parse};

fuzz_target!(|text: &str| {
    let condition = parse::condition(text).and_then(|tree| check::condition(tree, &SUBJECT).map(|_| ()));
    let assignment = parse::assignment(text).map(|_| ());
    for error in [condition, assignment].into_iter().filter_map(Result::err) {
        assert!(error.from <= error.to && error.to <= text.len() + 1, "{error:?}");
    }
});
