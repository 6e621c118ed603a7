//! The loop of the rules as it runs. Rules have the clock of the machine, so that no test here says how long anything takes.

use super::*;
use crate::alerting::dead_mans_switch::{DeadMansSwitch, Verdict};
use crate::alerting::outbox::OutboxOptions;
use crate::alerting::route::RoutingOptions;
use crate::alerting::rule_file::Reading;
use crate::data::SeriesTable;
use crate::delivery::Path as Way;
use crate::delivery::simulated_disk::SimulatedDisk;
use crate::pipeline::outlet::{Chain, Gate};
use crate::series::StoreOptions;

/// How often the one group is evaluated.
const EVERY: Duration = Duration::from_millis(20);

const RULES: &str = r#"groups: [ { name: often, interval: 20ms, rules: [ { record: r, expr: "vector(1)" } ] } ]"#;

struct Bench {
    running: Arc<Running>,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let telemetry = Arc::new(Telemetry::new());
        let running = Running::new(&StoreOptions::default(), &SeriesTable::new(1000), Arc::default(), &telemetry);
        let running = Arc::new(running.expect("registers once"));
        let file = RuleFile::parse(Path::new("r.yml"), RULES, Reading::default()).expect("a rule file");
        running.rules().load(Settings::default(), &[file], running.clock().now());
        Self { running, telemetry, stop: CancellationToken::new() }
    }

    fn start(&self, pulses: Option<Pulses>, door: Option<Waiting>) -> tokio::task::JoinHandle<Option<Opening>> {
        let metrics = self.telemetry.component("transform", "alerting");
        let (_, outlet) = Gate::open(Chain { readers: Vec::new() }, Way::new(), metrics.clone());
        let evaluating = Evaluating {
            running: self.running.clone(),
            reader: Arc::new(Reader::new(self.running.store().clone(), None, Duration::from_secs(3600))),
            outlet,
            metrics,
            pulses: pulses.map(Arc::new),
            door,
            looked: None,
            is_unwell: true,
            trouble: None,
            stop: self.stop.clone(),
        };
        tokio::spawn(evaluating.run())
    }

    fn evaluations(&self) -> u64 {
        self.running.groups()[0].evaluations
    }

    /// Waits for so many evaluations more.
    async fn evaluations_more(&self, count: u64) {
        let before = self.evaluations();
        until(|| self.evaluations() >= before + count).await;
    }

    fn door(&self, disk: &SimulatedDisk) -> Door {
        let options: RoutingOptions = serde_json::from_str(r#"{ "route": { "receiver": "r" } }"#).expect("its shape");
        let routing = Arc::new(options.read(&["r"], Duration::from_secs(300)).expect("a tree"));
        let paging = Paging { routing, limits: DispatchLimits::default(), outbox: OutboxOptions::default().settings() };
        let disk = Disk { files: Arc::new(disk.clone()), folder: "/alerting".into() };
        Door::new(paging, [("r".into(), Vec::new())].into(), disk, self.telemetry.clone())
    }
}

async fn until(holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), held).await.expect("it comes to pass");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_due_whenever_somebody_looks_reports_all_the_same() {
    let (bench, switch) = (Bench::new(), DeadMansSwitch::new(Duration::from_secs(60), 1));
    let pulses = Pulses::new(&switch, &[("r.yml".into(), "often".into(), EVERY)], EVERY);
    let running = bench.start(Some(pulses), None);
    bench.evaluations_more(1).await;
    let begun = Instant::now();
    // Of an evaluation before the last one it was reported by now.
    bench.evaluations_more(3).await;
    assert_eq!(switch.verdict(begun + EVERY), Verdict::Alive);
    bench.stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_wait_for_no_disk_and_one_attempt_at_a_time_opens_the_journals() {
    let (mut bench, disk) = (Bench::new(), SimulatedDisk::default());
    disk.stall_syncs(true);
    let waiting = |door| Waiting {
        door: Arc::new(door),
        why: "it failed".into(),
        again: Instant::now(),
        opening: None,
        is_earlier: false,
    };
    let running = bench.start(None, Some(waiting(bench.door(&disk))));
    bench.evaluations_more(3).await;
    bench.stop.cancel();
    let opening = running.await.expect("it ends").expect("the attempt is under way");
    assert!(!opening.is_finished());
    // Another configuration.
    bench.stop = CancellationToken::new();
    let running = bench.start(None, Some(Waiting::for_one(bench.door(&disk), opening)));
    bench.evaluations_more(3).await;
    assert!(bench.running.dispatch().is_none());
    disk.stall_syncs(false);
    until(|| bench.running.dispatch().is_some()).await;
    bench.stop.cancel();
    assert!(running.await.expect("it ends").is_none());
    bench.running.finish().await;
}
