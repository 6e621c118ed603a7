//! An alert as it is handed on: what Alertmanager's API v2 knows of one, and what of its cause is known besides.

use crate::data::UnixMillis;
use crate::data::labels::{ALERT_NAME, LabelSet};

/// An alert, firing or resolved. Its labels are its identity.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Labels, `alertname` among them, external labels included.
    pub labels: LabelSet,
    /// Annotations, expanded.
    pub annotations: LabelSet,
    /// When it became active.
    pub starts_at: UnixMillis,
    /// When it ends or ended: in the past for a resolved alert; for a firing one the time by which it counts as resolved
    /// if nobody speaks of it again.
    pub ends_at: UnixMillis,
    /// Where its rule can be looked at; may be empty.
    pub generator_url: String,
    /// What its rule's expression was when this was said.
    pub value: f64,
    /// What of its cause is known.
    pub occurrences: Vec<Occurrence>,
}

impl Alert {
    /// Whether it has ended at `now`.
    pub fn is_resolved(&self, now: UnixMillis) -> bool {
        self.ends_at <= now
    }

    /// Its name; empty where it has none.
    pub fn name(&self) -> &str {
        self.labels.get(ALERT_NAME)
    }
}

/// One thing that an alert counted, from an exemplar of its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Occurrence {
    /// When it was counted.
    pub time: UnixMillis,
    /// What was observed: 1 where something is counted, a duration where durations are.
    pub value: f64,
    /// Trace id in hex; may be empty.
    pub trace_id: String,
    /// Span id in hex; may be empty.
    pub span_id: String,
    /// The log line as it is after the last redact, where that was asked for; may be empty.
    pub line: String,
}
