//! What the bodies of one request were written from: parts of batches, each with its duty to say what became of
//! its samples.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::data::MetricBatch;
use crate::delivery::journey::Leg;
use crate::delivery::{Ack, Outcome, Path};
use crate::formats::prometheus::remote_write::{Part, shard};
use crate::telemetry::ComponentMetrics;

/// Samples of one batch: those of a range that belong to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Index of the batch in the parcel.
    pub of: usize,
    /// The first sample.
    pub from: usize,
    /// The sample behind the last.
    pub to: usize,
    /// The shard that it is of, and how many there are.
    pub shard: (usize, usize),
    /// Samples that were written, which relabelling may have made fewer; 0 where that is not known yet.
    pub samples: u64,
}

impl Slice {
    /// The samples as an encoder is told about them.
    pub fn part(&self, full: usize) -> Part {
        Part { from: self.from, to: self.to, full, only: Some(self.shard.0), shards: self.shard.1 }
    }

    /// The samples before one, and those from it on.
    fn split(self, at: usize) -> [Self; 2] {
        [Self { to: at, samples: 0, ..self }, Self { from: at, samples: 0, ..self }]
    }
}

/// Batches whose samples share requests. One leaves when all its samples are settled, or when it is withdrawn.
#[derive(Debug, Default)]
pub(super) struct Parcel {
    held: Vec<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    batch: MetricBatch,
    ack: Ack,
    /// Samples that are not settled.
    open: u64,
}

impl Parcel {
    /// Adds the samples of a batch, so many of which were written.
    pub fn add(&mut self, batch: &MetricBatch, ack: Ack, samples: u64) -> usize {
        self.held.push(Some(Held { batch: batch.clone(), ack, open: samples }));
        self.held.len() - 1
    }

    /// A batch; `None` once it was settled or withdrawn.
    pub fn batch(&self, of: usize) -> Option<&MetricBatch> {
        self.held[of].as_ref().map(|held| &held.batch)
    }

    /// Whether somebody waits for a verdict.
    pub fn waited_for(&self) -> bool {
        self.held.iter().flatten().any(|held| held.ack.waited_for())
    }

    /// Whether nothing is left in it.
    pub fn is_empty(&self) -> bool {
        self.held.iter().all(Option::is_none)
    }

    /// Settles samples of a slice; returns how many that were: none if it was withdrawn.
    pub fn settle(&mut self, of: usize, outcome: Outcome, samples: u64, reason: Option<&str>) -> u64 {
        let slot = &mut self.held[of];
        let Some(held) = slot else { return 0 };
        let samples = samples.min(held.open);
        match reason {
            Some(reason) => held.ack.refuse(outcome, samples, reason),
            None => held.ack.count(outcome, samples),
        }
        held.open -= samples;
        if held.open == 0
            && let Some(held) = slot.take()
        {
            held.ack.done();
        }
        samples
    }

    /// Splits a slice in two; `None` where it has only one sample.
    pub fn halves(&self, slice: &Slice) -> Option<[Slice; 2]> {
        let indices = self.indices(slice);
        let middle = *indices.get(indices.len() / 2).filter(|_| indices.len() > 1)?;
        Some(slice.split(middle))
    }

    /// Splits a slice in two that have no series in common, as near to the middle as can be; `None` where nothing
    /// does.
    pub fn apart(&self, slice: &Slice) -> Option<[Slice; 2]> {
        let indices = self.indices(slice);
        let refs = self.batch(slice.of)?.series().refs();
        let places = || indices.iter().enumerate().map(|(place, index)| (place, refs[*index]));
        let last: HashMap<_, _> = places().map(|(place, series)| (series, place)).collect();
        let mut reach = 0;
        let cuts = places().filter_map(|(place, series)| {
            reach = reach.max(last[&series]);
            (reach == place).then_some(place + 1)
        });
        let inside = cuts.filter(|cut| *cut < indices.len());
        let cut = inside.min_by_key(|cut| cut.abs_diff(indices.len() / 2))?;
        Some(slice.split(indices[cut]))
    }

    /// Indices of the samples of a slice.
    fn indices(&self, slice: &Slice) -> Vec<usize> {
        let Some(batch) = self.batch(slice.of) else { return Vec::new() };
        let series = batch.series().table().read();
        let refs = batch.series().refs();
        let own =
            |index: &usize| slice.shard.1 <= 1 || shard(series.hash(refs[*index]), slice.shard.1) == slice.shard.0;
        let range = batch.selection.iter().skip_while(|index| *index < slice.from);
        range.take_while(|index| *index < slice.to).filter(own).collect()
    }

    /// Requests that begin now, of those batches that are followed.
    pub fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.held.iter().flatten().filter_map(|held| held.ack.request(metrics)).collect()
    }

    /// Forgets batches that were withdrawn, which abandons them. Returns whether there were any.
    pub fn forget_withdrawn(&mut self) -> bool {
        let mut any = false;
        for slot in &mut self.held {
            if slot.as_ref().is_some_and(|held| held.ack.is_revoked()) {
                *slot = None;
                any = true;
            }
        }
        any
    }

    /// Waits until a batch in the parcel is withdrawn.
    pub fn withdrawn(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut paths: Vec<Arc<Path>> = Vec::new();
        for held in self.held.iter().flatten() {
            if !paths.iter().any(|path| Arc::ptr_eq(path, held.ack.path())) {
                paths.push(held.ack.path().clone());
            }
        }
        async move {
            let mut revoked: FuturesUnordered<_> = paths.iter().map(|path| path.revoked()).collect();
            if revoked.next().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }
}
