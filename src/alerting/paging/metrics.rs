//! What is counted of alerts and pages.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::core::Core;
use crate::alerting::outbox::LaneName;
use crate::alerting::silence::{SilenceState, Silences};
use crate::data::UnixMillis;
use crate::telemetry::Telemetry;

/// The metrics are there already.
#[derive(Debug, thiserror::Error)]
#[error("the metrics of alerts cannot be registered: {0}")]
pub struct RegisterError(#[from] prometheus::Error);

/// Metrics, as long as alerts are told.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    received: IntCounterVec,
    refused: IntCounterVec,
    suppressed: IntCounterVec,
    unwritten: IntCounterVec,
    pages: IntCounterVec,
    retries: IntCounterVec,
    left_open: IntCounterVec,
    waiting: IntGaugeVec,
    oldest: IntGaugeVec,
    silences: IntGaugeVec,
    alerts: IntGauge,
    groups: IntGauge,
    bytes: IntGauge,
    shown: Mutex<Shown>,
}

/// What was shown last.
#[derive(Debug, Default)]
struct Shown {
    at: Option<Instant>,
    lanes: BTreeSet<LaneName>,
}

/// How often metrics are shown at most: however much goes on, they cost the same.
const SHOWN_EVERY: Duration = Duration::from_millis(500);

const LANE: [&str; 2] = ["receiver", "integration"];

