//! What was decided about series, by their slots: a list that differs from the last by a few series costs a
//! decision for those few. A verdict holds for one epoch of a slot and pins nothing: where the series that it
//! names is gone, it is made again.

use crate::data::series_table::{Series, SeriesRef};
use crate::expression::Open;

/// A verdict about a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub then: Then,
    /// What is asked of its values: a number of [`Verdicts::open`].
    pub open: Option<u16>,
}

/// What becomes of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It stays as it is.
    Same,
    /// It is taken out.
    Dropped,
    /// It becomes another.
    Other(SeriesRef),
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    epoch: u32,
    known: Option<Verdict>,
}

/// Verdicts about all series that came by.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    slots: Vec<Slot>,
    open: Vec<Open>,
}

impl Verdicts {
    /// The verdict about a series, if it still holds.
    pub fn get(&self, series: SeriesRef, table: &Series<'_>) -> Option<Verdict> {
        let slot = self.slots.get(series.slot as usize).filter(|slot| slot.epoch == series.epoch)?;
        slot.known.filter(|verdict| match verdict.then {
            Then::Other(other) => table.is_current(other),
            Then::Same | Then::Dropped => true,
        })
    }

    /// Keeps a verdict.
    pub fn set(&mut self, series: SeriesRef, verdict: Verdict) {
        let slot = series.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize(slot + 1, Slot::default());
        }
        self.slots[slot] = Slot { epoch: series.epoch, known: Some(verdict) };
    }

    /// The number of what is asked of values; `None` once there are too many different ones to be kept.
    pub fn number(&mut self, open: &Open) -> Option<u16> {
        let known = self.open.iter().position(|known| known == open);
        let number = u16::try_from(known.unwrap_or(self.open.len())).ok().filter(|number| *number < MOST_OPEN)?;
        if known.is_none() {
            self.open.push(open.clone());
        }
        Some(number)
    }

    /// What is asked of values, by its number.
    pub fn open(&self, number: u16) -> &Open {
        &self.open[usize::from(number)]
    }
}

/// Most different conditions on values: steps leave a handful open, whatever labels there are.
const MOST_OPEN: u16 = 4096;
