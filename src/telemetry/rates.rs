//! Rates over the last seconds, for people: made of two looks at the counters.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ComponentMetrics, Telemetry};

/// How far back the older look is, at the most.
const WINDOW: Duration = Duration::from_secs(10);

/// Remembers what the counters said during the last seconds.
#[derive(Debug)]
pub struct Rates {
    telemetry: Arc<Telemetry>,
    looks: Mutex<VecDeque<Look>>,
}

#[derive(Debug)]
struct Look {
    time: Instant,
    counted: BTreeMap<Box<str>, Flow<u64>>,
}

/// What flows through a component: totals, or amounts per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Flow<N> {
    /// Records that entered.
    pub records_in: N,
    /// Records that left; for a sink, those delivered.
    pub records_out: N,
    /// Bytes that entered.
    pub bytes_in: N,
    /// Bytes that left; for a sink, bytes of bodies sent.
    pub bytes_out: N,
}

impl Flow<u64> {
    /// What a component has counted so far.
    pub fn total(metrics: &ComponentMetrics) -> Self {
        Self {
            records_in: metrics.records_in.get(),
            records_out: metrics.records_out.get(),
            bytes_in: metrics.bytes_in.get(),
            bytes_out: metrics.bytes_out.get(),
        }
    }

    /// What flowed since `earlier`, per second. A counter that went back began anew.
    fn since(self, earlier: Self, elapsed: Duration) -> Flow<f64> {
        let seconds = elapsed.as_secs_f64();
        let rate = |now: u64, then: u64| if seconds > 0.0 { now.saturating_sub(then) as f64 / seconds } else { 0.0 };
        Flow {
            records_in: rate(self.records_in, earlier.records_in),
            records_out: rate(self.records_out, earlier.records_out),
            bytes_in: rate(self.bytes_in, earlier.bytes_in),
            bytes_out: rate(self.bytes_out, earlier.bytes_out),
        }
    }
}

impl Rates {
    /// Nothing is remembered before the first [`Rates::look`].
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, looks: Mutex::default() }
    }

    /// Remembers what the counters say now. Its owner calls it about once a second.
    pub fn look(&self) {
        let counted = self.telemetry.components().iter().map(|c| (c.name.clone(), Flow::total(c))).collect();
        let time = Instant::now();
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        while looks.front().is_some_and(|oldest| time - oldest.time > WINDOW) {
            looks.pop_front();
        }
        looks.push_back(Look { time, counted });
    }

    /// What flows through a component per second, over the last ten seconds or since the first look.
    pub fn of(&self, metrics: &ComponentMetrics) -> Flow<f64> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = looks.iter().find_map(|look| Some((look.time, *look.counted.get(&metrics.name)?)));
        oldest.map_or_else(Flow::default, |(then, earlier)| Flow::total(metrics).since(earlier, then.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_over_the_last_ten_seconds() {
        let telemetry = Arc::new(Telemetry::new());
        let metrics = telemetry.component("source", "file/x");
        let rates = Rates::new(telemetry);
        metrics.records_out.inc_by(1_000_000);
        rates.look();
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(1)).await;
            metrics.records_out.inc_by(50);
            rates.look();
        }
        assert!((rates.of(&metrics).records_out - 50.0).abs() < 0.01, "{:?}", rates.of(&metrics));
        assert!(rates.of(&metrics).records_in.abs() < f64::EPSILON);
    }
}
