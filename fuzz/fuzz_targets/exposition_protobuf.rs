//! Expositions of protobuf messages: nothing panics whatever the bytes are, and whoever knows what the last
//! exposition said reads the next one as anybody else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::LabelSet;
use tailwater::formats::prometheus::{Entry, Exposition, Histograms, ProtobufParser};

fuzz_target!(|data: &[u8]| {
    let mut labels = LabelSet::new();
    for (native, classic_too) in [(false, false), (true, false), (true, true)] {
        let mut parser = ProtobufParser::new(data, Histograms { native, classic_too });
        let mut knowing = parser.clone();
        while let Ok(Some(entry)) = parser.next() {
            let raw = match entry {
                Entry::Series(series) => {
                    if let Some(exemplar) = series.point.exemplar {
                        let _ = ProtobufParser::read_exemplar(exemplar, &mut labels);
                    }
                    // In words, since a NaN does not equal itself.
                    let told = format!("{series:?}");
                    match knowing.predicted(series.raw) {
                        Some(point) => assert_eq!(format!("{point:?}"), format!("{:?}", series.point)),
                        None => assert!(
                            matches!(knowing.next(), Ok(Some(Entry::Series(again))) if format!("{again:?}") == told)
                        ),
                    }
                    series.raw.to_vec()
                }
                Entry::Histogram(series) => {
                    assert!(series.histogram.is_valid());
                    assert!(matches!(knowing.next(), Ok(Some(Entry::Histogram(again))) if again.raw == series.raw));
                    series.raw.to_vec()
                }
                _ => {
                    assert!(knowing.skip(parser.consumed(), parser.kind()));
                    continue;
                }
            };
            let _ = ProtobufParser::read_labels(&raw, parser.kind(), &mut labels);
        }
    }
});
