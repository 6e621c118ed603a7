//! The loop of the rules on virtual time, beside which no clock is asked: it passes where a test says so, and every evaluation is
//! done before it goes on.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::super::reader::Reader;
use super::under_way::told;
use super::waiting::Waiting;
use super::*;
use crate::alerting::dead_mans_switch::{DeadMansSwitch, Pulses, Verdict};
use crate::alerting::dispatch::Limits as DispatchLimits;
use crate::alerting::outbox::OutboxOptions;
use crate::alerting::paging::{Disk, Door, Paging};
use crate::alerting::route::RoutingOptions;
use crate::alerting::rule_file::{Reading, RuleFile};
use crate::alerting::running::Opening;
use crate::alerting::{Clock, GroupStatus, Moment, Row, Store, Wanted};
use crate::data::labels::Labels;
use crate::data::{SeriesTable, UnixNanos};
use crate::delivery::Path as Way;
use crate::delivery::simulated_disk::SimulatedDisk;
use crate::pipeline::outlet::{Chain, Gate};
use crate::promql::{EvalError, Evaluation, Limits, Query, Stop};
use crate::series::{Columns, Refusal, Samples, Select, SelectError, SeriesExemplars, StoreOptions};

const SECOND: Duration = Duration::from_secs(1);

/// 2026-11-23T00:00:00Z.
const START: UnixNanos = UnixNanos(1_795_392_000_000_000_000);

/// The clocks of the rules, by the runtime's.
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Moment {
        let running = self.0.elapsed();
        Moment { wall: UnixNanos(START.0 + running.as_nanos() as u64), running }
    }
}

