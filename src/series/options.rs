//! What can be configured about the samples that rules and queries read.

use std::time::Duration as StdDuration;

use crate::options::{ByteSize, Duration};

/// The samples that rules and queries read.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreOptions {
    /// How long samples are kept. Default: as long as the longest range that a rule reads and 15 minutes more, at least
    /// `1h` and at most `24h`. Write more where dashboards should see more; `max_bytes` may end it sooner.
    pub retention: Option<Duration>,
    /// Most memory of the samples, their labels and their index. Where it is reached, the oldest samples go first and new
    /// series are refused, counted and reported. Default: `64MiB`, which holds about 30,000 series every 15 seconds for two
    /// hours.
    pub max_bytes: ByteSize,
    /// A sample that is older than the newest one of its series by at most this much is put where it belongs. Older ones are
    /// refused and counted. Default: `0s`, as in Prometheus: samples come in the order of their times. Raise it where
    /// several senders push the same series.
    pub out_of_order_window: Duration,
    /// Series that are kept although no rule reads them, for queries: selectors such as `{job="node"}`. Default: none.
    pub selectors: Vec<String>,
    /// Whether samples are written to `data_dir` too, so that a restart does not leave rules without their past: what
    /// came until a tenth of a second before the process was killed is there again. Takes disk space of at most five times
    /// `max_bytes`. Default: `true`, where there is a `data_dir`.
    pub journal: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            retention: None,
            max_bytes: ByteSize(64 << 20),
            out_of_order_window: Duration(StdDuration::ZERO),
            selectors: Vec::new(),
            journal: true,
        }
    }
}

/// What is kept beyond the longest range: the lookback of a query, its offset within a group, and a restart.
const SLACK: StdDuration = StdDuration::from_secs(15 * 60);

const LEAST: StdDuration = StdDuration::from_secs(3600);

const MOST: StdDuration = StdDuration::from_secs(24 * 3600);

impl StoreOptions {
    /// How long samples are kept where rules read as far back as `reach`.
    pub fn retention_for(&self, reach: StdDuration) -> StdDuration {
        self.retention.map_or_else(|| reach.saturating_add(SLACK).clamp(LEAST, MOST), |retention| retention.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_kept_as_long_as_rules_read_back() {
        let options = StoreOptions::default();
        let hours = |hours: u64| StdDuration::from_secs(hours * 3600);
        assert_eq!(options.retention_for(hours(0)), hours(1));
        assert_eq!(options.retention_for(hours(3)), hours(3) + SLACK);
        assert_eq!(options.retention_for(hours(48)), hours(24));
        let written: StoreOptions =
            serde_json::from_str(r#"{ "retention": "2d", "max_bytes": "1GiB" }"#).expect("options");
        assert_eq!((written.retention_for(hours(0)), written.max_bytes.0), (hours(48), 1 << 30));
    }
}
