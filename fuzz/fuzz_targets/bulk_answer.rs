//! Answers of a server that may be anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::formats::elasticsearch::BulkAnswer;
use tailwater::formats::elasticsearch::answer::whole_error;

fuzz_target!(|data: &[u8]| {
    if let Ok(answer) = BulkAnswer::parse(data) {
        assert!(answer.len() <= data.len());
    }
    let _ = whole_error(data).words(400);
});
