//! The pace at which a job's targets change, and what stays when a discovery fails.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::{advance, timeout};

use super::static_config::{Static, StaticConfig};
use super::*;
use crate::data::LabelSet;
use crate::telemetry::Telemetry;

const SECOND: Duration = Duration::from_secs(1);

type Step = Box<dyn FnOnce(&Publisher) + Send>;

/// A discovery that does what the test says.
struct Told(tokio::sync::Mutex<mpsc::UnboundedReceiver<Step>>);

impl Discover for Told {
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            let mut steps = self.0.lock().await;
            while let Some(step) = shutdown.run_until_cancelled(steps.recv()).await.flatten() {
                step(&found);
            }
        }
        .boxed()
    }
}

struct Teller(mpsc::UnboundedSender<Step>);

impl Teller {
    fn new() -> (Self, Box<dyn Discover>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Box::new(Told(receiver.into())))
    }

    fn tell(&self, step: impl FnOnce(&Publisher) + Send + 'static) {
        assert!(self.0.send(Box::new(step)).is_ok(), "the discovery runs");
    }
}

fn group(source: &str, targets: &[&str]) -> TargetGroup {
    let targets = targets.iter().map(|target| [(ADDRESS, *target)].into_iter().collect()).collect();
    TargetGroup { source: source.into(), targets, labels: LabelSet::new() }
}

fn sources(found: &watch::Receiver<Found>) -> Vec<String> {
    found.borrow().groups.iter().map(|group| group.source.to_string()).collect()
}

/// The addresses of all targets.
pub fn targets(found: &Found) -> Vec<String> {
    found.groups.iter().flat_map(|group| &group.targets).map(|target| target.get(ADDRESS).to_owned()).collect()
}

/// Waits until what is found is as wanted; fails after a minute.
pub async fn until(found: &mut watch::Receiver<Found>, wanted: impl FnMut(&Found) -> bool) {
    let waited = timeout(SECOND * 60, found.wait_for(wanted)).await.map(|found| drop(found.expect("the job runs")));
    assert!(waited.is_ok(), "not within a minute: {:?}", *found.borrow());
}

/// Runs everything that can run now, and no clock.
async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// A running job.
pub type Job = (watch::Receiver<Found>, Arc<ComponentMetrics>, CancellationToken);

/// Starts a job with these discoveries whose targets change at once.
pub fn quick_job(discoveries: Vec<Box<dyn Discover>>) -> Job {
    paced_job(discoveries, Pace { gather: Duration::from_millis(1), between: Duration::from_millis(1) })
}

fn job(discoveries: Vec<Box<dyn Discover>>) -> Job {
    paced_job(discoveries, Pace::default())
}

fn paced_job(discoveries: Vec<Box<dyn Discover>>, pace: Pace) -> Job {
    let metrics = Telemetry::new().component("source", "prometheus_scrape/test");
    let shutdown = CancellationToken::new();
    let named = (0..).zip(discoveries).map(|(index, discovery)| (format!("sd[{index}]"), discovery)).collect();
    (start("job", named, pace, &metrics, &shutdown), metrics, shutdown)
}

#[tokio::test(start_paused = true)]
async fn the_first_report_waits_for_every_discovery_and_then_for_none() {
    let (quick, first) = Teller::new();
    let (slow, second) = Teller::new();
    let (mut found, _, _shutdown) = job(vec![first, second]);
    quick.tell(|found| found.replace([group("a", &["a:1"])]));
    settle().await;
    assert!(!found.has_changed().expect("runs"), "the other has not reported");
    slow.tell(|found| found.replace([group("b", &["b:1"])]));
    settle().await;
    assert!(found.has_changed().expect("runs"));
    assert_eq!(sources(&found), ["a", "b"]);
    assert!(found.borrow_and_update().complete);

    let (quick, first) = Teller::new();
    let (_slow, second) = Teller::new();
    let (found, _, _shutdown) = job(vec![first, second]);
    quick.tell(|found| found.replace([group("a", &["a:1"])]));
    settle().await;
    advance(SECOND * 6).await;
    settle().await;
    assert_eq!(sources(&found), ["a"], "one that never reports holds nobody up");
    assert!(!found.borrow().complete);
}

