//! Requests of remote write that may be anything: the first byte says which version, the rest is the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tailwater::data::{Histogram, Labels, UnixMillis};
use tailwater::formats::prometheus::remote_write::{Counts, Limits, ReadMetadata, Receive, Version, decode};

/// Checks what every receiver relies on.
struct Checked(bool);

impl Receive for Checked {
    fn series(&mut self, labels: Labels<'_>, _: Option<ReadMetadata<'_>>) {
        let names: Vec<_> = labels.iter().map(|(name, value)| (name, value.is_empty())).collect();
        assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, each once");
        assert!(names.iter().all(|(name, empty)| !name.is_empty() && !empty), "none empty");
        assert!(!labels.metric_name().is_empty());
        self.0 = true;
    }

    fn number(&mut self, _: f64, _: UnixMillis, _: Option<UnixMillis>) {
        assert!(self.0, "a sample has a series");
    }

    fn histogram(&mut self, histogram: Histogram, _: UnixMillis, _: Option<UnixMillis>) {
        assert!(self.0 && histogram.is_valid());
    }

    fn exemplar(&mut self, labels: Labels<'_>, _: f64, _: UnixMillis) {
        assert!(self.0);
        let _ = labels.to_set();
    }

    fn metadata(&mut self, _: ReadMetadata<'_>) {}

    fn refused(&mut self, reason: String, _: Counts) {
        assert!(!reason.is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, message)) = data.split_first() else { return };
    let version = if first % 2 == 0 { Version::V1 } else { Version::V2 };
    let _ = decode(version, message, Limits::of_labels(64), &mut Checked(false));
});
