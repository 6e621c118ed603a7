//! When a target is scraped: equally far apart, by the clock that never jumps. Its samples carry the time of the
//! clock on the wall, which may be set; nothing waits for it then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::output::Output;
use crate::data::UnixMillis;

/// How far the wall clock may be from a scrape's planned time for the planned one to be its time: stores
/// compress equal distances better.
const TOLERANCE: Duration = Duration::from_millis(2);

/// A clock that was set is told at most this often: every target notices.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The clock on the wall.
pub(super) struct Wall {
    now: Box<dyn Fn() -> UnixMillis + Send + Sync>,
    told: Mutex<Option<Instant>>,
}

/// When a scrape began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The time of its samples.
    pub wall: UnixMillis,
    at: Instant,
}

/// The times of a target's scrapes.
pub(super) struct Clock {
    wall: Arc<Wall>,
    interval: Duration,
    next: Instant,
    /// When `next` is by the wall clock, as planned.
    planned: UnixMillis,
}

impl Wall {
    /// A clock that says what `now` says.
    pub fn new(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { now: Box::new(now), told: Mutex::default() })
    }

    /// What it says.
    pub fn now(&self) -> UnixMillis {
        (self.now)()
    }

    /// Tells that it was set back.
    pub fn was_set_back(&self, from: UnixMillis, to: UnixMillis, output: &Output) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        *told = Some(Instant::now());
        let by = Duration::from_millis(from.0.abs_diff(to.0));
        output.tell(&format!(
            "the clock was set back by {by:?} or more: scrapes go on with its time, and what stores samples may refuse \
             them until the clock has caught up"
        ));
    }
}

impl Moment {
    /// The later of two.
    pub fn later(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).max_by_key(|moment| moment.at)
    }

    /// Whether a scrape now is another one than the `last`: not the same once more, by a successor that begins
    /// within its moment. A clock that was set back does not make it the same.
    pub fn is_another(self, last: Self, interval: Duration) -> bool {
        self.wall > last.wall || self.at.saturating_duration_since(last.at) >= interval / 2
    }
}

impl Clock {
    /// Scrapes each `interval`, `offset` into it.
    pub fn new(wall: Arc<Wall>, interval: Duration, offset: Duration) -> Self {
        let (now, today) = (Instant::now(), wall.now());
        let length = interval.as_millis().max(1) as i64;
        let into = (today.0 - offset.as_millis() as i64).rem_euclid(length);
        let wait = (length - into) % length;
        Self { wall, interval, next: now + Duration::from_millis(wait as u64), planned: UnixMillis(today.0 + wait) }
    }

    /// When the next scrape begins.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// The time of the scrape that begins now.
    pub fn moment(&self) -> Moment {
        let now = self.wall.now();
        let tolerance = TOLERANCE.min(self.interval / 100).as_millis() as i64;
        let wall = if (now.0 - self.planned.0).abs() <= tolerance { self.planned } else { now };
        Moment { wall, at: Instant::now() }
    }

    /// Goes on to the next planned time that is still to come.
    pub fn advance(&mut self) {
        let now = Instant::now();
        let behind = now.saturating_duration_since(self.next);
        let steps = behind.as_nanos() / self.interval.as_nanos() + 1;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        let drift = self.wall.now().0 - (self.planned.0 + behind.as_millis() as i64);
        self.next += self.interval * steps;
        self.planned.0 += self.interval.as_millis() as i64 * i64::from(steps);
        if drift.unsigned_abs() > TOLERANCE.as_millis() as u64 {
            // The wall clock was set: what is planned goes by it from now on.
            self.planned.0 += drift;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use tokio::time::{sleep, sleep_until};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_changes_the_times_and_not_the_distances() {
        let (set, began) = (Arc::new(AtomicI64::new(0)), Instant::now());
        let by = set.clone();
        let wall =
            Wall::new(move || UnixMillis(1_000_000 + began.elapsed().as_millis() as i64 + by.load(Ordering::Relaxed)));
        let interval = Duration::from_secs(10);
        let mut clock = Clock::new(wall, interval, Duration::from_secs(3));
        let mut last: Option<Moment> = None;
        let mut times = Vec::new();
        for set_by in [0, 0, -3_600_000, 0, 0, -700, 0, 7_200_000, 0] {
            set.fetch_add(set_by, Ordering::Relaxed);
            sleep_until(clock.next()).await;
            let now = clock.moment();
            assert!(last.is_none_or(|last| now.is_another(last, interval)), "{times:?}, then {now:?}");
            assert_eq!(last.map_or(interval, |last| now.at - last.at), interval);
            times.push(now.wall.0);
            last = Some(now);
            // The scrape takes a while.
            sleep(Duration::from_millis(1234)).await;
            clock.advance();
        }
        let steps: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert_eq!(times[0], 1_003_000);
        assert_eq!(steps, [10_000, -3_590_000, 10_000, 10_000, 9_300, 10_000, 7_210_000, 10_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_successor_does_not_scrape_within_the_moment_of_its_predecessor() {
        let (interval, at) = (Duration::from_secs(10), Instant::now());
        let last = Moment { wall: UnixMillis(50_000), at };
        let moment = |wall, behind| Moment { wall: UnixMillis(wall), at: at + Duration::from_millis(behind) };
        assert!(!moment(50_000, 1).is_another(last, interval));
        assert!(!moment(49_999, 1).is_another(last, interval));
        assert!(moment(50_001, 1).is_another(last, interval));
        assert!(moment(20_000, 10_000).is_another(last, interval), "the clock was set back");
    }
}
