//! Lines of a log, as one reader sees them after each other: a header never names bytes outside its line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::formats::container::HeaderReader;

fuzz_target!(|data: &[u8]| {
    let mut reader = HeaderReader::default();
    for line in data.split(|&byte| byte == b'\n') {
        if let Ok(header) = reader.read(line) {
            assert!(header.content.start <= header.content.end && header.content.end <= line.len());
        }
    }
});
