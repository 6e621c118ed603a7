//! Faults on the way: whatever happens to a request or its answer, every line is stored exactly once.

use std::time::Duration;

use crate::agent::{Agent, Feed};
use crate::fault_proxy::{Canned, Fault, FaultProxy};
use crate::server::{Nobody, Server, unique, until};
use crate::{numbered, numbers};

/// Two batches of fifty lines meet these faults, one a bulk request; all of them are stored once.
async fn survives(name: &str, faults: impl IntoIterator<Item = Fault>) -> (Agent, FaultProxy) {
    let server = Server::shared();
    let index = unique(name);
    let proxy = FaultProxy::start(server.address()).await;
    proxy.bulks(faults);
    let feed = Feed::new(&index, 1);
    let options = format!(
        "endpoints: ['http://{}'], index: {index}, mapping: ecs, timeout: 1s, concurrency: 1, batch: {{ linger: 10ms }}",
        proxy.address()
    );
    let agent = Agent::start(&feed, &options);
    feed.lines(&numbered(0..50));
    feed.lines(&numbered(50..100));
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.abandoned), (100, 0), "{verdicts:?}");
    assert_eq!(numbers(server, &index).await, (0..100).collect::<Vec<_>>());
    assert_eq!(agent.unhealthy(), None);
    assert_eq!(agent.metrics().records_out.get(), 100);
    (agent, proxy)
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_sent_again() {
    let (agent, proxy) = survives("hang-before", [Fault::HangBefore]).await;
    assert!(agent.metrics().retries.get() >= 1);
    assert!(proxy.seen_bulks().len() >= 2);
    assert_eq!(proxy.seen_bulks()[0].answered, None);
}

#[tokio::test]
async fn a_request_whose_answer_never_comes_is_stored_once() {
    survives("hang-after", [Fault::HangAfter]).await;
}

#[tokio::test]
async fn a_request_that_arrives_after_the_client_gave_up_is_stored_once() {
    let (_agent, proxy) = survives("late", [Fault::Delay(Duration::from_millis(1500))]).await;
    let late = proxy.seen_bulks();
    assert!(late.len() >= 2);
}

#[tokio::test]
async fn closed_connections_lose_and_double_nothing() {
    survives("closed", [Fault::CloseBefore, Fault::CloseAfter, Fault::CloseAfter]).await;
}

#[tokio::test]
async fn a_truncated_answer_is_an_unknown_outcome() {
    survives("truncated", [Fault::Truncate(0), Fault::Truncate(40)]).await;
}

#[tokio::test]
async fn too_few_items_or_no_answer_of_a_bulk_request_are_unknown_outcomes() {
    fn without_the_last(body: Vec<u8>) -> Vec<u8> {
        let mut answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        answer["items"].as_array_mut().expect("items").pop();
        answer.to_string().into_bytes()
    }
    let nonsense = Canned::new(200, "<html>a proxy's page</html>");
    let empty = Canned::new(200, r#"{"errors":false,"items":[]}"#);
    let faults = [Fault::Rewrite(without_the_last), Fault::AnswerAfter(nonsense), Fault::AnswerAfter(empty)];
    let (agent, _proxy) = survives("few", faults).await;
    assert!(agent.metrics().retries.get() >= 3);
}

#[tokio::test]
async fn a_server_error_after_it_stored_everything_doubles_nothing() {
    let gateway = |status| Fault::AnswerAfter(Canned::new(status, ""));
    survives("gateway", [gateway(500), gateway(502), gateway(504)]).await;
}

#[tokio::test]
async fn retry_after_is_honoured() {
    for status in [429, 503] {
        let busy = Canned { headers: &[("retry-after", "1")], ..Canned::new(status, r#"{"error":"busy"}"#) };
        let begun = tokio::time::Instant::now();
        let (agent, proxy) = survives("busy", [Fault::Answer(busy)]).await;
        assert!(begun.elapsed() >= Duration::from_secs(1));
        assert_eq!(proxy.seen_bulks()[0].answered, Some(status));
        assert!(agent.metrics().retries.get() >= 1);
    }
}

#[tokio::test]
async fn no_server_at_start_is_waited_for() {
    let server = Server::shared();
    let (index, nobody) = (unique("late-server"), Nobody::new());
    let proxy = FaultProxy::start(nobody.address).await;
    let feed = Feed::new(&index, 1);
    let options = format!("endpoints: ['http://{}'], index: {index}, mapping: ecs", proxy.address());
    let agent = Agent::start(&feed, &options);
    feed.lines(&numbered(0..10));
    agent.complains("elasticsearch at http://127.0.0.1").await;
    assert_eq!(feed.verdicts().batches, 0);
    proxy.set_upstream(server.address());
    assert_eq!(feed.settled().await.delivered, 10);
    assert_eq!(numbers(server, &index).await, (0..10).collect::<Vec<_>>());
    assert_eq!(agent.unhealthy(), None);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_left_alone() {
    let server = Server::shared();
    let (index, nobody) = (unique("failover"), Nobody::new());
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(&index, 1);
    let options = format!(
        "endpoints: ['http://{}', 'http://{}'], index: {index}, mapping: ecs, batch: {{ linger: 1ms }}, concurrency: 1",
        nobody.address,
        proxy.address()
    );
    let agent = Agent::start(&feed, &options);
    for batch in 0..20 {
        feed.lines(&numbered(batch * 5..batch * 5 + 5));
        feed.settled().await;
    }
    assert_eq!(numbers(server, &index).await, (0..100).collect::<Vec<_>>());
    assert!(agent.metrics().retries.get() < 10, "{}", agent.metrics().retries.get());
}

#[tokio::test]
async fn a_hung_server_is_sent_no_more_than_is_allowed_in_flight() {
    let server = Server::shared();
    let index = unique("in-flight");
    let proxy = FaultProxy::start(server.address()).await;
    proxy.all_bulks(Fault::HangBefore);
    let feed = Feed::new(&index, 1);
    let options = format!(
        "endpoints: ['http://{}'], index: {index}, mapping: ecs, timeout: 3s, concurrency: 2, \
         batch: {{ linger: 0s, max_bytes: 64KiB }}, buffer: {{ memory: 256KiB }}",
        proxy.address()
    );
    let agent = Agent::start(&feed, &options);
    let line = |n| format!(r#"{{"n":{n},"p":"{}"}}"#, "x".repeat(8_000));
    for batch in 0..40 {
        feed.lines(&(batch * 8..batch * 8 + 8).map(line).collect::<Vec<_>>());
    }
    // Two bodies are on their way, one parcel is gathered, the edge is full, and the source waits.
    let metrics = agent.metrics();
    until("the edge is full", async || metrics.queue_bytes.get() > 192 << 10).await;
    proxy.saw(|seen| seen.iter().filter(|seen| seen.is_bulk()).count() >= 2).await;
    assert_eq!(proxy.seen_bulks().len(), 2);
    assert!(metrics.queue_bytes.get() <= 256 << 10);
    proxy.decide(|_| Fault::Pass);
    assert_eq!(feed.settled().await.delivered, 320);
    assert_eq!(numbers(server, &index).await, (0..320).collect::<Vec<_>>());
}
