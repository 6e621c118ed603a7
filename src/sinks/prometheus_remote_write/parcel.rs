//! What the bodies of one request were written from: parts of batches, each with its duty to say what became of
//! its samples.

use std::collections::HashMap;

use crate::data::MetricBatch;
use crate::delivery::parcel;
use crate::formats::prometheus::remote_write::{Part, shard};

/// Batches whose samples share requests.
pub(super) type Parcel = parcel::Parcel<MetricBatch>;

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

    /// In two; `None` where it has only one sample.
    pub fn halves(&self, parcel: &Parcel) -> Option<[Slice; 2]> {
        let indices = self.indices(parcel);
        let middle = *indices.get(indices.len() / 2).filter(|_| indices.len() > 1)?;
        Some(self.split(middle))
    }

    /// In two that have no series in common, as near to the middle as can be; `None` where nothing
    /// does.
    pub fn apart(&self, parcel: &Parcel) -> Option<[Slice; 2]> {
        let indices = self.indices(parcel);
        let refs = parcel.batch(self.of)?.series().refs();
        let places = || indices.iter().enumerate().map(|(place, index)| (place, refs[*index]));
        let last: HashMap<_, _> = places().map(|(place, series)| (series, place)).collect();
        let mut reach = 0;
        let cuts = places().filter_map(|(place, series)| {
            reach = reach.max(last[&series]);
            (reach == place).then_some(place + 1)
        });
        let inside = cuts.filter(|cut| *cut < indices.len());
        let cut = inside.min_by_key(|cut| cut.abs_diff(indices.len() / 2))?;
        Some(self.split(indices[cut]))
    }

    /// Indices of its samples.
    fn indices(&self, parcel: &Parcel) -> Vec<usize> {
        let Some(batch) = parcel.batch(self.of) else { return Vec::new() };
        let series = batch.series().table().read();
        let refs = batch.series().refs();
        let own = |index: &usize| self.shard.1 <= 1 || shard(series.hash(refs[*index]), self.shard.1) == self.shard.0;
        let range = batch.selection.iter().skip_while(|index| *index < self.from);
        range.take_while(|index| *index < self.to).filter(own).collect()
    }
}
