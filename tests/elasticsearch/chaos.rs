//! Random faults between the sink and the server for a while: at the end every line is stored exactly once.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::agent::{Agent, Feed};
use crate::fault_proxy::{Canned, Fault, FaultProxy};
use crate::server::{Server, unique};
use crate::{numbered, numbers};

/// How long faults go on.
const TIME: Duration = Duration::from_secs(12);

/// Most lines: a search answers with at most ten thousand.
const MOST: u64 = 8_000;

fn fault(random: &mut fastrand::Rng, late: bool) -> Fault {
    let busy = Canned { headers: &[("retry-after", "0")], ..Canned::new(429, r#"{"error":"busy"}"#) };
    match random.u8(0..40) {
        0 => Fault::HangBefore,
        1 => Fault::HangAfter,
        2 => Fault::CloseBefore,
        3 | 4 => Fault::CloseAfter,
        5 | 6 => Fault::Truncate(random.usize(0..200)),
        7 => Fault::Answer(busy),
        8 => Fault::Answer(Canned::new(503, "")),
        9 => Fault::AnswerAfter(Canned::new(502, "")),
        10 => Fault::AnswerAfter(Canned::new(200, r#"{"errors":false,"items":[]}"#)),
        11 => Fault::Answer(Canned::new(401, "")),
        12 if late => Fault::Delay(Duration::from_millis(1200)),
        13 | 14 => Fault::Delay(Duration::from_millis(random.u64(1..80))),
        _ => Fault::Pass,
    }
}

/// `meanwhile` is done now and then while lines flow.
async fn survives(name: &str, target: &str, options: &str, late: bool, meanwhile: impl AsyncFn(&Server)) {
    let seed = std::env::var("TAILWATER_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{name}: TAILWATER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let server = Server::shared();
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(name, seed);
    let options = format!("endpoints: ['http://{}'], {options}, timeout: 700ms, concurrency: 4", proxy.address());
    let agent = Agent::start(&feed, &format!("{options}, batch: {{ linger: 5ms }}"));
    let mut faults = random.fork();
    proxy.decide(move |_| fault(&mut faults, late));
    let (begun, mut lines, mut next) = (Instant::now(), 0, Instant::now());
    while begun.elapsed() < TIME {
        let more = random.u64(1..60).min(MOST - lines);
        feed.lines(&numbered(lines..lines + more));
        lines += more;
        tokio::time::sleep(Duration::from_millis(random.u64(0..100))).await;
        if Instant::now() >= next && feed.verdicts().batches > 0 {
            meanwhile(server).await;
            next = Instant::now() + Duration::from_secs(2);
        }
    }
    proxy.decide(|_| Fault::Pass);
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.abandoned), (lines, 0), "{verdicts:?}");
    assert_eq!(numbers(server, target).await, (0..lines).collect::<Vec<_>>());
    assert!(agent.metrics().retries.get() > 0, "no fault came");
    assert_eq!(agent.unhealthy(), None);
}

#[tokio::test]
async fn an_index_has_every_line_once_after_random_faults() {
    let index = unique("chaos-index");
    let options = format!("index: {index}, mapping: ecs");
    survives(&index, &index, &options, true, async |_| ()).await;
}

#[tokio::test]
async fn a_stream_that_rolls_over_has_every_line_once_after_random_faults() {
    let dataset = unique("chaos").replace('-', "_");
    let stream = format!("logs-{dataset}-test");
    let options = format!("data_stream: {{ dataset: {dataset}, namespace: test }}, mapping: ecs");
    let roll_over = async |server: &Server| {
        server.must("POST", &format!("/{stream}/_rollover"), Value::Null).await;
    };
    // A request that the server does after the client gave up is left out: no look beforehand sees it.
    survives(&dataset, &stream, &options, false, roll_over).await;
}
