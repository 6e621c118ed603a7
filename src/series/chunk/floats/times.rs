//! What times are predicted by.

use super::super::bits::{BitReader, BitWriter};
use super::rice::{Lengths, Written, get_error, get_long, put_error};

/// What times are predicted by: when a scrape is due, which stays where one of them is late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub last: i64,
    /// Sixteen times the time at which the last one was due, and the distance from one to the next.
    due: i64,
    distance: i64,
    /// Samples that were seen, up to [`SETTLED`].
    seen: u8,
    /// Whether the last one was late, or early, by much.
    late: bool,
    lengths: Lengths,
}

/// After so many samples a single one changes little.
const SETTLED: u8 = 8;

/// By so much, in sixteenths of a millisecond, a sample moves what is due.
const MOVED: i64 = 4;

/// One that is late by more, in sixteenths of a millisecond, changes nothing; two in a row, and another time is due.
const LATE: u64 = 40;

impl Times {
    pub fn new(first: i64) -> Self {
        Self { last: first, due: first.wrapping_mul(16), ..Self::default() }
    }

    #[inline]
    fn predicted(&self) -> i64 {
        self.due.wrapping_add(self.distance).wrapping_add(8) >> 4
    }

    #[inline]
    fn learn(&mut self, time: i64) {
        let now = time.wrapping_mul(16);
        let due = self.due.wrapping_add(self.distance);
        let error = now.wrapping_sub(due);
        let is_gap = error.unsigned_abs() > self.distance.unsigned_abs() >> 2;
        let is_late = error.unsigned_abs() > LATE;
        if is_gap {
            if self.seen == 0 || self.late {
                self.distance = time.wrapping_sub(self.last).wrapping_mul(16);
            }
            self.due = now;
        } else if is_late && !self.late {
            self.due = due;
        } else if is_late || self.seen < SETTLED {
            self.distance = self.distance.wrapping_add(error / (i64::from(self.seen) + 2));
            self.due = now;
        } else {
            self.distance = self.distance.wrapping_add((error / 16).clamp(-1, 1));
            self.due = due.wrapping_add((error / 8).clamp(-MOVED, MOVED));
        }
        self.late = is_late;
        self.seen += u8::from(self.seen < SETTLED);
        self.last = time;
    }

    #[inline]
    pub fn put(&mut self, bits: &mut BitWriter, time: i64) {
        let error = time.wrapping_sub(self.predicted());
        put_error(bits, &mut self.lengths, error, false);
        self.learn(time);
    }

    #[inline]
    pub fn get(&mut self, bits: &mut BitReader<'_>) -> Option<i64> {
        let error = match get_error(bits, &mut self.lengths)? {
            Written::Error(error) => error,
            Written::Long => get_long(bits, &mut self.lengths)?,
        };
        let time = error.wrapping_add(self.predicted());
        self.learn(time);
        Some(time)
    }
}
