//! The wall clock, and whether somebody set it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use crate::data::UnixMillis;

/// Less than this may be the clock being slewed, or the time between looking at two clocks.
const TOLERANCE: i64 = 1000;

/// The clocks of the system.
#[derive(Debug)]
pub(super) struct Clock(Mutex<(UnixMillis, Instant)>);

impl Clock {
    pub fn start() -> Self {
        Self(Mutex::new((UnixMillis::now(), Instant::now())))
    }

    /// The wall clock.
    pub fn now(&self) -> UnixMillis {
        UnixMillis::now()
    }

    /// By how many milliseconds the wall clock was set since the last look.
    pub fn look(&self) -> Option<i64> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, running) = (UnixMillis::now(), Instant::now());
        let step = step(last.0, wall, (running - last.1).as_millis() as i64);
        *last = (wall, running);
        step
    }
}

fn step(before: UnixMillis, after: UnixMillis, passed: i64) -> Option<i64> {
    let step = after.0 - before.0 - passed;
    (step.abs() > TOLERANCE).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_the_wall_clock_moved_beyond_the_time_that_passed() {
        let look = |before, after, passed| step(UnixMillis(before), UnixMillis(after), passed);
        assert_eq!(look(5000, 6000, 1000), None);
        assert_eq!(look(5000, 6900, 1000), None);
        assert_eq!(look(5000, 3_606_000, 1000), Some(3_600_000));
        assert_eq!(look(5_000_000, 1_401_000, 1000), Some(-3_600_000));
    }
}
