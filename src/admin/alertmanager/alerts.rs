//! Alerts and groups in the shapes of the API.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::alerting::dispatch::{AlertView, GroupView};
use crate::alerting::silence::time_text;
use crate::data::labels::LabelSet;

/// An alert; `muted_by` are the intervals that mute the group in which it is shown.
pub(super) fn alert_json(view: &AlertView, muted_by: &[String]) -> Value {
    let (kept, alert) = (&view.kept, &view.kept.alert);
    let is_suppressed = is_suppressed(view) || !muted_by.is_empty();
    let mut receivers: Vec<&str> = view.receivers.iter().map(|name| &**name).collect();
    receivers.sort_unstable();
    json!({
        "annotations": labels_json(&alert.annotations),
        "endsAt": time_text(alert.ends_at),
        "fingerprint": kept.fingerprint.to_string(),
        "receivers": receivers.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "startsAt": time_text(alert.starts_at),
        "status": {
            "inhibitedBy": view.inhibited_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "mutedBy": muted_by,
            "silencedBy": view.silenced_by.iter().map(|id| &**id).collect::<Vec<_>>(),
            "state": if is_suppressed { "suppressed" } else { "active" },
        },
        "updatedAt": time_text(kept.updated_at),
        "generatorURL": alert.generator_url,
        "labels": labels_json(&alert.labels),
    })
}

/// Whether a silence or another alert keeps it from being told.
pub(super) fn is_suppressed(view: &AlertView) -> bool {
    !view.silenced_by.is_empty() || view.inhibited_by.is_some()
}

/// A group.
pub(super) fn group_json(group: &GroupView) -> Value {
    json!({
        "alerts": group.alerts.iter().map(|alert| alert_json(alert, &group.muted_by)).collect::<Vec<_>>(),
        "labels": labels_json(&group.labels),
        "receiver": { "name": &*group.receiver },
        "routeLabels": group.route_labels,
    })
}

fn labels_json(labels: &LabelSet) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}
