//! Requests of logs that may be anything. What is taken of them can be written as a request, of which everything is
//! taken, and as documents, each of which is JSON.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Chunk, UnixNanos};
use tailwater::formats::json::strict;
use tailwater::formats::ndjson::LineWriter;
use tailwater::formats::otlp::logs::{Decoded, LogsEncoder, decode};
use tailwater::formats::otlp::origin::read_resource;

fn decoded(request: Vec<u8>) -> Option<Decoded> {
    decode(&Chunk::from_vec(request), |message, url| Ok(Arc::new(read_resource(message, url)?))).ok()
}

fuzz_target!(|data: &[u8]| {
    let Some(first) = decoded(data.to_vec()) else { return };
    let (mut encoder, mut request) = (LogsEncoder::new(), Vec::new());
    for batch in &first.batches {
        let appended = encoder.append(batch, 0, "otlp/fuzz.logs", UnixNanos(1), usize::MAX, &mut request);
        assert_eq!(appended.records, batch.records().len() as u64);
        let mut lines = Vec::new();
        LineWriter::new().json(batch, &mut lines);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            assert!(strict::compact(line.trim_ascii(), &mut Vec::new()));
        }
    }
    let again = decoded(request).expect("what is written is well-formed");
    assert_eq!(again.refused.records(), 0);
    let count = |decoded: &Decoded| decoded.batches.iter().map(|batch| batch.records().len()).sum::<usize>();
    assert_eq!(count(&again), count(&first));
});
