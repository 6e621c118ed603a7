//! Requests before edges that are full, hung, or read by nobody who counts; on a virtual clock.

use std::time::Duration;

use super::*;
use crate::data::{MemoryBudget, Signal};
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::pipeline::component::{Transform, TransformFactory};
use crate::pipeline::outlet::Ports;
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::pipeline::testing::batch;
use crate::telemetry::Telemetry;

/// An intake before two edges that hold one message each.
fn two() -> (Intake, [EdgeReceiver; 2], Arc<ComponentMetrics>, Arc<Gate>) {
    let metrics = Telemetry::new().component("source", "otlp/x");
    let edges = [(); 2].map(|()| edge(1, WhenFull::Block, metrics.clone()));
    let [(a, from_a), (b, from_b)] = edges;
    let readers = [a, b].map(|sender| Reader::edge(sender, "in/x"));
    let (gate, outlet) = Gate::open(Chain { readers: readers.into() }, Path::new(), metrics.clone());
    (Intake::new(outlet, metrics.clone()), [from_a, from_b], metrics, gate)
}

fn line(text: &str) -> Vec<Batch> {
    vec![Batch::Logs(batch(&[text]))]
}

fn paid() -> Permit {
    MemoryBudget::new(1 << 20).share(Signal::Logs).try_acquire(1).expect("room")
}

