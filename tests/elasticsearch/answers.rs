//! What the real server answers: single documents refused, single documents turned away for the moment,
//! blocks, limits.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tailwater::formats::elasticsearch::BulkAnswer;
use tailwater::formats::elasticsearch::answer::FILTER_PATH;

use crate::agent::{Agent, Feed};
use crate::fault_proxy::{Canned, Fault, FaultProxy};
use crate::http::{self, Message};
use crate::server::{Server, unique};
use crate::{numbered, numbers};

fn options(address: std::net::SocketAddr, index: &str, more: &str) -> String {
    format!("endpoints: ['http://{address}'], index: {index}, mapping: ecs, batch: {{ linger: 10ms }}{more}")
}

#[tokio::test]
async fn the_usual_answer_is_recognised_without_parsing() {
    let server = Server::shared();
    let request = Message {
        first_line: format!("POST /{}/_bulk?filter_path={FILTER_PATH} HTTP/1.1", unique("usual")),
        headers: [("content-type".to_owned(), "application/x-ndjson".to_owned())].into(),
        body: b"{\"create\":{}}\n{\"a\":1}\n{\"create\":{\"_id\":\"x\"}}\n{\"a\":2}\n".to_vec(),
    };
    let answer = http::exchange(server.address(), request.clone()).await.expect("answers");
    assert_eq!(BulkAnswer::parse(&answer.body).expect("a bulk answer"), BulkAnswer::AllDone(2));
    let again = http::exchange(server.address(), request).await.expect("answers");
    assert!(
        matches!(BulkAnswer::parse(&again.body).expect("a bulk answer"), BulkAnswer::Items(items) if items.len() == 2)
    );
}

#[tokio::test]
async fn a_document_whose_fields_do_not_fit_is_stored_as_text() {
    let server = Server::shared();
    let index = unique("conflicts");
    let mappings = json!({ "mappings": { "properties": { "v": { "type": "long" }, "o": { "type": "object" } } } });
    server.must("PUT", &format!("/{index}"), mappings).await;
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(server.address(), &index, ", template: off"));
    let deep = format!(r#"{{"n":9,"d":{}1{}}}"#, r#"{"d":"#.repeat(10_000), "}".repeat(10_000));
    let odd = [
        r#"{"n":1,"v":"x"}"#,
        r#"{"n":2,"v":01}"#,
        r#"{"n":3,"v":1,"v":2}"#,
        r#"{"n":4,"v":1e999}"#,
        r#"{"n":5,"v":-}"#,
        r#"{"n":6,"o":"text"}"#,
        r#"{"n":7,"v":{"a":1}}"#,
        r#"{"n":8,"o.v":1,"o":{"v":{"x":1}}}"#,
        &deep,
    ];
    let good = [r#"{"n":20,"v":1}"#, r#"{"n":21,"o":{"k":1}}"#, "plain text"];
    feed.lines(&[&good[..2], &odd[..], &good[2..]].concat());
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.dead_lettered, verdicts.refused), (12, 0, 0), "{verdicts:?}");
    let documents = server.documents(&index).await;
    assert_eq!(documents.len(), 12);
    let texts: BTreeSet<&str> = documents.iter().filter_map(|(_, source)| source["message"].as_str()).collect();
    let expected: BTreeSet<&str> = odd.iter().copied().chain(["plain text"]).collect();
    assert_eq!(texts, expected);
    assert!(documents.iter().all(|(_, source)| source["kubernetes"]["pod"]["name"] == "web-1"));
    assert!(agent.dead_letter().is_empty());
}

