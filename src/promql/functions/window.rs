//! What a function over a range is given: the samples of one series in the range as columns, and where the range is.

use std::sync::Arc;

use super::super::histogram::FloatHistogram;
use super::notes::{Note, Notes, Place};

/// What a function makes of a window, or of a sample.
#[derive(Clone, Debug)]
pub enum Datum {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// Whether a range is widened to the samples around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extension {
    /// It is not.
    #[default]
    None,
    /// `anchored`: by the last sample before it.
    Anchored,
    /// `smoothed`: values at its bounds are interpolated from the samples around them.
    Smoothed,
}

/// The samples of one series in a range. Staleness markers are dropped; floats and histograms ascend in their times, which
/// differ from each other.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Times of the floats: milliseconds since 1970.
    pub times: &'a [i64],
    /// The floats.
    pub values: &'a [f64],
    /// When the counters of the floats began, 0 where that is not known; empty where it is known of none or not to be used.
    pub starts: &'a [i64],
    /// Times of the histograms.
    pub histogram_times: &'a [i64],
    /// The histograms.
    pub histograms: &'a [Arc<FloatHistogram>],
    /// When the counters of the histograms began, as in [`Window::starts`].
    pub histogram_starts: &'a [i64],
    /// The range's beginning, which is not part of it.
    pub start: i64,
    /// The range's end, which is part of it.
    pub end: i64,
    /// When it is evaluated: the end without offset.
    pub time: i64,
    /// Whether samples around the range are there, too.
    pub extension: Extension,
    /// How far samples around the range may be from it, in milliseconds.
    pub lookback: i64,
    /// The metric's name, for what there is to say.
    pub metric: &'a str,
    /// Where each argument of the call begins.
    pub places: &'a [Place],
}

impl Window<'_> {
    /// The range in seconds.
    pub fn seconds(&self) -> f64 {
        (self.end - self.start) as f64 / 1000.0
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.values.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are floats and histograms.
    pub(super) fn is_mixed(&self) -> bool {
        !self.values.is_empty() && !self.histograms.is_empty()
    }

    /// Says something about the call's argument of this index.
    pub(super) fn note(&self, notes: &mut Notes, argument: usize, note: Note<'_>) {
        notes.add(self.places.get(argument).copied().unwrap_or_default(), note);
    }

    /// Says that histograms among floats are ignored, if there are any.
    pub(super) fn note_ignored(&self, notes: &mut Notes) {
        if self.is_mixed() {
            self.note(notes, 0, Note::IgnoredInMixedRange(self.metric.into()));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A window of floats alone.
    pub fn window<'a>(times: &'a [i64], values: &'a [f64], start: i64, end: i64) -> Window<'a> {
        Window {
            times,
            values,
            starts: &[],
            histogram_times: &[],
            histograms: &[],
            histogram_starts: &[],
            start,
            end,
            time: end,
            extension: Extension::None,
            lookback: 300_000,
            metric: "requests",
            places: &[Place(5)],
        }
    }
}
