//! Requests of OTLP metrics that may be anything: what is taken of one must hold together, and go out again.
#![no_main]

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Labels, SeriesTable, UnixNanos};
use tailwater::formats::otlp::metrics::{DecodeOptions, Decoder, DeltaLimits, DeltaToCumulative, Encoder, Room};

const LIMIT: usize = 1 << 20;

fuzz_target!(|message: &[u8]| {
    let table = SeriesTable::new(1000);
    let deltas = Mutex::new(DeltaToCumulative::new(DeltaLimits::default()));
    let mut decoder = Decoder::new(table.clone(), DecodeOptions::default());
    for now in [1, 2] {
        // The second time, what it says is known.
        let Ok(decoded) = decoder.decode(message, &deltas, &Arc::default(), UnixNanos(now)) else { return };
        let Some(batch) = decoded.batch else { continue };
        for series in batch.series().refs() {
            let look = table.read();
            let labels = look.labels(*series);
            assert!(Labels::checked(labels.encoded()).is_some(), "sorted, each once, none empty");
            assert!(!labels.metric_name().is_empty());
        }
        assert!(batch.columns().histograms.iter().all(|(_, histogram)| histogram.is_valid()));
        let mut encoder = Encoder::new("0");
        let (mut left, mut samples) = (encoder.portions(&batch), 0);
        while let Some(portion) = left.pop() {
            let encoded = encoder.encode(&batch, portion, Room::of(LIMIT));
            assert!(encoded.body.len() <= LIMIT);
            samples += encoded.sent.samples() + encoded.unsendable.iter().map(|(_, samples)| samples).sum::<u64>();
            left.extend(encoded.loose.into_iter().chain(encoded.rest));
        }
        assert_eq!(samples, batch.selection.count() as u64);
    }
});