impl Metrics {
    pub fn register(telemetry: &Telemetry) -> Result<Self, RegisterError> {
        let counter = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let gauges = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            registry: telemetry.registry().clone(),
            received: counter(
                "tailwater_alerts_received_total",
                "Times that somebody spoke of an alert, by whether it was firing or resolved.",
                &["state"],
            )?,
            refused: counter(
                "tailwater_alerts_refused_total",
                "Alerts that found no place, by what there were too many of: alerts or groups.",
                &["limit"],
            )?,
            suppressed: counter(
                "tailwater_alerts_suppressed_total",
                "Alerts that were not told when their group was due, by reason: inhibited, silenced, muted.",
                &["reason"],
            )?,
            unwritten: counter(
                "tailwater_notifications_unwritten_total",
                "Notifications that could not be written, such as by a template that fails.",
                &LANE,
            )?,
            pages: counter(
                "tailwater_pages_total",
                "Pages by what became of them: written, superseded, over_unsent, delivered, refused, given_up, full.",
                &["receiver", "integration", "what"],
            )?,
            retries: counter(
                "tailwater_page_retries_total",
                "Attempts to send a page that were refused for now.",
                &LANE,
            )?,
            left_open: counter(
                "tailwater_alerts_left_open_total",
                "Alerts that stay open at a receiver, since the configuration has no way to it any more.",
                &["receiver", "kind"],
            )?,
            waiting: gauges("tailwater_pages_waiting", "Pages that wait or are under way.", &LANE)?,
            oldest: gauges("tailwater_pages_oldest_seconds", "Age of the oldest page that waits.", &LANE)?,
            silences: gauges("tailwater_silences", "Silences by their state.", &["state"])?,
            alerts: IntGauge::new("tailwater_alerts_kept", "Alerts that are kept on their way to people.")?,
            groups: IntGauge::new("tailwater_alert_groups", "Groups of alerts.")?,
            bytes: IntGauge::new("tailwater_alerts_bytes", "Bytes of the alerts that are kept, about.")?,
            shown: Mutex::default(),
        };
        for collector in metrics.collectors() {
            metrics.registry.register(collector)?;
        }
        Ok(metrics)
    }

    fn collectors(&self) -> [Box<dyn Collector>; 13] {
        [
            Box::new(self.received.clone()),
            Box::new(self.refused.clone()),
            Box::new(self.suppressed.clone()),
            Box::new(self.unwritten.clone()),
            Box::new(self.pages.clone()),
            Box::new(self.retries.clone()),
            Box::new(self.left_open.clone()),
            Box::new(self.waiting.clone()),
            Box::new(self.oldest.clone()),
            Box::new(self.silences.clone()),
            Box::new(self.alerts.clone()),
            Box::new(self.groups.clone()),
            Box::new(self.bytes.clone()),
        ]
    }

    /// An alert stays open at a receiver.
    pub fn count_left_open(&self, lane: &LaneName) {
        self.left_open.with_label_values(&[&*lane.receiver, lane.kind()]).inc();
    }

    /// Shows what is so now, unless that was done a moment ago.
    pub fn update(&self, core: &Core, silences: &Silences, now: UnixMillis) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.at.is_some_and(|at| at.elapsed() < SHOWN_EVERY) {
            return;
        }
        shown.at = Some(Instant::now());
        let count = |family: &IntCounterVec, labels: &[&str], so_far: u64| {
            let counter = family.with_label_values(labels);
            counter.inc_by(so_far.saturating_sub(counter.get()));
        };
        let counts = core.dispatcher.counts();
        count(&self.received, &["firing"], counts.firing);
        count(&self.received, &["resolved"], counts.resolved);
        count(&self.refused, &["alerts"], counts.refused);
        count(&self.refused, &["groups"], counts.ungrouped);
        count(&self.suppressed, &["inhibited"], counts.inhibited);
        count(&self.suppressed, &["silenced"], counts.silenced);
        count(&self.suppressed, &["muted"], counts.muted);
        for (lane, (times, _)) in &core.unwritten {
            count(&self.unwritten, &[&lane.receiver, &lane.integration], *times);
        }
        let lanes = core.outbox.status();
        let there: BTreeSet<LaneName> = lanes.iter().map(|status| status.lane.clone()).collect();
        for gone in shown.lanes.difference(&there) {
            let lane = [&*gone.receiver, &*gone.integration];
            // Nothing waits there any more, and nobody will say so again.
            let _ = (self.waiting.remove_label_values(&lane), self.oldest.remove_label_values(&lane));
        }
        shown.lanes = there;
        for status in lanes {
            let lane = [&*status.lane.receiver, &*status.lane.integration];
            let counts = status.counts;
            for (what, so_far) in [
                ("written", counts.put),
                ("superseded", counts.superseded),
                ("over_unsent", counts.over_unsent),
                ("delivered", counts.delivered),
                ("refused", counts.refused),
                ("given_up", counts.given_up),
                ("full", counts.full),
            ] {
                count(&self.pages, &[lane[0], lane[1], what], so_far);
            }
            count(&self.retries, &lane, counts.retries);
            self.waiting.with_label_values(&lane).set(status.waiting as i64);
            let age = status.oldest.map_or(0, |oldest| (now.0 - oldest.0).max(0) / 1000);
            self.oldest.with_label_values(&lane).set(age);
        }
        for (name, state) in
            [("active", SilenceState::Active), ("pending", SilenceState::Pending), ("expired", SilenceState::Expired)]
        {
            let of_state = silences.iter().filter(|silence| silence.state(now) == state).count();
            self.silences.with_label_values(&[name]).set(of_state as i64);
        }
        let (alerts, bytes, groups) = core.dispatcher.size();
        self.alerts.set(alerts as i64);
        self.groups.set(groups as i64);
        self.bytes.set(bytes as i64);
    }
}

/// What they are, also those that have no value yet.
///
/// # Errors
/// Never: the names are constants.
pub fn described() -> Result<Vec<Desc>, RegisterError> {
    let metrics = Metrics::register(&Telemetry::new())?;
    Ok(metrics.collectors().iter().flat_map(|collector| collector.desc().into_iter().cloned()).collect())
}

impl Drop for Metrics {
    fn drop(&mut self) {
        for collector in self.collectors() {
            // Another of the same name may have been registered and refused.
            let _ = self.registry.unregister(collector);
        }
    }
}
