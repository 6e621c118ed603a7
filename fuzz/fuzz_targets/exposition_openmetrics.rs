//! OpenMetrics: what the strict checker calls valid, a scrape reads, as many samples; whoever knows what the
//! last exposition said reads the next one as anybody else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::LabelSet;
use tailwater::formats::prometheus::openmetrics::strict;
use tailwater::formats::prometheus::{Entry, Exposition, OpenMetricsParser};

fuzz_target!(|data: &[u8]| {
    let mut parser = OpenMetricsParser::new(data);
    let mut knowing = OpenMetricsParser::new(data);
    let (mut labels, mut samples) = (LabelSet::new(), 0);
    let end = loop {
        let entry = match parser.entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let Entry::Series(series) = entry else {
            assert!(knowing.skip(parser.consumed(), parser.kind()));
            continue;
        };
        samples += 1;
        match knowing.predicted(series.raw) {
            Some(point) => assert_eq!(format!("{point:?}"), format!("{:?}", series.point)),
            None => assert!(matches!(knowing.next(), Ok(Some(Entry::Series(again))) if again.raw == series.raw)),
        }
        let _ = OpenMetricsParser::read_labels(series.raw, parser.kind(), &mut labels);
        if let Some(exemplar) = series.point.exemplar {
            let _ = OpenMetricsParser::read_exemplar(exemplar, &mut labels);
        }
    };
    if let Ok(summary) = strict::check(data) {
        assert_eq!((end, samples), (Ok(()), summary.samples));
    }
});
