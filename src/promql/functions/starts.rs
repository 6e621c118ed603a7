//! When counters began. A counter that began after its last sample was reset, whatever its value is.

/// What is known of when the counters of some samples began: nothing, or a time for each, 0 where it is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts<'a> {
    starts: &'a [i64],
    times: &'a [i64],
}

impl<'a> Starts<'a> {
    pub fn new(starts: &'a [i64], times: &'a [i64]) -> Self {
        Self { starts, times }
    }

    /// Whether something is known.
    pub fn is_known(self) -> bool {
        !self.starts.is_empty()
    }

    /// When the counter of a sample began.
    pub fn get(self, place: usize) -> i64 {
        self.starts.get(place).copied().unwrap_or(0)
    }

    /// Whether the counter of a sample began anew after the sample before it.
    pub fn is_reset(self, place: usize) -> bool {
        place < self.starts.len()
            && is_reset(self.starts[place - 1], self.times[place - 1], self.starts[place], self.times[place])
    }

    /// Whether some counter is said to have begun before the sample before it, and at another time than that one's.
    pub fn overlap(self) -> bool {
        (1..self.starts.len()).any(|place| {
            let start = self.starts[place];
            start != 0 && start < self.times[place - 1] && start != self.starts[place - 1]
        })
    }
}

/// Whether a counter began anew between two samples.
pub(super) fn is_reset(previous_start: i64, previous_time: i64, start: i64, time: i64) -> bool {
    // One that begins with its sample has an unknown beginning, one that begins later an invalid one.
    if start == previous_start || start == 0 || start >= time || start < previous_time {
        return false;
    }
    if start > previous_time {
        return true;
    }
    // It begins exactly with the sample before it. That is how deltas do, which are counters that begin anew each time; but
    // also how a counter does whose beginning is unknown, and then it was unknown before.
    previous_start < previous_time && previous_start != 0
}

/// Whether a counter began anew after a time.
pub(super) fn is_reset_after(after: i64, start: i64, time: i64) -> bool {
    start > after && time > after && is_reset(after, after, start, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_began_after_its_last_sample_was_reset() {
        assert!(is_reset(10, 20, 25, 30));
        assert!(!is_reset(10, 20, 10, 30), "the same counter");
        assert!(!is_reset(10, 20, 0, 30), "an unknown beginning");
        assert!(!is_reset(10, 20, 30, 30) && !is_reset(10, 20, 40, 30), "an invalid beginning");
        assert!(!is_reset(10, 20, 15, 30), "an overlap");
        assert!(is_reset(10, 20, 20, 30), "a delta");
        assert!(!is_reset(0, 20, 20, 30) && !is_reset(20, 20, 20, 30), "unknown before");
        assert!(is_reset_after(20, 25, 30) && !is_reset_after(25, 25, 30) && !is_reset_after(20, 30, 30));
        let starts = Starts::new(&[5, 5, 8], &[10, 20, 30]);
        assert!(starts.overlap() && !starts.is_reset(1) && !starts.is_reset(2));
        assert!(!Starts::new(&[5, 10], &[10, 20]).overlap());
    }
}
