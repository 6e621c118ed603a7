//! At which times a group is evaluated: every `interval`, away from the round times by an offset that its name and file
//! give, so that groups do not all begin at once and every replica evaluates at the same times. The offset is
//! Prometheus's (`rules/group.go`, `EvalTimestamp`): the same group on the same file is evaluated at the same nanosecond.

use std::time::Duration;

use crate::data::UnixNanos;
use crate::data::label_hash::prometheus_hash;

/// The times of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Slots {
    interval: u64,
    offset: u64,
}

impl Slots {
    /// The times of the group `name` of `file`. An interval is at least a millisecond.
    pub fn new(file: &str, name: &str, interval: Duration) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1_000_000);
        Self { interval, offset: prometheus_hash([("file", file), ("name", name)]) % interval }
    }

    /// The last time that is not later than `now`.
    pub fn before(&self, now: UnixNanos) -> UnixNanos {
        let since = now.0.saturating_sub(self.offset);
        UnixNanos(since - since % self.interval + self.offset)
    }

    /// The time after a time.
    pub fn after(&self, slot: UnixNanos) -> UnixNanos {
        UnixNanos(slot.0.saturating_add(self.interval))
    }

    /// The time that lies so many behind a time.
    pub fn later(&self, slot: UnixNanos, by: u64) -> UnixNanos {
        UnixNanos(slot.0.saturating_add(by.saturating_mul(self.interval)))
    }

    /// How many times lie between two of them, the first not among them.
    pub fn between(&self, earlier: UnixNanos, later: UnixNanos) -> u64 {
        later.0.saturating_sub(earlier.0) / self.interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_an_interval_apart_and_never_in_the_future() {
        let slots = Slots::new("rules.yml", "node", Duration::from_secs(15));
        let now = UnixNanos(1_795_392_000_123_456_789);
        let slot = slots.before(now);
        assert!(slot <= now && now.0 - slot.0 < 15_000_000_000);
        assert_eq!(slots.before(slot), slot);
        assert_eq!(slots.before(UnixNanos(slot.0 - 1)), UnixNanos(slot.0 - 15_000_000_000));
        assert_eq!(slots.after(slot).0 - slot.0, 15_000_000_000);
        assert_eq!(slots.between(slot, UnixNanos(slot.0 + 31_000_000_000)), 2);
    }

    /// Times of samples that recording rules of Prometheus 3.16.0 wrote, with `rules.yml` beside its configuration.
    #[test]
    fn times_are_those_of_prometheus() {
        for (name, seconds, millis) in [
            ("node", 5, 1_795_940_301_170),
            ("the shop's \u{e9}", 7, 1_795_940_302_871),
            (
                "a name that is a good deal longer than the thirty-two bytes of a stripe of the hash",
                3,
                1_795_940_298_331,
            ),
        ] {
            let slots = Slots::new("rules.yml", name, Duration::from_secs(seconds));
            let slot = slots.before(UnixNanos((millis + 1) * 1_000_000));
            assert_eq!(slot.0 / 1_000_000, millis, "{name}");
        }
    }
}