/// The agent's store, on which queries of `slow` take until somebody lets them go.
struct SlowStore {
    store: Arc<Reader>,
    /// Whether the query has its deadline behind it.
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl SlowStore {
    /// What takes long ends with its deadline, from now on.
    fn end(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// As a query does it, this looks now and then whether it is over.
    fn hang(&self, stop: &Stop) -> EvalError {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_over && !stop.is_stopped() {
            let waited = self.changed.wait_timeout(is_over, Duration::from_millis(1));
            is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if *is_over { EvalError::Timeout } else { EvalError::Stopped }
    }
}

impl Samples for SlowStore {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        self.store.select(what, visit)
    }
}

impl Store for SlowStore {
    fn evaluate(&self, query: &Query, at: UnixMillis, limits: &Limits) -> Result<Evaluation, EvalError> {
        if query.text().contains("slow") {
            return Err(self.hang(limits.stop.as_ref().expect("who evaluates rules can stop them")));
        }
        self.store.evaluate(query, at, limits)
    }

    fn append(&self, time: UnixMillis, rows: &[Row], now: UnixMillis) -> Vec<(Refusal, u64)> {
        self.store.append(time, rows, now)
    }

    fn exemplars(&self, wanted: Wanted<'_>, from: i64, until: i64, limit: usize) -> Vec<SeriesExemplars> {
        self.store.exemplars(wanted, from, until, limit)
    }
}

struct Bench {
    running: Arc<Running>,
    store: Arc<SlowStore>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
}

impl Bench {
    fn new(rules: &str) -> Self {
        let telemetry = Arc::new(Telemetry::new());
        let (options, clock) = (StoreOptions::default(), Box::new(VirtualClock(Instant::now())));
        let running = Running::with_clock(&options, &SeriesTable::new(1000), Arc::default(), &telemetry, clock);
        let running = Arc::new(running.expect("registers once"));
        let file = RuleFile::parse(Path::new("r.yml"), rules, Reading::default()).expect("a rule file");
        running.rules().load(Settings::default(), &[file], running.clock().now());
        let store = Arc::new(Reader::new(running.store().clone(), None, 3600 * SECOND));
        let store = Arc::new(SlowStore { store, is_over: Mutex::default(), changed: Condvar::new() });
        Self { running, store, telemetry, stop: CancellationToken::new() }
    }

    fn start(&self, pulses: Option<Pulses>, door: Option<Waiting>) -> JoinHandle<Option<Opening>> {
        let metrics = self.telemetry.component("transform", "alerting");
        let (_, outlet) = Gate::open(Chain { readers: Vec::new() }, Way::new(), metrics.clone());
        let under_way = UnderWay::new(self.running.clone(), self.store.clone(), self.store.store.clone(), 2);
        let evaluating = Evaluating {
            running: self.running.clone(),
            under_way,
            outlet,
            metrics,
            pulses: pulses.map(Arc::new),
            door,
            looked: None,
            is_unwell: true,
            stop: self.stop.clone(),
        };
        tokio::spawn(evaluating.run())
    }

    fn group(&self, name: &str) -> GroupStatus {
        self.running.groups().into_iter().find(|group| &*group.name == name).expect("the group")
    }

    /// Lets a second pass, and waits until all that was due then is done, but for the group that hangs.
    async fn second(&self, hangs: Option<&str>) {
        advance(SECOND).await;
        let is_done = || {
            let now = self.running.clock().now().running;
            let due = self.running.rules().due();
            due.iter().all(|(_, name, due)| hangs == Some(&**name) || due.is_some_and(|due| due > now))
        };
        until(is_done).await;
    }

    fn door(&self, disk: &SimulatedDisk) -> Door {
        let options: RoutingOptions = serde_json::from_str(r#"{ "route": { "receiver": "r" } }"#).expect("its shape");
        let routing = Arc::new(options.read(&["r"], Duration::from_secs(300)).expect("a tree"));
        let paging = Paging { routing, limits: DispatchLimits::default(), outbox: OutboxOptions::default().settings() };
        let disk = Disk { files: Arc::new(disk.clone()), folder: "/alerting".into() };
        Door::new(paging, [("r".into(), Vec::new())].into(), disk, self.telemetry.clone())
    }
}

/// Lets everything else run until something holds. That takes no virtual time; a minute of real time is a failure.
async fn until(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not come to pass");
        tokio::task::yield_now().await;
        std::thread::yield_now();
    }
}

const SLOW: &str = r#"
groups:
  - name: slow
    interval: 60s
    rules:
      - { record: before, expr: "vector(1)" }
      - { record: between, expr: "slow" }
      - { record: behind, expr: "vector(1)" }
  - name: quick
    interval: 5s
    rules: [ { alert: Fires, expr: "vector(1)", for: 10s } ]
"#;

fn pulses(switch: &DeadMansSwitch) -> Pulses {
    let group = |name: &str, seconds| ("r.yml".to_owned(), name.to_owned(), SECOND * seconds);
    Pulses::new(switch, &[group("slow", 60), group("quick", 5)], 60 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn a_query_that_takes_its_time_delays_no_other_group_and_the_dead_mans_switch_goes_on() {
    let (bench, switch) = (Bench::new(SLOW), DeadMansSwitch::new(60 * SECOND, 3));
    let running = bench.start(Some(pulses(&switch)), None);
    while bench.group("slow").rules.iter().all(|rule| rule.health() == "unknown") {
        bench.second(Some("slow")).await;
    }
    assert_eq!(bench.group("slow").evaluations, 1, "it hangs behind its first rule, which can be seen");
    let before = bench.group("quick");
    for _ in 0..60 {
        bench.second(Some("slow")).await;
        assert_eq!(switch.verdict(Instant::now()), Verdict::Alive);
        let [alert] = &bench.running.alerts()[..] else { continue };
        // It is evaluated within the second in which it is to be.
        let age = (bench.running.clock().now().wall.0 - alert.active_at.0.expect("it is active").0) / 1_000_000_000;
        assert_eq!(alert.state, if age < 10 { "pending" } else { "firing" }, "after {age} seconds");
    }
    let after = bench.group("quick");
    assert_eq!((after.evaluations - before.evaluations, after.missed), (12, 0));
    assert_eq!(bench.running.alerts()[0].state, "firing");
    // Its time is over: what it did not come to is counted, and what is behind it is evaluated.
    bench.store.end();
    until(|| bench.group("slow").evaluations >= 3).await;
    bench.second(None).await;
    let slow = bench.group("slow");
    assert_eq!(slow.rules.iter().map(|rule| rule.health()).collect::<Vec<_>>(), ["ok", "err", "ok"]);
    assert_eq!((slow.missed, slow.iterations), (0, 2));
    bench.stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_a_reload_is_stopped_and_due_once_more() {
    let bench = Bench::new(SLOW);
    let running = bench.start(None, None);
    while bench.group("slow").evaluations == 0 {
        bench.second(Some("slow")).await;
    }
    let at = bench.group("slow").last_evaluation;
    bench.stop.cancel();
    // It has a moment to end by itself, which passes here.
    for _ in 0..10_000 {
        if running.is_finished() {
            break;
        }
        advance(SECOND).await;
        std::thread::sleep(Duration::from_millis(1));
    }
    running.await.expect("it ends");
    let stopped = bench.group("slow");
    assert_eq!(stopped.rules.iter().map(|rule| rule.health()).collect::<Vec<_>>(), ["ok", "unknown", "unknown"]);
    // The next one goes on with it, at the same time, from the rule on at which it was stopped.
    let bench = Bench { stop: CancellationToken::new(), ..bench };
    bench.store.end();
    let running = bench.start(None, None);
    until(|| bench.group("slow").evaluations >= 3).await;
    bench.second(None).await;
    let slow = bench.group("slow");
    assert_eq!((slow.evaluations, slow.iterations, slow.missed), (3, 1, 0));
    assert_ne!(slow.last_evaluation, at);
    bench.stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_evaluation_panics_is_named_in_health() {
    let bench = Bench::new(OFTEN);
    let evaluating = tokio::task::spawn_blocking(|| panic!("a bug"));
    assert!(told(bench.running.clone(), Some(("r.yml".into(), "often".into())), evaluating).await.is_none());
    let trouble = bench.running.rules().trouble().expect("it is told");
    assert!(trouble.contains("the group `often` of r.yml"), "{trouble}");
    let running = bench.start(None, None);
    bench.second(None).await;
    assert_eq!(bench.running.rules().trouble(), None, "it was evaluated");
    bench.stop.cancel();
    running.await.expect("it ends");
}

const OFTEN: &str = r#"groups: [ { name: often, interval: 20ms, rules: [ { record: r, expr: "vector(1)" } ] } ]"#;

#[tokio::test(start_paused = true)]
async fn a_group_that_is_due_whenever_somebody_looks_reports_all_the_same() {
    let (bench, switch) = (Bench::new(OFTEN), DeadMansSwitch::new(60 * SECOND, 1));
    let every = Duration::from_millis(20);
    let pulses = Pulses::new(&switch, &[("r.yml".into(), "often".into(), every)], every);
    let running = bench.start(Some(pulses), None);
    for _ in 0..5 {
        bench.second(None).await;
        assert_eq!(switch.verdict(Instant::now()), Verdict::Alive);
    }
    bench.stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test(start_paused = true)]
async fn rules_wait_for_no_disk_and_one_attempt_at_a_time_opens_the_journals() {
    let (bench, disk) = (Bench::new(OFTEN), SimulatedDisk::default());
    disk.stall_syncs(true);
    let waiting = |door| Waiting {
        door: Arc::new(door),
        why: "it failed".into(),
        again: Instant::now(),
        opening: None,
        is_earlier: false,
    };
    let running = bench.start(None, Some(waiting(bench.door(&disk))));
    for _ in 0..3 {
        bench.second(None).await;
    }
    assert!(bench.group("often").evaluations >= 3);
    bench.stop.cancel();
    let opening = running.await.expect("it ends").expect("the attempt is under way");
    assert!(!opening.is_finished());
    // Another configuration.
    let bench = Bench { stop: CancellationToken::new(), ..bench };
    let running = bench.start(None, Some(Waiting::for_one(bench.door(&disk), opening)));
    bench.second(None).await;
    assert!(bench.running.dispatch().is_none());
    disk.stall_syncs(false);
    until(|| bench.running.dispatch().is_some()).await;
    bench.stop.cancel();
    assert!(running.await.expect("it ends").is_none());
    bench.running.finish().await;
}
