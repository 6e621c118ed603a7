//! Which repetitions of a log line are printed. A line is limited by its message first; a place in the
//! code that makes ever new messages is limited as a whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

/// An interval in which repetitions are counted.
const INTERVAL: Duration = Duration::from_secs(30);

/// Times that one message is printed in an interval.
const A_MESSAGE: u64 = 3;

/// Lines that one place in the code prints in an interval.
const A_PLACE: u64 = 50;

/// Messages remembered. Beyond, those of past intervals are forgotten.
const REMEMBERED: usize = 1024;

/// Counts repetitions.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    places: HashMap<&'static str, Counted>,
    messages: HashMap<(&'static str, u64), Counted>,
}

#[derive(Debug)]
struct Counted {
    since: Instant,
    printed: u64,
    suppressed: u64,
}

impl Repeats {
    /// Whether a line of this place in the code may be printed, and then how many like it were suppressed
    /// since the last one.
    pub fn admit(&mut self, place: &'static str, identity: &str, now: Instant) -> Option<u64> {
        if self.messages.len() >= REMEMBERED {
            self.messages.retain(|_, counted| now.duration_since(counted.since) < INTERVAL);
        }
        let key = (place, xxh3_64(identity.as_bytes()));
        let by_message = match self.messages.len() < REMEMBERED || self.messages.contains_key(&key) {
            true => self.messages.entry(key).or_insert_with(|| Counted::from(now)).admit(A_MESSAGE, now)?,
            false => 0,
        };
        let by_place = self.places.entry(place).or_insert_with(|| Counted::from(now)).admit(A_PLACE, now)?;
        Some(by_message + by_place)
    }
}

impl Counted {
    fn from(now: Instant) -> Self {
        Self { since: now, printed: 0, suppressed: 0 }
    }

    fn admit(&mut self, most: u64, now: Instant) -> Option<u64> {
        if now.duration_since(self.since) >= INTERVAL {
            self.since = now;
            self.printed = 0;
        }
        if self.printed >= most {
            self.suppressed += 1;
            return None;
        }
        self.printed += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}
