//! A speaker, alerts and notifications for the tests of receivers.

use super::{REPLICA_LABELS, Speaker};
use crate::alerting::alert::Alert;
use crate::alerting::notifier::Notification;
use crate::data::UnixMillis;

/// When the notifications of tests are said: 2026-11-29T08:00:00Z.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_939_200_000);

/// An agent of the cluster `one`.
pub(crate) fn speaker() -> Speaker {
    Speaker {
        cluster: Some("one".into()),
        replica_labels: REPLICA_LABELS.map(str::to_owned).into(),
        external_url: "http://tailwater.example".into(),
        templates: super::default_templates(),
    }
}

/// An alert.
pub(crate) fn alert(labels: &[(&str, &str)], starts_at: i64, ends_at: i64) -> Alert {
    Alert {
        labels: labels.iter().copied().collect(),
        annotations: [("summary", "it is down")].into_iter().collect(),
        starts_at: UnixMillis(starts_at),
        ends_at: UnixMillis(ends_at),
        generator_url: "http://tailwater.example/graph?g0.expr=up".into(),
        value: 1.0,
        occurrences: Vec::new(),
    }
}

/// What a receiver `page` is told of alerts that are grouped by their name.
pub(crate) fn notification(alerts: Vec<Alert>) -> Notification {
    Notification {
        receiver: "page".into(),
        group_key: "{}:{alertname=\"Down\"}".into(),
        group_labels: [("alertname", "Down")].into_iter().collect(),
        now: NOW,
        alerts,
    }
}