#[tokio::test]
async fn an_answer_that_quotes_long_values_does_not_stop_the_sink() {
    let server = Server::shared();
    let index = unique("quotes");
    let mappings = json!({ "mappings": { "properties": { "v": { "type": "long" } } } });
    server.must("PUT", &format!("/{index}"), mappings).await;
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(server.address(), &index, ", template: off"));
    let long = "long ".repeat(60_000);
    let lines: Vec<String> = (0..6).map(|n| format!(r#"{{"n":{n},"v":"{long}"}}"#)).collect();
    feed.lines(&lines);
    assert_eq!(feed.settled().await.delivered, 6);
    assert_eq!(server.documents(&index).await.len(), 6);
    assert_eq!(agent.unhealthy(), None);
}

#[tokio::test]
async fn what_is_refused_for_good_is_in_the_dead_letter_with_the_reason() {
    let server = Server::shared();
    let index = unique("strict");
    let object = json!({ "type": "object", "dynamic": true });
    let properties = json!({
        "@timestamp": { "type": "date" }, "n": { "type": "long" }, "kubernetes": object, "log": object
    });
    let strict = json!({ "mappings": { "dynamic": "strict", "properties": properties } });
    server.must("PUT", &format!("/{index}"), strict).await;
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(server.address(), &index, ", template: off"));
    feed.lines(&[r#"{"n":1}"#, "plain", r#"{"n":2,"other":"\u0041"}"#, r#"{"n":3}"#]);
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.dead_lettered), (2, 2), "{verdicts:?}");
    assert!(verdicts.reasons[0].starts_with("strict_dynamic_mapping_exception"), "{verdicts:?}");
    assert_eq!(numbers(server, &index).await, [1, 3]);
    let letters = agent.dead_letter();
    let documents: BTreeSet<&str> =
        letters.iter().filter_map(|letter| letter["document"]["message"].as_str()).collect();
    assert_eq!(documents, BTreeSet::from(["plain", r#"{"n":2,"other":"\u0041"}"#]));
    for letter in &letters {
        assert_eq!(letter["component"], format!("elasticsearch/{index}"));
        assert!(
            letter["reason"].as_str().is_some_and(|reason| reason.contains("[message] within [_doc] is not allowed")),
            "{letter}"
        );
        assert_eq!(letter["document"]["kubernetes"]["pod"]["name"], "web-1");
    }
    assert_eq!(agent.metrics().records_dead_lettered.get(), 2);
}

#[tokio::test]
async fn a_full_dead_letter_that_blocks_holds_the_sink_until_there_is_room() {
    let server = Server::shared();
    let index = unique("full");
    let strict = json!({ "mappings": { "dynamic": "strict", "properties": { "@timestamp": { "type": "date" } } } });
    server.must("PUT", &format!("/{index}"), strict).await;
    let feed = Feed::new(&index, 1);
    let more = ", template: off, concurrency: 1, dead_letter: { max_size: 4KiB, when_full: block, min_free: 0% }";
    let agent = Agent::start(&feed, &options(server.address(), &index, more));
    feed.lines(&["first ".repeat(500)]);
    feed.settled().await;
    feed.lines(&["second ".repeat(500)]);
    agent.complains("`dead_letter.max_size` is reached").await;
    assert_eq!((feed.verdicts().batches, agent.dead_letter().len()), (1, 1));
    let folder = agent.folder.path().join("dead_letter/elasticsearch").join(&index);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        std::fs::remove_file(entry.expect("readable").path()).expect("removed");
    }
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.dead_lettered, verdicts.refused), (2, 0));
    assert_eq!(agent.dead_letter().len(), 1);
}

#[tokio::test]
async fn documents_turned_away_for_the_moment_are_sent_again_alone() {
    let server = Server::tight();
    let index = unique("queue");
    server.must("PUT", &format!("/{index}"), json!({ "settings": { "index.number_of_shards": 8 } })).await;
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(proxy.address(), &index, ", template: off"));
    feed.lines(&numbered(0..300));
    assert_eq!(feed.settled().await.delivered, 300);
    assert_eq!(numbers(server, &index).await, (0..300).collect::<Vec<_>>());
    let bulks = proxy.seen_bulks();
    let first: Value = serde_json::from_slice(&bulks[0].answer).expect("JSON");
    let rejected =
        first["items"].as_array().expect("items").iter().filter(|item| item["create"]["status"] == 429).count();
    assert!(rejected > 0, "the server took everything at once: {first}");
    assert_eq!((bulks[0].answered, bulks[1].documents().len()), (Some(200), rejected));
    drop(agent);
}

