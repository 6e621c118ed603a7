//! Time as rules take it. Evaluations happen at times of the wall clock, as Prometheus's do; whatever lasts (`for`,
//! `keep_firing_for`, how long an alert is held) is counted on a line of time that knows no steps of that clock.

use std::time::{Duration, Instant};

use crate::data::UnixNanos;

/// What the clocks say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: UnixNanos,
    /// The monotonic clock: how long the process has been running, or since when else it counts.
    pub running: Duration,
}

/// Whoever knows the time.
pub trait Clock: Send + Sync {
    /// What the clocks say now.
    fn now(&self) -> Moment;
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    /// From when the monotonic clock counts.
    pub start: Instant,
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment { wall: UnixNanos::now(), running: self.start.elapsed() }
    }
}

/// Nanoseconds on the line of time on which durations are counted: the wall clock's without its steps. It goes on over a
/// restart, and is then as good as the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Steady(pub i64);

impl Steady {
    /// How long it has been since `earlier`; nothing where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

/// The clocks may drift apart by this much before that is called a step: a clock that is being slewed stays below it for
/// half an hour.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How the wall clock, the monotonic clock and the steady line of time lie to each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline {
    /// Wall clock minus monotonic clock.
    base: i64,
    /// Steady time minus wall clock.
    shift: i64,
}

impl Timeline {
    /// Begins now; behind `last`, a time of the wall clock and of the steady line, where an earlier process left one.
    pub fn begin(now: Moment, last: Option<(UnixNanos, Steady)>) -> Self {
        let wall = now.wall.0 as i64;
        let shift = last.map_or(0, |(at, steady)| (steady.0 - at.0 as i64).max(steady.0 - wall));
        Self { base: wall - nanos(now.running), shift }
    }

    /// Looks at the clocks: by how many nanoseconds the wall clock was stepped since the last look.
    pub fn look(&mut self, now: Moment) -> Option<i64> {
        let step = now.wall.0 as i64 - nanos(now.running) - self.base;
        if step.unsigned_abs() <= nanos(TOLERANCE) as u64 {
            return None;
        }
        self.base += step;
        self.shift -= step;
        Some(step)
    }

    /// The steady time of a time of the wall clock.
    pub fn steady(&self, wall: UnixNanos) -> Steady {
        Steady(wall.0 as i64 + self.shift)
    }

    /// What the monotonic clock says when the wall clock says `wall`.
    pub fn running(&self, wall: UnixNanos) -> Duration {
        Duration::from_nanos(u64::try_from(wall.0 as i64 - self.base).unwrap_or(0))
    }
}

pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(wall: u64, running: u64) -> Moment {
        Moment { wall: UnixNanos(wall * 1_000_000_000), running: Duration::from_secs(running) }
    }

    #[test]
    fn steady_time_knows_no_steps() {
        for step in [3600, -3600i64] {
            let mut line = Timeline::begin(moment(100_000, 5), None);
            let before = line.steady(moment(100_010, 15).wall);
            assert_eq!(line.look(moment(100_010, 15)), None);
            let stepped = moment((100_020 + step) as u64, 25);
            assert_eq!(line.look(stepped), Some(step * 1_000_000_000));
            assert_eq!(line.look(stepped), None);
            assert_eq!(line.steady(stepped.wall).since(before), Duration::from_secs(10));
            assert_eq!(line.running(stepped.wall), stepped.running);
        }
    }

    #[test]
    fn steady_time_goes_on_over_a_restart_and_never_back() {
        let last = (moment(100_000, 0).wall, Steady(7));
        let later = Timeline::begin(moment(100_060, 1), Some(last));
        assert_eq!(later.steady(moment(100_060, 1).wall), Steady(7 + 60_000_000_000));
        let earlier = Timeline::begin(moment(50_000, 1), Some(last));
        assert_eq!(earlier.steady(moment(50_000, 1).wall), Steady(7));
    }
}
