//! OTLP/JSON that may be anything: the first byte says which message, the rest is text. What is read is a message
//! that is written, and read again says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::Signal;
use tailwater::formats::otlp::json::{Document, read, write};

const MOST: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let document = match first % 7 {
        0 => Document::Request(Signal::Traces),
        1 => Document::Request(Signal::Logs),
        2 => Document::Request(Signal::Metrics),
        3 => Document::Response(Signal::Traces),
        4 => Document::Response(Signal::Logs),
        5 => Document::Response(Signal::Metrics),
        _ => Document::Status,
    };
    let mut written = Vec::new();
    if let Ok(message) = read(document, text, MOST) {
        assert!(message.len() < MOST + text.len());
        write(document, &message, &mut written).expect("what is read is not nested too deeply");
        let again = read(document, &written, 4 * MOST).expect("what is written is read");
        let mut twice = Vec::new();
        write(document, &again, &mut twice).expect("a message");
        assert_eq!(written, twice);
    }
    // The text as a message.
    let _ = write(document, text, &mut Vec::new());
});
