//! What of a message goes into a request: a run of its log records or spans, or samples as their encoder wrote them.

use crate::data::Batch;
use crate::delivery::Message;
use crate::delivery::parts::{self, Parcel};
use crate::formats::otlp::metrics::Portion;

/// Some of a message's records.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Log records or spans.
    Run(parts::Part),
    /// Samples, which make data points together: only their encoder can cut them.
    Samples {
        /// Index of their message in the parcel.
        message: usize,
        /// Which ones; all, before the encoder has seen them.
        portion: Option<Portion>,
    },
}

impl Part {
    /// A parcel, and all of its messages as parts.
    pub fn all(messages: Vec<Message>) -> (Parcel, Vec<Self>) {
        let (parcel, runs) = parts::Part::all(messages);
        let of = |run: parts::Part| match parcel.batch(run.message).map(|held| &held.batch) {
            Some(Batch::Metrics(_)) => Self::Samples { message: run.message, portion: None },
            _ => Self::Run(run),
        };
        let parts = runs.into_iter().map(of).collect();
        (parcel, parts)
    }

    /// Index of its message in the parcel.
    pub fn message(&self) -> usize {
        match self {
            Self::Run(run) => run.message,
            Self::Samples { message, .. } => *message,
        }
    }

    /// Number of records in it.
    pub fn records(&self, parcel: &Parcel) -> u64 {
        match (self, parcel.batch(self.message())) {
            (_, None) => 0,
            (Self::Run(run), _) => run.records(parcel),
            (Self::Samples { portion: None, .. }, Some(held)) => held.batch.count() as u64,
            (Self::Samples { portion: Some(portion), .. }, _) => portion.samples(),
        }
    }

    /// Its two halves; `None` where it is one record, or samples.
    pub fn halves(&self, parcel: &Parcel) -> Option<[Self; 2]> {
        match self {
            Self::Run(run) => run.halves(parcel).map(|halves| halves.map(Self::Run)),
            Self::Samples { .. } => None,
        }
    }
}
