//! What is kept of one entry of an exposition beside its text.

use crate::data::MetricKind;

/// One entry of an exposition: the length of its text, what it is, and the kind of its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Not a sample.
    Comment = 0,
    /// A sample that rules drop.
    Dropped = 1,
    /// A sample whose series ends with a staleness marker.
    Tracked = 2,
    /// A sample with a time of its own, whose series ends without one.
    Untracked = 3,
    /// A sample of a series that stands earlier in the exposition.
    Repeated = 4,
}

/// Longest text of one entry: more than any body may have.
const LONGEST: usize = (1 << 26) - 1;

impl Line {
    pub fn new(class: Class, kind: MetricKind, length: usize) -> Option<Self> {
        (length <= LONGEST).then_some(Self((length as u32) << 6 | (kind as u32) << 3 | class as u32))
    }

    /// The same line as one whose sample goes nowhere.
    pub const fn without_series(self, class: Class) -> Self {
        Self(self.0 & !7 | class as u32)
    }

    pub const fn length(self) -> usize {
        (self.0 >> 6) as usize
    }

    pub fn class(self) -> Class {
        match self.0 & 7 {
            0 => Class::Comment,
            1 => Class::Dropped,
            2 => Class::Tracked,
            3 => Class::Untracked,
            _ => Class::Repeated,
        }
    }

    pub fn kind(self) -> MetricKind {
        MetricKind::ALL[(self.0 >> 3 & 7) as usize]
    }

    pub fn has_series(self) -> bool {
        matches!(self.class(), Class::Tracked | Class::Untracked)
    }
}
