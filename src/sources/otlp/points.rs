//! Data points as samples: decoders, which know the series of the points they have seen, and the sums of deltas, which
//! they share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::data::{Resource, SeriesTable, UnixNanos};
use crate::formats::otlp::MessageError;
use crate::formats::otlp::metrics::{DecodeOptions, Decoded, Decoder, DeltaLimits, DeltaToCumulative};

/// Decoders that wait for the next request. Each knows points of its own, so there are few.
const MOST_IDLE: usize = 2;

/// What requests of metrics share.
pub(super) struct Points {
    table: Arc<SeriesTable>,
    resource: Arc<Resource>,
    idle: Mutex<Vec<Decoder>>,
    deltas: Mutex<DeltaToCumulative>,
}

impl Points {
    pub fn new(table: Arc<SeriesTable>, resource: Arc<Resource>) -> Self {
        let deltas = Mutex::new(DeltaToCumulative::new(DeltaLimits::default()));
        Self { table, resource, idle: Mutex::default(), deltas }
    }

    /// Reads a request, whose resources have beside their own fields those that `add` appends for them.
    pub fn decode(&self, message: &[u8], add: impl FnMut(&[u8], &mut Vec<u8>)) -> Result<Decoded, MessageError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut decoder = idle.unwrap_or_else(|| Decoder::new(self.table.clone(), DecodeOptions::default()));
        let decoded = decoder.decode_extended(message, &self.deltas, &self.resource, UnixNanos::now(), add);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(decoder);
        }
        decoded
    }
}
