//! Samples of a batch that are written together, and what is left of them.

use super::plan::Plan;
use crate::data::{MetricBatch, Selection};

/// Samples of a batch that are to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    pub(super) samples: Selection,
    /// Samples `target_info` that go with the first of them, as attributes of their resources.
    pub(super) riding: u64,
    /// Whether each is a point of its own: together they made none.
    pub(super) plain: bool,
}

impl Portion {
    /// The selected samples of a batch. A `target_info` goes with the samples that are about the same target; where
    /// there are none, it is a metric as others are.
    pub(super) fn of(batch: &MetricBatch, plan: &Plan) -> Vec<Self> {
        let mut all = Self { samples: batch.selection.clone(), riding: 0, plain: false };
        let mut alone = Vec::new();
        if plan.targets.iter().any(|target| !target.infos.is_empty()) {
            let mut told = vec![false; plan.targets.len()];
            for point in &plan.points {
                let mut parts = plan.parts[point.parts.start as usize..point.parts.end as usize].iter();
                told[point.target as usize] |= parts.any(|part| batch.selection.contains(part.sample as usize));
            }
            for (target, told) in plan.targets.iter().zip(told) {
                for info in target.infos.iter().filter(|info| batch.selection.contains(**info as usize)) {
                    if told {
                        all.samples.remove(*info as usize);
                        all.riding += 1;
                    } else {
                        alone.push(*info);
                    }
                }
            }
        }
        let alone = all.take_out(&mut alone, true);
        [Some(all), alone].into_iter().flatten().filter(|portion| portion.samples.count() > 0).collect()
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.samples.count() as u64 + self.riding
    }

    /// Takes samples out, which become a portion of their own, if there are any; `samples` is empty afterwards.
    pub(super) fn take_out(&mut self, samples: &mut Vec<u32>, plain: bool) -> Option<Self> {
        if samples.is_empty() {
            return None;
        }
        let mut out = Self { samples: Selection::none(self.samples.len()), riding: 0, plain };
        for sample in samples.drain(..) {
            self.samples.remove(sample as usize);
            out.samples.insert(sample as usize);
        }
        Some(out)
    }
}
