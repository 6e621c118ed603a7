//! Documents as they are sent, compared with `tests/formats/document/expected`, and what the real server
//! makes of them under our index template. `TAILWATER_UPDATE_GOLDENS=1` writes what is expected anew.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tailwater::data::resource::ResourceValue;
use tailwater::data::{
    Attribute, Chunk, LogBatch, LogBuilder, LogRecord, Resource, Scope, Severity, Slice, UnixNanos, logs::RareFields,
};

use crate::agent::{Agent, Feed};
use crate::fault_proxy::FaultProxy;
use crate::server::{Server, unique};

/// What the steps do is asked for by the key `secret`, so that other records stay as they came.
const STEPS: &str = r#"
      { parse_json: { on_error: keep } },
      { rename: { from: 'attributes["old"]', to: 'attributes["new"]' }, if: 'exists(attributes["secret"])' },
      { set: 'attributes["env"] = "prod"', if: 'exists(attributes["secret"])' },
      { delete: 'attributes["secret"]' }"#;

/// One record, as an input file describes it.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Input {
    body: String,
    time: u64,
    observed: u64,
    severity: u8,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
    trace_id: String,
    span_id: String,
    event_name: Option<String>,
    scope: Option<(String, String)>,
}

impl Input {
    fn batch(&self) -> LogBatch {
        let attribute = |value: &Value| match value {
            Value::Number(number) => ResourceValue::Int(number.as_i64().expect("an integer")),
            other => other.as_str().expect("a text").into(),
        };
        let resource = Resource::new(self.resource.iter().map(|(key, value)| (key.as_str().into(), attribute(value))));
        let (name, version) = self.scope.clone().unwrap_or_default();
        let scope = Scope { name: name.into(), version: version.into(), ..Scope::default() };
        let mut builder = LogBuilder::new(Arc::new(resource), Arc::new(scope));
        let mut slice = |text: &str| {
            let chunk = builder.add_chunk(Chunk::from_vec(text.as_bytes().to_vec()));
            Slice::new(chunk, 0, u32::try_from(text.len()).expect("short"))
        };
        let body = slice(&self.body);
        let attributes: Vec<Attribute> = self
            .attributes
            .iter()
            .map(|(key, value)| Attribute {
                key: slice(key),
                value: tailwater::data::Value::Text(slice(value.as_str().expect("a text"))),
            })
            .collect();
        let event_name = self.event_name.as_deref().map(&mut slice);
        let mut rare = RareFields { observed: UnixNanos(self.observed), event_name, ..RareFields::default() };
        unhex(&self.trace_id, &mut rare.trace_id);
        unhex(&self.span_id, &mut rare.span_id);
        let record = LogRecord {
            time: UnixNanos(self.time),
            severity: Severity(self.severity),
            attributes_len: u16::try_from(attributes.len()).expect("few"),
            rare: 0,
            ..LogRecord::of_body(body)
        };
        let source = builder.source();
        source.attributes = attributes;
        source.rare.push(rare);
        source.records.push(record);
        builder.build()
    }
}

fn unhex(text: &str, into: &mut [u8]) {
    for (byte, digits) in into.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).expect("hex"), 16).expect("hex");
    }
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/formats/document").join(name)
}

fn inputs() -> Vec<(String, Input)> {
    let entries = std::fs::read_dir(folder("input")).expect("there are inputs");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).expect("text");
        let input = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        (file.file_stem().expect("a name").to_string_lossy().into_owned(), input)
    };
    files.iter().map(read).collect()
}

