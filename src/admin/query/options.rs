//! What queries from outside may take.

use std::num::NonZeroUsize;
use std::time::Duration as StdDuration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::options::{ByteSize, Duration};

/// What a query of the API may take. A query that would take more is refused with what it needs; the agent's own rules are
/// not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueryOptions {
    /// Longest time that a query may take; its own `timeout` can only be shorter. Default: `2m`.
    pub timeout: Duration,
    /// Most memory that one query may hold. Default: `128MiB`.
    pub memory: ByteSize,
    /// Queries that run at the same time; others wait. Default: `4`.
    pub concurrency: NonZeroUsize,
    /// How far back a query looks for the last sample of a series. Default: `5m`, as in Prometheus.
    pub lookback: Duration,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            timeout: Duration(StdDuration::from_mins(2)),
            memory: ByteSize(128 << 20),
            concurrency: NonZeroUsize::MIN.saturating_add(3),
            lookback: Duration(crate::promql::LOOKBACK),
        }
    }
}
