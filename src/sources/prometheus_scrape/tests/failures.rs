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

#[tokio::test]
async fn a_shortage_of_memory_is_not_the_targets_fault() {
    let exposed = Exposed::default();
    exposed.set(200, "a 1\n");
    let address = exposed.serve().await;
    let mut running =
        Running::start(serde_json::json!({ "job_name": "shop", "scrape_interval": "1s", "scrape_timeout": "1s" }));
    running.find(&[&address]);
    running.until(|seen| last(seen, "up") == Some(1.0)).await;
    let taking = async {
        loop {
            // Whoever is the first may take more than there is.
            match running.memory.scrapes().try_acquire(1 << 30) {
                Some(all) => break all,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let all = timeout(PATIENCE, taking).await.expect("no scrape holds its body for long");
    running.until_target(|state| state.last_error.contains("no memory for the body")).await;
    running.until_target(|state| state.health == TargetHealth::Up).await;
    assert!(running.metrics.errors.get() >= 1);
    drop(all);
    running.until_target(|state| state.last_error.is_empty()).await;
    let seen = running.until(|seen| seen.contains_key("a") && seen.contains_key("up")).await;
    assert!(seen["a"].iter().all(|(_, value)| *value == 1.0), "no series ends: {seen:?}");
    assert!(seen["up"].iter().all(|(_, value)| *value == 1.0), "it was never down: {seen:?}");
}

#[tokio::test]
async fn batches_that_wait_for_a_worker_that_has_ended_are_lost_and_counted() {
    let metrics = Telemetry::new().component("source", "prometheus_scrape/test");
    let (sender, _input) = edge(1 << 20, WhenFull::Block, metrics.clone());
    let chain = Chain { readers: vec![Reader::edge(sender, "prometheus_scrape/test")] };
    let (gate, outlet) = Gate::open(chain, Path::new(), metrics.clone());
    gate.close();
    let budget = MemoryBudget::new(64 << 20).share(Signal::Metrics);
    let (outputs, mut workers) = output::start(&outlet, 1, &budget, &metrics);
    let table = SeriesTable::new(10);
    let batch = || {
        let mut list = crate::data::series_table::ListBuilder::default();
        list.labels(&[("__name__", "a")].into_iter().collect(), Default::default());
        let mut builder = crate::data::MetricBuilder::new();
        builder.samples().values.push(1.0);
        builder.build(Arc::default(), table.list(&list).list)
    };
    for _ in 0..3 {
        outputs[0].send(batch());
    }
    workers[0].abort();
    assert!(workers.remove(0).await.is_err(), "it ends while it waits");
    assert_eq!((metrics.records_lost.get(), metrics.records_dropped.get()), (3, 0));
    outputs[0].send(batch());
    assert_eq!((metrics.records_lost.get(), metrics.records_dropped.get()), (4, 0), "not for want of memory");
    assert_eq!(budget.used(), 0);
}
