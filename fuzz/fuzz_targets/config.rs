//! A configuration either becomes a plan or errors that can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::config::load_with;
use tailwater::registry::TABLES;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("tailwater-fuzz-{}.yaml", std::process::id()));
    std::fs::write(&path, data).expect("the temporary folder takes files");
    if let Err(errors) = load_with(&[path], TABLES, &|_| None) {
        assert!(!errors.to_string().is_empty());
    }
});
