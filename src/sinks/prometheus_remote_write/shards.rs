//! How many shards there are: as few as keep up. They double when bodies had to wait for a receiver that answers,
//! and halve when requests leave most of the time unused for long.

use std::time::Duration;

use super::options::Shards;

/// How long shards are watched before their number changes.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Part of a window that waiting for room may take before there are more shards.
const WAITED: f64 = 0.2;

/// Part of their time that requests may use before there are fewer shards.
const USED: f64 = 0.2;

/// Windows in a row that must be like that.
const QUIET: u32 = 18;

/// The number of shards, and what it depends on.
#[derive(Debug)]
pub(super) struct Count {
    limits: Shards,
    now: usize,
    quiet: u32,
}

/// What happened in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    /// Time that a finished body waited for room, none else being written meanwhile.
    pub waited: Duration,
    /// Time that requests were in flight, over all shards.
    pub used: Duration,
    /// Requests that were taken.
    pub taken: u64,
}

impl Count {
    pub fn new(limits: Shards) -> Self {
        Self { limits, now: limits.min, quiet: 0 }
    }

    pub fn now(&self) -> usize {
        self.now
    }

    /// The number for the next window, where it changes.
    pub fn after(&mut self, watched: Watched) -> Option<usize> {
        let window = WINDOW.as_secs_f64();
        let busy = watched.used.as_secs_f64() / (window * self.now as f64);
        self.quiet = if busy < USED { self.quiet + 1 } else { 0 };
        // A receiver that takes nothing is not helped by more requests.
        let next = if watched.waited.as_secs_f64() > WAITED * window && watched.taken > 0 {
            2 * self.now
        } else if self.quiet >= QUIET {
            self.now / 2
        } else {
            self.now
        };
        let next = next.clamp(self.limits.min, self.limits.max);
        if next == self.now {
            return None;
        }
        (self.now, self.quiet) = (next, 0);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_follows_the_wait_for_a_receiver_that_answers() {
        let mut count = Count::new(Shards { min: 1, max: 4 });
        let slow = Watched { waited: WINDOW / 2, used: WINDOW, taken: 3 };
        assert_eq!(count.after(Watched { taken: 0, ..slow }), None, "it answers nothing");
        assert_eq!(count.after(slow), Some(2));
        assert_eq!(count.after(slow), Some(4));
        assert_eq!(count.after(slow), None, "there are no more");
        let idle = Watched { waited: Duration::ZERO, used: WINDOW / 10, taken: 3 };
        assert_eq!((1..QUIET).find_map(|_| count.after(idle)), None, "only after minutes");
        assert_eq!(count.after(idle), Some(2));
        assert_eq!((0..100).filter_map(|_| count.after(idle)).last(), Some(1));
    }
}
