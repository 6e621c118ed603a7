//! How long to wait before trying again: exponential with jitter, so that many agents that lost one
//! server do not come back in step.

use std::time::Duration;

/// First wait after a failure.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// The waits between the attempts of one piece of work.
#[derive(Debug)]
pub struct Backoff {
    random: fastrand::Rng,
    failures: u32,
}

impl Backoff {
    /// Waits drawn from `random`; a seeded one makes them repeatable.
    pub fn new(random: fastrand::Rng) -> Self {
        Self { random, failures: 0 }
    }

    /// The wait before the next attempt: doubled each time up to half a minute, of which at least half is
    /// kept. A server's `Retry-After` is a lower bound, up to a minute.
    pub fn next(&mut self, at_least: Option<Duration>) -> Duration {
        let full = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        let wait = full.mul_f64(0.5 + self.random.f64() / 2.0);
        match at_least {
            // Jitter goes on top: nobody comes earlier than asked.
            Some(asked) => asked.min(2 * LONGEST) + wait / 4,
            None => wait,
        }
    }

    /// Number of failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Something succeeded: start from the shortest wait again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_are_never_shorter_than_asked() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(1));
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next(None)).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[11] >= LONGEST / 2);
        assert!(backoff.next(Some(Duration::from_secs(5))) >= Duration::from_secs(5));
        assert!(backoff.next(Some(Duration::from_secs(86_400))) < 3 * LONGEST, "a day is not waited for");
        backoff.reset();
        assert!(backoff.next(None) <= FIRST);
    }
}
