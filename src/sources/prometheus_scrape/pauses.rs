//! How long to wait before what has panicked is started again: longer each time, as it is with components.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// After so much time without a failure the next one counts as the first.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// The pauses of one part of the source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    pause: Duration,
    failed: Option<Instant>,
}

impl Pauses {
    /// It has failed now; returns how long to wait.
    pub fn after_failure(&mut self) -> Duration {
        if self.failed.is_some_and(|failed| failed.elapsed() > FORGIVEN_AFTER + self.pause) {
            self.pause = Duration::ZERO;
        }
        self.failed = Some(Instant::now());
        self.pause = (self.pause * 2).clamp(PAUSES.0, PAUSES.1);
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_a_minute_and_a_good_time_is_rewarded() {
        let mut pauses = Pauses::default();
        let seconds: Vec<u64> = (0..8).map(|_| pauses.after_failure().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        tokio::time::advance(Duration::from_secs(121)).await;
        assert_eq!(pauses.after_failure().as_secs(), 1);
    }
}