#[tokio::test(start_paused = true)]
async fn changes_come_promptly_after_a_quiet_time_and_then_once_in_five_seconds() {
    let (teller, discovery) = Teller::new();
    let (mut found, _, _shutdown) = job(vec![discovery]);
    teller.tell(|found| found.replace([group("a", &["a:1"])]));
    settle().await;
    found.borrow_and_update();
    advance(SECOND * 60).await;
    teller.tell(|found| found.set(group("b", &["b:1"])));
    settle().await;
    advance(Duration::from_millis(101)).await;
    settle().await;
    assert!(found.has_changed().expect("runs"));
    assert_eq!(sources(&found), ["a", "b"]);
    found.borrow_and_update();
    for second in 0..4 {
        teller.tell(move |found| found.set(group("c", &[&format!("c:{second}")])));
        advance(SECOND).await;
        settle().await;
        assert!(!found.has_changed().expect("runs"), "after {second} s");
    }
    advance(SECOND).await;
    settle().await;
    assert!(found.has_changed().expect("runs"), "all of them at once");
    assert_eq!(found.borrow_and_update().groups[2].targets[0].get(ADDRESS), "c:3");
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_again_as_it_was_is_no_change() {
    let (teller, discovery) = Teller::new();
    let (mut found, _, _shutdown) = job(vec![discovery]);
    teller.tell(|found| found.replace([group("a", &["a:1"]), group("b", &["b:1"]), group("empty", &[])]));
    settle().await;
    let before = found.borrow_and_update().groups.clone();
    assert_eq!(before.len(), 2, "a group without targets is none");
    teller.tell(|found| {
        found.replace([group("b", &["b:1"]), group("a", &["a:1"])]);
        found.set(group("a", &["a:1"]));
        found.set(group("unknown", &[]));
        found.remove("unknown");
        found.works();
    });
    advance(SECOND * 60).await;
    settle().await;
    assert!(!found.has_changed().expect("runs"));
    teller.tell(|found| found.replace([group("a", &["a:1"])]));
    settle().await;
    advance(SECOND).await;
    settle().await;
    assert_eq!(sources(&found), ["a"]);
    assert!(Arc::ptr_eq(&before[0], &found.borrow().groups[0]), "what did not change is the same");
    teller.tell(|found| found.set(group("a", &[])));
    settle().await;
    advance(SECOND * 6).await;
    settle().await;
    assert!(sources(&found).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_fails_keeps_its_targets_and_is_told() {
    let (teller, discovery) = Teller::new();
    let (found, metrics, _shutdown) = job(vec![discovery]);
    teller.tell(|found| found.replace([group("a", &["a:1"])]));
    settle().await;
    teller.tell(|found| {
        found.failed("no answer");
        found.failed("no answer");
    });
    settle().await;
    advance(SECOND * 6).await;
    settle().await;
    assert_eq!(sources(&found), ["a"]);
    let trouble = Trouble { discovery: "sd[0]".into(), words: "no answer".into() };
    assert_eq!(*found.borrow().troubles, [trouble]);
    assert_eq!(metrics.errors.get(), 2);
    teller.tell(Publisher::works);
    settle().await;
    advance(SECOND * 6).await;
    settle().await;
    assert!(found.borrow().troubles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn discoveries_end_with_the_job_and_with_whoever_watches() {
    let (teller, discovery) = Teller::new();
    let (mut found, _, shutdown) = job(vec![discovery]);
    shutdown.cancel();
    timeout(SECOND, teller.0.closed()).await.expect("the discovery ends");
    assert!(timeout(SECOND, found.changed()).await.expect("no wait").is_err());
    let (teller, discovery) = Teller::new();
    let (found, _, _shutdown) = job(vec![discovery]);
    drop(found);
    timeout(SECOND, teller.0.closed()).await.expect("the discovery ends");
}

#[tokio::test(start_paused = true)]
async fn static_targets_are_there_at_once() {
    let configs: Vec<StaticConfig> = serde_json::from_str(
        r#"[{"targets": ["a:1", "b:2"], "labels": {"env": "prod"}}, {"targets": ["c:3"]}, {"labels": {"x": "y"}}]"#,
    )
    .expect("valid");
    let (mut found, _, _shutdown) = job(vec![Box::new(Static::new(&configs))]);
    timeout(SECOND, found.changed()).await.expect("at once").expect("runs");
    let mut first = group("0", &["a:1", "b:2"]);
    first.labels.set("env", "prod");
    let groups: Vec<TargetGroup> = found.borrow().groups.iter().map(|group| TargetGroup::clone(group)).collect();
    assert_eq!(groups, [first, group("1", &["c:3"])]);
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_panics_is_told_and_started_again() {
    let (teller, told) = Teller::new();
    let (mut found, metrics, _shutdown) = job(vec![told]);
    teller.tell(|found| found.replace([group("a", &["a:1"])]));
    until(&mut found, |found| found.groups.len() == 1).await;
    teller.tell(|_| panic!("an unlucky answer"));
    until(&mut found, |found| found.troubles.first().is_some_and(|it| it.words.contains("an unlucky answer"))).await;
    assert_eq!(sources(&found), ["a"], "what it found stays");
    assert_eq!(metrics.errors.get(), 1);
    teller.tell(|found| {
        found.works();
        found.replace([group("b", &["b:1"])]);
    });
    until(&mut found, |found| found.troubles.is_empty()).await;
    assert_eq!(sources(&found), ["b"]);
}
