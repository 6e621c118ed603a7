//! What cannot be brought again is lost where it is abandoned: counted by whoever made it.

use std::sync::Arc;

use super::{Settle, Verdict};
use crate::telemetry::ComponentMetrics;

/// Hears what becomes of batches that are made once, and counts the records of abandoned ones as lost. The token is
/// how many a batch has.
#[derive(Clone, Debug)]
pub struct CountLost(pub Arc<ComponentMetrics>);

impl Settle for CountLost {
    fn settled(&self, records: u64, verdict: Verdict) {
        if verdict.abandoned {
            self.0.records_lost.inc_by(records);
        }
    }
}