/// Sends every input in this layout and compares; returns the index and its documents as stored.
async fn compare(layout: &str) -> (String, Vec<Value>) {
    let server = Server::shared();
    let index = unique(&format!("documents-{layout}"));
    let proxy = FaultProxy::start(server.address()).await;
    let feed = Feed::new(&index, 1);
    let options = format!(
        "endpoints: ['http://{}'], index: {index}, mapping: {layout}, batch: {{ linger: 1ms }}, concurrency: 1",
        proxy.address()
    );
    let agent = Agent::with_steps(tempfile::tempdir().expect("a folder"), &feed, STEPS, &options);
    let (mut sent, mut wrong) = (0, Vec::new());
    for (name, input) in inputs() {
        let before = proxy.seen_bulks().len();
        feed.batch(input.batch());
        sent += 1;
        assert_eq!(feed.settled().await.delivered, sent, "{name}");
        let document = format!("{}\n", proxy.seen_bulks()[before].documents()[0]);
        let expected = folder("expected").join(format!("{name}.{layout}.json"));
        if std::env::var_os("TAILWATER_UPDATE_GOLDENS").is_some() {
            std::fs::write(&expected, &document).expect("written");
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if document != expected {
            wrong.push(format!("{name}.{layout}\n  expected {expected}  sent     {document}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    drop(agent);
    let stored = server.documents(&index).await.into_iter().map(|(_, source)| source).collect();
    (index, stored)
}

async fn properties(index: &str) -> Value {
    let mapping = Server::shared().must("GET", &format!("/{index}/_mapping"), Value::Null).await;
    mapping[index]["mappings"]["properties"].clone()
}

/// Names of fields that the server kept without searching them, over all documents.
async fn ignored(index: &str) -> Vec<String> {
    let query = json!({ "query": { "exists": { "field": "_ignored" } }, "size": 100 });
    let found = Server::shared().must("POST", &format!("/{index}/_search"), query).await;
    let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
    let fields = hits.iter().flat_map(|hit| hit["_ignored"].as_array().cloned().unwrap_or_default());
    fields.map(|field| field.as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn documents_in_the_otel_layout_are_stored_as_they_are_sent() {
    let (index, stored) = compare("otel").await;
    assert_eq!(stored.len(), inputs().len());
    let fields = properties(&index).await;
    let attributes = &fields["attributes"]["properties"];
    // One key is the beginning of another, and both are values.
    assert_eq!((&attributes["a"]["type"], &attributes["a.b"]["type"]), (&json!("long"), &json!("long")));
    assert_eq!(attributes["nested.a"]["type"], "long");
    assert_eq!(attributes["took"]["type"], "float");
    assert_eq!(attributes["msg"]["type"], "keyword");
    let resource = &fields["resource"]["properties"]["attributes"]["properties"];
    assert_eq!(resource["k8s.pod.name"]["type"], "keyword");
    assert_eq!(resource["k8s.container.restart_count"]["type"], "long");
    assert_eq!((&fields["severity_number"]["type"], &fields["trace_id"]["type"]), (&json!("byte"), &json!("keyword")));
    assert_eq!(fields["body"]["properties"]["text"]["type"], "text");
    // One input has a number there and another a text.
    assert_eq!(ignored(&index).await, ["attributes.message"]);
}

#[tokio::test]
async fn documents_in_the_ecs_layout_are_stored_as_they_are_sent() {
    let server = Server::shared();
    let (index, stored) = compare("ecs").await;
    assert_eq!(stored.len(), inputs().len());
    // `a` and `a.b` cannot both be values where a dot makes an object: that record is kept as text.
    let text = |source: &Value| source["message"].as_str().is_some_and(|text| text.contains("\"a.b\":2"));
    assert_eq!(stored.iter().filter(|source| text(source)).count(), 1);
    let fields = properties(&index).await;
    let kubernetes = &fields["kubernetes"]["properties"];
    assert_eq!(kubernetes["pod"]["properties"]["name"]["type"], "keyword");
    assert_eq!(kubernetes["container"]["properties"]["restart_count"]["type"], "long");
    assert_eq!(fields["@timestamp"]["type"], "date");
    assert_eq!(fields["message"]["type"], "text");
    assert_eq!(fields["log"]["properties"]["level"]["type"], "keyword");
    // The application's time is the record's: it can be searched by.
    let query = json!({ "query": { "range": { "@timestamp": { "lt": "2026-11-24T01:00:00Z" } } } });
    let found = server.must("POST", &format!("/{index}/_search"), query).await;
    assert_eq!(found["hits"]["hits"][0]["_source"]["message"], "from the application");
    assert_eq!(found["hits"]["total"]["value"], 1);
}

#[tokio::test]
async fn a_value_of_another_type_is_kept_in_its_place_under_our_template() {
    let server = Server::shared();
    for (layout, value) in [("otel", "/attributes/v"), ("ecs", "/v")] {
        let index = unique(&format!("malformed-{layout}"));
        let feed = Feed::new(&index, 1);
        let options = format!("endpoints: ['http://{}'], index: {index}, mapping: {layout}", server.address());
        let _agent = Agent::start(&feed, &options);
        feed.lines(&[r#"{"v":1}"#]);
        feed.settled().await;
        feed.lines(&[r#"{"v":"many"}"#]);
        assert_eq!(feed.settled().await.delivered, 2);
        let documents = server.documents(&index).await;
        assert!(documents.iter().any(|(_, source)| source.pointer(value) == Some(&json!("many"))), "{documents:?}");
        assert_eq!(ignored(&index).await, [value[1..].replace('/', ".")]);
    }
}
