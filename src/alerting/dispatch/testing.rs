//! Alerts for tests.

use super::Kept;
use crate::alerting::Alert;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// An alert with these labels, from one time to another.
pub(in crate::alerting) fn alert(labels: &[(&str, &str)], starts: i64, ends: i64) -> Alert {
    Alert {
        labels: labels.iter().copied().collect(),
        annotations: LabelSet::new(),
        starts_at: UnixMillis(starts),
        ends_at: UnixMillis(ends),
        generator_url: String::new(),
        value: 1.0,
        occurrences: Vec::new(),
    }
}

/// The same as it is kept, said when it began.
pub(in crate::alerting) fn kept(labels: &[(&str, &str)], starts: i64, ends: i64) -> Kept {
    Kept::new(alert(labels, starts, ends), false, UnixMillis(starts))
}
