//! What rules count of themselves.

use prometheus::core::{Collector, Desc};
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGaugeVec, Opts};

use super::super::group::{Counted, Group, Tally};
use crate::telemetry::Telemetry;

/// The label that names a group: `FILE;NAME`, as Prometheus's metrics have it.
const GROUP: &str = "rule_group";

/// Metrics of rules.
#[derive(Debug)]
pub struct RuleMetrics {
    iterations: IntCounterVec,
    missed: IntCounterVec,
    evaluations: IntCounterVec,
    failures: IntCounterVec,
    duration: GaugeVec,
    alerts: IntGaugeVec,
    /// Times at which the journal of alerts could not be written.
    pub(super) journal_errors: IntCounter,
}

impl RuleMetrics {
    /// Metrics of their own, not exposed yet.
    ///
    /// # Errors
    /// Never: the names are constants that a test registers.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let of_group = |name, help| IntCounterVec::new(Opts::new(name, help), &[GROUP]);
        Ok(Self {
            iterations: of_group(
                "tailwater_rule_group_iterations_total",
                "Times of evaluation of a group of rules that came.",
            )?,
            missed: of_group(
                "tailwater_rule_group_iterations_missed_total",
                "Times at which a group of rules was not evaluated, because an evaluation before took too long.",
            )?,
            evaluations: of_group("tailwater_rule_evaluations_total", "Evaluations of rules.")?,
            failures: of_group("tailwater_rule_evaluation_failures_total", "Evaluations of rules that failed.")?,
            duration: GaugeVec::new(
                Opts::new(
                    "tailwater_rule_group_last_duration_seconds",
                    "How long the last evaluation of a group of rules took.",
                ),
                &[GROUP],
            )?,
            alerts: IntGaugeVec::new(
                Opts::new(
                    "tailwater_alerts",
                    "Alerts by state; those that are held are counted under their state too.",
                ),
                &["state"],
            )?,
            journal_errors: IntCounter::new(
                "tailwater_alert_journal_errors_total",
                "Times at which the journal of alerts could not be written.",
            )?,
        })
    }

    /// Exposes them.
    ///
    /// # Errors
    /// Where the process exposes those of other rules already.
    pub fn register(&self, telemetry: &Telemetry) -> Result<(), prometheus::Error> {
        self.collectors().into_iter().try_for_each(|collector| telemetry.registry().register(collector))
    }

    fn collectors(&self) -> [Box<dyn Collector>; 7] {
        [
            Box::new(self.iterations.clone()),
            Box::new(self.missed.clone()),
            Box::new(self.evaluations.clone()),
            Box::new(self.failures.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.alerts.clone()),
            Box::new(self.journal_errors.clone()),
        ]
    }

    /// What they are, also those that have no value yet.
    pub fn described(&self) -> Vec<Desc> {
        self.collectors().iter().flat_map(|collector| collector.desc().into_iter().cloned()).collect()
    }

    /// A group was evaluated; `before` is what it had counted until then.
    pub(super) fn evaluated(&self, group: &Group, before: Tally) {
        let (key, now) = (key(group), group.tally);
        for (counter, more) in [
            (&self.iterations, now.iterations - before.iterations),
            (&self.missed, now.missed - before.missed),
            (&self.evaluations, now.evaluations - before.evaluations),
            (&self.failures, now.failures - before.failures),
        ] {
            counter.with_label_values(&[&key]).inc_by(more);
        }
        self.duration.with_label_values(&[&key]).set(now.took.as_secs_f64());
    }

    /// A group is no more.
    pub(super) fn forget(&self, group: &Group) {
        let key = key(group);
        for counter in [&self.iterations, &self.missed, &self.evaluations, &self.failures] {
            // One that was never evaluated has none.
            let _ = counter.remove_label_values(&[&key]);
        }
        let _ = self.duration.remove_label_values(&[&key]);
        self.change(group.counted, Counted::default());
    }

    /// Alerts that are pending, that fire and that are held.
    #[cfg(test)]
    pub fn alerts(&self) -> [i64; 3] {
        ["pending", "firing", "held"].map(|state| self.alerts.with_label_values(&[state]).get())
    }

    /// Counts the alerts of a group anew.
    pub(super) fn count(&self, group: &mut Group) {
        let before = std::mem::replace(&mut group.counted, Counted::of(&group.rules));
        self.change(before, group.counted);
    }

    fn change(&self, before: Counted, now: Counted) {
        for (state, before, now) in [
            ("pending", before.pending, now.pending),
            ("firing", before.firing, now.firing),
            ("held", before.held, now.held),
        ] {
            self.alerts.with_label_values(&[state]).add(now - before);
        }
    }
}

fn key(group: &Group) -> String {
    format!("{};{}", group.file, group.name)
}