#[tokio::test]
async fn a_server_that_is_writing_too_much_is_not_overrun() {
    let server = Server::tight();
    let index = unique("pressure");
    let proxy = FaultProxy::start(server.address()).await;
    // Held together at the door, so that they arrive at once.
    proxy.bulks(vec![Fault::Delay(std::time::Duration::from_millis(500)); 4]);
    let feed = Feed::new(&index, 1);
    let more = ", compression: none, template: off";
    let options = options(proxy.address(), &index, more).replace("linger: 10ms", "linger: 10ms, max_bytes: 900KiB");
    let _agent = Agent::start(&feed, &options);
    for batch in 0..4 {
        let lines: Vec<String> =
            (batch * 8..batch * 8 + 8).map(|n| format!(r#"{{"n":{n},"p":"{}"}}"#, "x".repeat(100_000))).collect();
        feed.lines(&lines);
    }
    assert_eq!(feed.settled().await.delivered, 32);
    assert_eq!(numbers(server, &index).await, (0..32).collect::<Vec<_>>());
    assert!(proxy.seen_bulks().iter().any(|seen| seen.answered == Some(429)), "the limit was never reached");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_halved_and_a_document_that_is_goes_to_the_dead_letter() {
    let server = Server::tight();
    for compression in ["none", "gzip"] {
        let index = unique("large");
        let feed = Feed::new(&index, 1);
        let more = format!(", template: off, compression: {compression}, concurrency: 1");
        // Straight to the server: it answers before it has read everything, and closes the connection.
        let options = options(server.address(), &index, &more).replace("linger: 10ms", "linger: 10ms, max_bytes: 4MiB");
        let agent = Agent::start(&feed, &options);
        let noise = |n: u64, len: usize| {
            let mut random = fastrand::Rng::with_seed(n);
            (0..len).map(|_| random.alphanumeric()).collect::<String>()
        };
        let mut lines: Vec<String> = (0..30).map(|n| format!(r#"{{"n":{n},"p":"{}"}}"#, noise(n, 100_000))).collect();
        lines.push(format!(r#"{{"n":30,"p":"{}"}}"#, noise(30, 1_500_000)));
        feed.lines(&lines);
        let verdicts = feed.settled().await;
        assert_eq!((verdicts.delivered, verdicts.dead_lettered), (30, 1), "{compression}: {verdicts:?}");
        assert_eq!(numbers(server, &index).await, (0..30).collect::<Vec<_>>());
        assert_eq!(agent.dead_letter().len(), 1);
    }
}

#[tokio::test]
async fn a_request_refused_as_a_whole_is_halved_until_the_culprit_stands_alone() {
    let server = Server::shared();
    let index = unique("poison");
    let proxy = FaultProxy::start(server.address()).await;
    let refusal = Canned::new(400, r#"{"error":{"type":"x_content_parse_exception","reason":"poison"},"status":400}"#);
    proxy.decide(move |seen| {
        let poisoned = seen.is_bulk() && seen.documents().iter().any(|document| document.contains("poison"));
        if poisoned { Fault::Answer(refusal.clone()) } else { Fault::Pass }
    });
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(proxy.address(), &index, ""));
    let mut lines = numbered(0..64);
    lines[17] = r#"{"n":17,"p":"poison"}"#.into();
    lines[40] = "poison".into();
    feed.lines(&lines);
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.dead_lettered), (62, 2), "{verdicts:?}");
    assert_eq!(numbers(server, &index).await, (0..64).filter(|n| ![17, 40].contains(n)).collect::<Vec<_>>());
    assert_eq!(agent.dead_letter().len(), 2);
    assert!(proxy.seen_bulks().len() < 32, "halves, not single documents: {}", proxy.seen_bulks().len());
}

#[tokio::test]
async fn a_refusal_of_the_target_holds_everything() {
    let server = Server::shared();
    let index = unique("name");
    let proxy = FaultProxy::start(server.address()).await;
    let refusal = r#"{"error":{"type":"invalid_index_name_exception","reason":"Invalid index name [x]"},"status":400}"#;
    proxy.bulks([Fault::Answer(Canned::new(400, refusal)), Fault::Answer(Canned::new(406, ""))]);
    let feed = Feed::new(&index, 1);
    let agent = Agent::start(&feed, &options(proxy.address(), &index, ""));
    feed.lines(&numbered(0..5));
    agent.complains("invalid_index_name_exception").await;
    agent.complains("answered 406").await;
    assert_eq!(feed.settled().await.delivered, 5);
    assert_eq!(numbers(server, &index).await, (0..5).collect::<Vec<_>>());
    assert!(agent.dead_letter().is_empty());
}

#[tokio::test]
async fn a_blocked_a_closed_and_a_missing_index_are_waited_for() {
    let server = Server::shared();
    let automatic = json!({ "persistent": { "action.auto_create_index": "-absent*,+*" } });
    server.must("PUT", "/_cluster/settings", automatic).await;
    let (blocked, closed, absent) = (unique("blocked"), unique("closed"), unique("absent"));
    server.must("PUT", &format!("/{blocked}"), json!({ "settings": { "index.blocks.write": true } })).await;
    server.must("PUT", &format!("/{closed}"), Value::Null).await;
    server.must("POST", &format!("/{closed}/_close"), Value::Null).await;
    let cases = [
        (&blocked, "cluster_block_exception", "PUT", "/_settings", json!({ "index.blocks.write": false })),
        (&closed, "index_closed_exception", "POST", "/_open", Value::Null),
        (&absent, "index_not_found_exception", "PUT", "", Value::Null),
    ];
    for (index, words, method, path, body) in cases {
        let feed = Feed::new(index, 1);
        let agent = Agent::start(&feed, &options(server.address(), index, ""));
        feed.lines(&numbered(0..5));
        agent.complains(words).await;
        assert_eq!(feed.verdicts().batches, 0, "{index}");
        server.must(method, &format!("/{index}{path}"), body).await;
        assert_eq!(feed.settled().await.delivered, 5);
        assert_eq!(numbers(server, index).await, (0..5).collect::<Vec<_>>());
        assert!(agent.dead_letter().is_empty());
        assert_eq!(agent.unhealthy(), None);
    }
}

#[tokio::test]
async fn no_body_is_larger_than_configured_whatever_is_added_to_a_record() {
    let server = Server::shared();
    let index = unique("bounded");
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(&index, 1);
    let options = options(proxy.address(), &index, "").replace("linger: 10ms", "linger: 10ms, max_bytes: 128KiB");
    let steps =
        format!("{{ parse_json: {{ on_error: keep }} }}, {{ set: 'attributes[\"pad\"] = \"{}\"' }}", "x".repeat(4000));
    let folder = tempfile::tempdir().expect("a folder");
    let _agent = Agent::with_steps(folder, &feed, &steps, &options);
    feed.lines(&numbered(0..200));
    assert_eq!(feed.settled().await.delivered, 200);
    assert_eq!(numbers(server, &index).await, (0..200).collect::<Vec<_>>());
    for seen in proxy.seen_bulks() {
        assert!(seen.request.inflated().len() <= 128 << 10, "{} bytes", seen.request.inflated().len());
    }
}
