//! Spans as documents: what the real server has of them, what it refuses, and that nothing is there twice.

use serde_json::{Value, json};

use crate::agent::{Agent, Feed};
use crate::fault_proxy::{Fault, FaultProxy};
use crate::server::{Server, unique};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn options(address: std::net::SocketAddr, dataset: &str) -> String {
    format!(
        "endpoints: ['http://{address}'], data_stream: {{ dataset: {dataset}, namespace: test }}, timeout: 1s, \
         batch: {{ linger: 10ms }}, concurrency: 1"
    )
}

/// A dataset's name and that of its stream of spans.
fn stream(name: &str) -> (String, String) {
    let dataset = unique(name).replace('-', "_");
    let stream = format!("traces-{dataset}-test");
    (dataset, stream)
}

fn attribute(key: &str, value: Value) -> Value {
    json!({ "key": key, "value": value })
}

/// A request with these spans.
fn request(spans: &[Value]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", json!({ "stringValue": "shop" })),
            attribute("service.name.full", json!({ "stringValue": "shop of ours" })),
        ] },
        "scopeSpans": [{ "scope": { "name": "checkout", "version": "1.2" }, "spans": spans }],
    }] })
}

fn span(id: u64, name: &str) -> Value {
    json!({
        "traceId": TRACE, "spanId": format!("{id:016x}"), "name": name, "kind": 2,
        "startTimeUnixNano": "1764380000000000001", "endTimeUnixNano": "1764380000250000001",
    })
}

