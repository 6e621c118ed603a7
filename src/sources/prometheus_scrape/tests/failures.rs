//! Failures of the agent's own: they are told, they end no target, and nothing is blamed on it.

use super::*;
use crate::telemetry::targets::TargetState;

impl Running {
    /// Waits until the one target is as it should be.
    async fn until_target(&self, right: impl Fn(&TargetState) -> bool) {
        let state = || self.metrics.targets.pools().remove("shop").map(|pool| pool.active[0].state().clone());
        let waiting = async {
            while !state().is_some_and(|state| right(&state)) {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, waiting).await.is_ok(), "it stays {:?}", state());
    }
}

#[tokio::test]
async fn a_loop_that_panics_is_told_and_started_again() {
    let Scraped { running, .. } = scraped("a 1\n").await;
    running.set.store(UNLUCKY, Ordering::Relaxed);
    let down =
        |state: &TargetState| state.health == TargetHealth::Down && state.last_error.contains("an unlucky clock");
    running.until_target(down).await;
    assert_eq!(running.metrics.errors.get(), 1);
    running.until_target(|state| state.health == TargetHealth::Up && state.last_error.is_empty()).await;
}
