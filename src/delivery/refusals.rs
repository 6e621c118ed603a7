//! What a destination refuses for good, in the log: where it begins, once a minute while it goes on, where it is over.
//! A receiver that refuses one series of every request would fill the log otherwise, and hide what matters.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry::ComponentMetrics;

/// How long refusals are told together, and without one until they are over.
const TOGETHER: Duration = Duration::from_secs(60);

/// The refusals of one component's destination.
#[derive(Debug)]
pub struct Refusals {
    metrics: Arc<ComponentMetrics>,
    going_on: Mutex<Option<GoingOn>>,
}

#[derive(Debug)]
struct GoingOn {
    /// When it was told last, and how many were refused since.
    told: Instant,
    untold: u64,
    /// When the last was refused, and how many were in all.
    last: Instant,
    all: u64,
}

impl Refusals {
    /// None so far.
    pub fn new(metrics: Arc<ComponentMetrics>) -> Self {
        Self { metrics, going_on: Mutex::default() }
    }

    /// So many were refused for good; `words` say why. The component's last error is always the latest.
    pub fn refused(&self, records: u64, words: &str) {
        self.metrics.error(format!("{records} refused for good: {words}"));
        let now = Instant::now();
        let tell = {
            let mut going_on = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
            let known = going_on.is_some();
            let state = going_on.get_or_insert(GoingOn { told: now, untold: 0, last: now, all: 0 });
            (state.untold, state.last, state.all) = (state.untold + records, now, state.all + records);
            (!known || state.told + TOGETHER <= now).then(|| {
                state.told = now;
                std::mem::take(&mut state.untold)
            })
        };
        if let Some(records) = tell {
            tracing::warn!(component = %self.metrics.name, records, "refused for good: {words}");
        }
    }

    /// A request was taken without a refusal.
    pub fn none(&self) {
        let mut going_on = self.going_on.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(over) = going_on.take_if(|state| state.last + TOGETHER <= Instant::now()) {
            drop(going_on);
            tracing::info!(component = %self.metrics.name, records = over.all, "nothing is refused any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;
    use crate::telemetry::testing::Logged;

    #[tokio::test(start_paused = true)]
    async fn refusals_are_told_where_they_begin_once_a_minute_and_where_they_are_over() {
        let logged = Logged::start();
        let metrics = Telemetry::new().component("sink", "prometheus_remote_write/a");
        let refusals = Refusals::new(metrics.clone());
        refusals.none();
        for second in 0..=90 {
            refusals.refused(2, &format!("series {second} is bad"));
            refusals.none();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let lines = logged.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("series 0 is bad") && lines[0].contains("records=2"), "{lines:?}");
        assert!(lines[1].contains("series 60 is bad") && lines[1].contains("records=120"), "{lines:?}");
        let (_, words) = metrics.health.status().last_error.expect("an error");
        assert!(words.contains("series 90"), "{words}");
        tokio::time::advance(TOGETHER).await;
        refusals.none();
        refusals.none();
        let lines = logged.lines();
        assert!(lines.len() == 3 && lines[2].contains("INFO") && lines[2].contains("records=182"), "{lines:?}");
        refusals.refused(1, "once more");
        assert_eq!(logged.lines().len(), 4);
    }
}
