//! The series that alerts write: `ALERTS` with their state, and `ALERTS_FOR_STATE` with the time since when they are active.

use std::sync::Arc;

use super::super::results::Row;
use super::instance::{Instance, Phase, Writes};
use super::{Rule, label_set};
use crate::data::LabelSet;
use crate::data::labels::{ALERT_NAME, Labels, METRIC_NAME};
use crate::promql::Point;

/// The label with the state of an alert.
const ALERT_STATE: &str = "alertstate";

/// Series of alerts.
const ALERTS: &str = "ALERTS";

/// Series of the times since when alerts are active.
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

impl Rule {
    /// What its alerts write.
    pub fn rows_of_alerts(&mut self) -> Vec<Row> {
        let Self { written, alerting: Some(alerting), .. } = self else { return Vec::new() };
        let mut rows = Vec::with_capacity(2 * alerting.alerts.len());
        for (labels, alert) in &mut alerting.alerts {
            let series = || {
                // As in Prometheus the rule's labels are there as they are written where the alert has none of the name.
                let mut series = label_set(&written.labels);
                series.extend(Labels::of_encoded(labels).iter());
                series.set(ALERT_NAME, written.name());
                series
            };
            alert.write(series, &mut rows);
        }
        rows
    }
}

impl Instance {
    /// Its samples; none once it resolved. `series` has the labels of its series but for the name and the state.
    fn write(&mut self, series: impl FnOnce() -> LabelSet, rows: &mut Vec<Row>) {
        let fires = match self.phase {
            Phase::Pending => false,
            Phase::Firing { .. } => true,
            Phase::Resolved { .. } => return,
        };
        let seconds = (self.active_at.0 / 1_000_000_000) as f64;
        let known = self.writes.take().filter(|writes| writes.fires == fires);
        let writes = self.writes.insert(known.unwrap_or_else(|| Writes::new(series(), fires)));
        rows.push(Row { labels: writes.state.clone(), point: Point::Float(1.0) });
        rows.push(Row { labels: writes.since.clone(), point: Point::Float(seconds) });
    }
}

impl Writes {
    fn new(mut series: LabelSet, fires: bool) -> Self {
        let encoded = |series: &LabelSet| -> Arc<[u8]> {
            let mut labels = Vec::new();
            series.encode(&mut labels);
            labels.into()
        };
        series.set(METRIC_NAME, ALERTS_FOR_STATE);
        let since = encoded(&series);
        series.set(METRIC_NAME, ALERTS);
        series.set(ALERT_STATE, if fires { "firing" } else { "pending" });
        Self { state: encoded(&series), fires, since }
    }
}