fn names(documents: &[(String, Value)]) -> Vec<&str> {
    let mut names: Vec<&str> = documents.iter().filter_map(|(_, source)| source["name"].as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_span_arrives_field_by_field() {
    let server = Server::shared();
    let (dataset, stream) = stream("fields");
    let feed = Feed::new(&dataset, 1);
    let _agent = Agent::of_spans(&feed, &options(server.address(), &dataset));
    let mut rich = span(1, "GET /cart");
    rich["parentSpanId"] = json!("10f067aa0ba902b7");
    rich["traceState"] = json!("vendor=1");
    rich["attributes"] = json!([
        attribute("text", json!({ "stringValue": "naïve \"quoted\" \n line" })),
        attribute("yes", json!({ "boolValue": true })),
        attribute("int", json!({ "intValue": "-9007199254740993" })),
        attribute("double", json!({ "doubleValue": 0.25 })),
        attribute("bytes", json!({ "bytesValue": "AAEC" })),
        attribute("list", json!({ "arrayValue": { "values": [{ "stringValue": "a" }, { "stringValue": "b" }] } })),
        attribute("map", json!({ "kvlistValue": { "values": [attribute("k", json!({ "intValue": "1" }))] } })),
    ]);
    rich["events"] = json!([
        { "timeUnixNano": "1764380000100000000", "name": "exception",
          "attributes": [attribute("exception.type", json!({ "stringValue": "io" }))] },
        { "timeUnixNano": "1764380000200000000", "name": "retried" },
    ]);
    rich["links"] = json!([{ "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
                             "attributes": [attribute("why", json!({ "stringValue": "follows" }))] }]);
    rich["status"] = json!({ "code": 2, "message": "it failed" });
    rich["droppedEventsCount"] = json!(3);
    feed.spans(&request(&[rich, span(2, "query")]));
    assert_eq!(feed.settled().await.delivered, 2);
    let mut documents = server.documents(&stream).await;
    documents.sort_by_key(|(_, source)| source["span_id"].as_str().map(str::to_owned));
    let origin = json!({ "attributes": { "service.name": "shop", "service.name.full": "shop of ours" } });
    let mut expected = json!({
        "@timestamp": "2025-11-29T01:33:20.000000001Z",
        "data_stream": { "type": "traces", "dataset": dataset, "namespace": "test" },
        "resource": origin, "scope": { "name": "checkout", "version": "1.2" },
        "trace_id": TRACE, "span_id": "0000000000000002", "name": "query", "kind": "Server", "duration": 250_000_000,
        "status": { "code": "Unset" },
    });
    assert_eq!(documents[1].1, expected);
    let more = json!({
        "span_id": "0000000000000001", "name": "GET /cart", "parent_span_id": "10f067aa0ba902b7",
        "trace_state": "vendor=1", "status": { "code": "Error", "message": "it failed" },
        "attributes": {
            "text": "naïve \"quoted\" \n line", "yes": true, "int": -9_007_199_254_740_993_i64, "double": 0.25,
            "bytes": "AAEC", "list": ["a", "b"], "map": { "k": 1 },
        },
        "events": [
            { "name": "exception", "timestamp": "2025-11-29T01:33:20.100000000Z",
              "attributes": { "exception.type": "io" } },
            { "name": "retried", "timestamp": "2025-11-29T01:33:20.200000000Z" },
        ],
        "links": [{ "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
                    "attributes": { "why": "follows" } }],
        "dropped_events_count": 3,
    });
    expected.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    assert_eq!(documents[0].1, expected);
    // Every field can be searched by.
    for query in [
        json!({ "range": { "duration": { "gte": 250_000_000 } } }),
        json!({ "range": { "@timestamp": { "lte": "2025-11-29T01:33:20.000000001Z" } } }),
        json!({ "term": { "status.code": "Error" } }),
        json!({ "term": { "attributes.int": -9_007_199_254_740_993_i64 } }),
        json!({ "term": { "attributes.map.k": 1 } }),
        json!({ "term": { "resource.attributes.service.name": "shop" } }),
        json!({ "term": { "events.attributes.exception.type": "io" } }),
        json!({ "range": { "events.timestamp": { "gt": "2025-11-29T01:33:20.150000000Z" } } }),
        json!({ "term": { "links.attributes.why": "follows" } }),
    ] {
        let asked =
            json!({ "query": { "bool": { "filter": [query, { "term": { "parent_span_id": "10f067aa0ba902b7" } }] } } });
        let found = server.must("POST", &format!("/{stream}/_search"), asked.clone()).await;
        assert_eq!(found["hits"]["total"]["value"], 1, "{asked}");
    }
}

#[tokio::test]
async fn a_span_that_is_refused_is_in_the_dead_letter() {
    let server = Server::shared();
    let index = unique("refused-span");
    let flat = json!({ "type": "object", "subobjects": false });
    let resource = json!({ "properties": { "attributes": flat } });
    let mappings = json!({ "mappings": { "properties": { "name": { "type": "long" }, "resource": resource } } });
    server.must("PUT", &format!("/{index}"), mappings).await;
    let feed = Feed::new(&index, 1);
    let options = format!("endpoints: ['http://{}'], index: {index}, template: off", server.address());
    let agent = Agent::of_spans(&feed, &options);
    feed.spans(&request(&[span(1, "17"), span(2, "GET /cart"), span(3, "18")]));
    let verdicts = feed.settled().await;
    assert_eq!((verdicts.delivered, verdicts.dead_lettered), (2, 1), "{verdicts:?}");
    assert_eq!(names(&server.documents(&index).await), ["17", "18"]);
    let letters = agent.dead_letter();
    assert_eq!((letters.len(), &letters[0]["document"]["name"]), (1, &json!("GET /cart")));
    assert_eq!(letters[0]["document"]["resource"]["attributes"]["service.name"], "shop");
    assert!(letters[0]["reason"].as_str().is_some_and(|reason| reason.contains("[name]")), "{}", letters[0]);
}

#[tokio::test]
async fn a_span_that_comes_again_is_one_document_unless_it_says_something_else() {
    let server = Server::shared();
    let (dataset, stream) = stream("again");
    let proxy = FaultProxy::start(server.address()).await;
    // The first answer is lost: what became of the request nobody knows.
    proxy.bulks([Fault::HangAfter]);
    let feed = Feed::new(&dataset, 1);
    let agent = Agent::of_spans(&feed, &options(proxy.address(), &dataset));
    let spans: Vec<Value> = (0..50).map(|id| span(id + 1, &format!("span {id}"))).collect();
    feed.spans(&request(&spans));
    assert_eq!(feed.settled().await.delivered, 50);
    assert!(agent.metrics().retries.get() >= 1);
    assert_eq!(server.documents(&stream).await.len(), 50);
    // Its sender brings the request once more, and a server's half of a span that Zipkin's client began.
    feed.spans(&request(&spans));
    let mut shared = span(1, "span 0");
    shared["kind"] = json!(3);
    feed.spans(&request(&[shared]));
    assert_eq!(feed.settled().await.delivered, 101);
    assert_eq!(server.documents(&stream).await.len(), 51);
    let found = server.must("GET", &format!("/_index_template/tailwater-{dataset}"), Value::Null).await;
    assert_eq!(found["index_templates"][0]["index_template"]["index_patterns"], json!([stream]));
}
