//! Text expositions: whoever knows what the last one said reads the next one as anybody else; labels never
//! panic; and what is written of a sample reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::{LabelSet, Labels};
use tailwater::formats::prometheus::expose::{Exposed, Exposer};
use tailwater::formats::prometheus::{Entry, Escaping, Exposition, ScrapeProtocol, TextParser};

fuzz_target!(|data: &[u8]| {
    let mut parser = TextParser::new(data);
    let mut knowing = TextParser::new(data);
    let (mut labels, mut encoded, mut written) = (LabelSet::new(), Vec::new(), Vec::new());
    while let Ok(Some(entry)) = parser.entry() {
        let Entry::Series(series) = entry else {
            assert!(knowing.skip(parser.consumed(), parser.kind()));
            continue;
        };
        match knowing.predicted(series.raw) {
            Some(point) => {
                assert_eq!(point.value.to_bits(), series.point.value.to_bits());
                assert_eq!(point.timestamp, series.point.timestamp);
            }
            None => assert!(matches!(knowing.next(), Ok(Some(Entry::Series(again))) if again.raw == series.raw)),
        }
        if TextParser::read_labels(series.raw, parser.kind(), &mut labels).is_err() || labels.has("") {
            continue;
        }
        let Some(mut exposer) = Exposer::new(ScrapeProtocol::PrometheusText1_0_0, Escaping::AllowUtf8) else { return };
        encoded.clear();
        written.clear();
        labels.encode(&mut encoded);
        let (value, timestamp) = (series.point.value, series.point.timestamp);
        let sample = Exposed { labels: Labels::of_encoded(&encoded), value, timestamp, exemplar: None };
        exposer.sample(None, &sample, &mut written);
        if labels.has("__name__") {
            let mut again = LabelSet::new();
            let mut reader = TextParser::new(&written);
            let Ok(Some(Entry::Series(read))) = reader.entry() else { panic!("what was written is a sample") };
            assert_eq!((read.point.value.to_bits(), read.point.timestamp), (value.to_bits(), timestamp));
            assert!(TextParser::read_labels(read.raw, reader.kind(), &mut again).is_ok());
            assert_eq!(again, labels);
        }
    }
});