fn until(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn deliver(edge: &mut EdgeReceiver) -> String {
    let message = edge.recv().await.expect("open");
    let Batch::Logs(logs) = &message.batch else { panic!("logs went in") };
    let text = String::from_utf8_lossy(logs.view(0).body()).into_owned();
    message.ack.settle(Outcome::Delivered, 1);
    text
}

#[tokio::test(start_paused = true)]
async fn what_one_destination_has_reaches_the_other_though_its_edge_is_full() {
    let (intake, [mut healthy, mut slow], metrics, _gate) = two();
    let healthy = tokio::spawn(async move { [deliver(&mut healthy).await, deliver(&mut healthy).await] });
    assert_eq!(intake.hand_on(line("first"), paid(), until(5)).await, Became::TAKEN);
    // The edge of the slow one is full now; the agent owns what waits for it.
    assert_eq!(intake.hand_on(line("second"), paid(), until(5)).await, Became::TAKEN);
    assert_eq!(healthy.await.expect("no panic"), ["first", "second"]);
    assert_eq!([deliver(&mut slow).await, deliver(&mut slow).await], ["first", "second"]);
    assert_eq!(metrics.records_lost.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_destination_lets_go_of_is_brought_again_or_counted_as_lost() {
    let (intake, [mut healthy, mut dying], metrics, _gate) = two();
    let early = {
        let intake = intake.clone();
        tokio::spawn(async move { intake.hand_on(line("early"), paid(), until(5)).await })
    };
    deliver(&mut healthy).await;
    drop(dying.recv().await);
    assert_eq!(early.await.expect("no panic"), Became::Later("no destination has taken all of it".into()));
    let late = tokio::spawn(async move { intake.hand_on(line("late"), paid(), until(5)).await });
    deliver(&mut healthy).await;
    let held = dying.recv().await;
    assert_eq!(late.await.expect("no panic"), Became::TAKEN);
    assert_eq!(metrics.records_lost.get(), 0);
    drop(held);
    assert_eq!(metrics.records_lost.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_in_time_is_withdrawn() {
    let (intake, [mut first, _second], ..) = two();
    assert_eq!(intake.hand_on(line("a"), paid(), until(5)).await, Became::late());
    assert_eq!(intake.hand_on(line("b"), paid(), until(5)).await, Became::late());
    let left = first.try_recv().expect("the edge had room for one");
    assert!(left.ack.is_revoked());
    tokio::task::yield_now().await;
    assert!(first.try_recv().is_none(), "what waited for room is gone");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_hung_destination_is_paid_for() {
    let (intake, [mut healthy, _hung], _metrics, _gate) = two();
    tokio::spawn(async move {
        loop {
            deliver(&mut healthy).await;
        }
    });
    let share = MemoryBudget::new(60 << 10).share(Signal::Logs);
    for taken in 0.. {
        assert!(taken < 60, "{taken} requests hold more than there is");
        let Ok(permit) = timeout_at(until(6), share.acquire(1024)).await else { break };
        assert_eq!(intake.hand_on(line("x"), permit, until(5)).await, Became::TAKEN);
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_does_not_answer_for_the_rest() {
    let (intake, [mut first, _second], ..) = two();
    let request = vec![Batch::Logs(batch(&["sent", "unsent"]))];
    let asked = tokio::spawn(async move { intake.hand_on(request, paid(), until(5)).await });
    let message = first.recv().await.expect("open");
    message.ack.count(Outcome::Delivered, 1);
    assert_eq!(asked.await.expect("no panic"), Became::late());
    assert!(message.ack.is_revoked());
    message.ack.done();
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_on_the_way_on_which_it_began() {
    let (intake, [mut a, mut b], _metrics, gate) = two();
    let request = [line("1"), line("2"), line("3")].concat();
    let asked = tokio::spawn(async move { intake.hand_on(request, paid(), until(60)).await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    gate.close();
    for expected in ["1", "2", "3"] {
        assert_eq!([deliver(&mut a).await, deliver(&mut b).await], [expected, expected]);
    }
    assert_eq!(asked.await.expect("no panic"), Became::TAKEN);
}

/// A transform that counts its instances.
struct Counted(std::sync::atomic::AtomicUsize);

struct Passing;

impl Transform for Passing {
    fn process(&mut self, message: Message, out: &mut Ports<'_>) {
        out.push(0, message);
    }
}

impl TransformFactory for Counted {
    fn worker(&self) -> Box<dyn Transform> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(Passing)
    }
}

#[tokio::test(start_paused = true)]
async fn requests_one_after_the_other_share_what_transforms_know() {
    let metrics = Telemetry::new().component("source", "otlp/x");
    let (sender, mut receiver) = edge(1 << 20, WhenFull::Block, metrics.clone());
    let factory = Arc::new(Counted(Default::default()));
    let outputs = vec![Chain { readers: vec![Reader::edge(sender, "in/x")] }];
    let fused = Reader::Fused { factory: factory.clone(), metrics: metrics.clone(), outputs };
    let (_gate, outlet) = Gate::open(Chain { readers: vec![fused] }, Path::new(), metrics.clone());
    let intake = Intake::new(outlet, metrics);
    for text in ["a", "b", "c"] {
        let (became, _) = tokio::join!(intake.hand_on(line(text), paid(), until(5)), deliver(&mut receiver));
        assert_eq!(became, Became::TAKEN);
    }
    assert_eq!(factory.0.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn who_looks_on_answers_for_nobody() {
    let metrics = Telemetry::new().component("source", "otlp/x");
    let edges = [(); 2].map(|()| edge(1, WhenFull::Block, metrics.clone()));
    let [(a, mut destination), (b, mut console)] = edges;
    let looking = Reader::Edge { sender: b, input: "in/x".into(), is_destination: false };
    let readers = vec![Reader::edge(a, "in/x"), looking];
    let (_gate, outlet) = Gate::open(Chain { readers }, Path::new(), metrics.clone());
    let intake = Intake::new(outlet, metrics);
    let refuse = async {
        let message = destination.recv().await.expect("open");
        message.ack.refuse(Outcome::Refused, 1, "bad");
        message.ack.done();
    };
    let (became, ..) = tokio::join!(intake.hand_on(line("x"), paid(), until(5)), refuse, deliver(&mut console));
    assert_eq!(became, Became::Taken { refused: 1, reason: "bad".into() });
    let (became, _) = tokio::join!(intake.hand_on(line("x"), paid(), until(5)), deliver(&mut console));
    assert_eq!(became, Became::late());
}

#[test]
fn refusals_count_where_no_destination_has_the_record() {
    let (sender, verdicts) = std::sync::mpsc::channel();
    struct Told(std::sync::mpsc::Sender<Verdict>);
    impl Settle for Told {
        fn settled(&self, _: u64, verdict: Verdict) {
            self.0.send(verdict).expect("read");
        }
    }
    let told = Arc::new(Told(sender));
    let verdict = |counts: &[(Outcome, u64)]| {
        let ack = Ack::new(told.clone(), 0, Path::new(), false);
        for &(outcome, records) in counts {
            ack.refuse(outcome, records, "bad");
        }
        ack.done();
        verdicts.recv().expect("told")
    };
    use Outcome::{DeadLettered, Delivered, Dropped, Filtered, Refused};
    let refused = |refused| Became::Taken { refused, reason: "bad".into() };
    for (counts, expected) in [
        (&[(Delivered, 10)][..], Became::TAKEN),
        (&[(Filtered, 10)], Became::TAKEN),
        (&[(Refused, 10)], refused(10)),
        (&[(Delivered, 7), (Refused, 3)], refused(3)),
        (&[(Delivered, 5), (Filtered, 2), (DeadLettered, 3)], refused(3)),
        (&[(Delivered, 10), (Refused, 10)], Became::TAKEN),
        (&[(Dropped, 10)], Became::Later("no destination has taken all of it".into())),
        (&[(Dropped, 10), (Delivered, 10)], Became::TAKEN),
    ] {
        assert_eq!(Became::of(&verdict(counts), 10), expected, "{counts:?}");
    }
}
