//! A bucket that fills at a rate and is drained by what is let through.

use tokio::time::Instant;

/// So much a second, and as much at once.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: f64,
    left: f64,
    looked: Option<Instant>,
}

impl Rate {
    /// A full bucket.
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, left: burst, looked: None }
    }

    /// Takes so much, if it is there.
    pub fn take(&mut self, amount: f64, now: Instant) -> bool {
        if let Some(looked) = self.looked.replace(now) {
            let filled = now.saturating_duration_since(looked).as_secs_f64() * self.per_second;
            self.left = (self.left + filled).min(self.burst);
        }
        let there = amount <= self.left;
        if there {
            self.left -= amount;
        }
        there
    }
}
