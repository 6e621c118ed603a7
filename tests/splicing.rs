//! No log line can alter another document, a bulk action or a field of ours: whatever bytes a container
//! writes, through `parse_json` and both layouts into the body of a bulk request. The reference is serde_json.

#[path = "../benches/stages/mod.rs"]
mod stages;

use std::fmt;

use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;
use stages::{Log, Steps, settle};
use tailwater::data::{Chunk, LogBatch, UnixNanos};
use tailwater::formats::document::{DocumentEncoder, Form, Layout};
use tailwater::formats::elasticsearch::bulk::{DocumentId, write_id, write_item};
use tailwater::formats::ndjson::LineWriter;

/// The members of an object in their order, each key as often as it stands there, values as they are written.
#[derive(Debug)]
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members {
    fn of(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn all(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == key).map(|(_, value)| value.get()).collect()
    }

    /// The value of a key that stands there exactly once.
    fn one(&self, key: &str) -> &str {
        match self.all(key)[..] {
            [value] => value,
            ref values => panic!("{key} stands there {} times: {self:?}", values.len()),
        }
    }
}

/// Under `ecs`, the keys that are ours.
const ECS: [&str; 7] = ["@timestamp", "message", "log", "kubernetes", "container", "host", "data_stream"];

/// What a batch of `lines` becomes.
struct Written {
    batch: LogBatch,
    input: String,
    layout: Layout,
}

const HEADER: &str = "2026-11-23T00:00:00.000000001Z stdout F ";
const TIME: &str = "\"2026-11-23T00:00:00.000000001Z\"";

impl Written {
    fn new(lines: &[Vec<u8>], layout: Layout) -> Self {
        let mut text = Vec::new();
        for line in lines {
            text.extend_from_slice(HEADER.as_bytes());
            text.extend(line.iter().filter(|&&byte| byte != b'\n'));
            text.push(b'\n');
        }
        let batch = Log::new().batch_of(Chunk::from_vec(text));
        let message = Steps::new(json!([{ "parse_json": {} }]), &DocumentEncoder::interest(layout)).run(batch);
        let message = message.expect("nothing is dropped");
        let input = message.input.to_string();
        Self { batch: settle(message), input, layout }
    }

    /// The lines of the bulk body, in pairs of action and document.
    fn body(&self, form: Form) -> Vec<(String, String)> {
        let mut encoder = DocumentEncoder::new(self.layout).with_data_stream("k8s", "prod");
        encoder.begin(&self.batch, UnixNanos(1));
        let mut body = Vec::new();
        for view in self.batch.iter() {
            write_item(DocumentId::Position, &mut encoder, &view, &self.input, form, &mut body);
        }
        let body = String::from_utf8(body).expect("a body is UTF-8");
        let lines: Vec<&str> = body.strip_suffix('\n').expect("ends its last line").split('\n').collect();
        assert_eq!(lines.len(), self.batch.records().len() * 2, "two lines a record: {body}");
        lines.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
    }

    fn action(&self, index: usize) -> String {
        let mut id = Vec::new();
        assert!(write_id(&self.batch.view(index), &self.input, &mut id));
        format!("{{\"create\":{{\"_id\":\"{}\"}}}}", String::from_utf8(id).expect("base64"))
    }
}

/// Fails unless the fields of ours in `document` are what they are for a harmless line.
fn check_ours(document: &Members, line: &[u8], layout: Layout) {
    let harmless = Written::new(&[b"{\"z\":1}".to_vec()], layout).body(Form::Spliced);
    let harmless = Members::of(&harmless[0].1).expect("JSON");
    let text = String::from_utf8_lossy(line);
    match layout {
        Layout::Ecs => {
            for key in ["log", "kubernetes", "data_stream"] {
                // A severity that the line names is a part of `log`.
                let ours = document.one(key);
                let stripped = ours.split_once("\"level\":\"").map_or(ours.to_owned(), |(before, behind)| {
                    let rest = behind.split_once("\",").expect("another member follows").1;
                    format!("{before}{rest}")
                });
                assert_eq!(stripped, harmless.one(key), "{text}");
            }
            let time = document.one("@timestamp");
            assert!(time == TIME || text.contains("timestamp") || text.contains('\\'), "{text}");
            for key in ["container", "host"] {
                assert_eq!(document.all(key), harmless.all(key), "{text}");
            }
            // A string that the line calls so stays what it is, also twice: that costs this one document.
            let theirs = Members::of(&text).map_or(0, |members| members.all("message").len());
            assert!(document.all("message").len() <= theirs.max(1), "{text}");
            let below =
                |key: &String| ECS.iter().any(|name| key.strip_prefix(name).is_some_and(|k| k.starts_with('.')));
            assert!(!document.0.iter().any(|(key, _)| below(key)), "{text}");
        }
        Layout::Otel => {
            for key in ["@timestamp", "resource", "data_stream"] {
                assert_eq!(document.one(key), harmless.one(key), "{text}");
            }
            let ours =
                ["@timestamp", "resource", "data_stream", "attributes", "body", "severity_text", "severity_number"];
            assert!(document.0.iter().all(|(key, _)| ours.contains(&key.as_str())), "{text}");
            assert!(ours.iter().all(|key| document.all(key).len() <= 1), "{text}");
            let attributes = Members::of(document.one("attributes")).expect("an object");
            assert_eq!(attributes.one("log.iostream"), "\"stdout\"", "{text}");
        }
    }
}

/// Fails unless every member of the line's object is in the document, under its name or `original.` and it.
fn check_theirs(document: &Members, members: &Members, layout: Layout) {
    let attributes = match layout {
        Layout::Ecs => None,
        Layout::Otel => Some(Members::of(document.one("attributes")).expect("an object")),
    };
    let place = attributes.as_ref().unwrap_or(document);
    for (key, value) in &members.0 {
        let renamed = format!("original.{key}");
        // An object with tabs between its members is written without white space.
        let dense = |text: &str| text.replace([' ', '\t'], "");
        let there = |name: &str| place.all(name).iter().any(|there| dense(there) == dense(value.get()));
        // A time that can be read has become the document's.
        assert!(there(key) || there(&renamed) || key == "@timestamp", "{key} is missing from {document:?}");
    }
}

fn check(lines: &[Vec<u8>]) {
    for layout in [Layout::Ecs, Layout::Otel] {
        let written = Written::new(lines, layout);
        let spliced = written.body(Form::Spliced);
        let as_text = written.body(Form::Text);
        let mut file = Vec::new();
        LineWriter::new().json(&written.batch, &mut file);
        let file: Vec<&[u8]> = file.split(|&byte| byte == b'\n').collect();
        assert_eq!(file.len(), lines.len() + 1);
        for (index, line) in lines.iter().enumerate() {
            let line: Vec<u8> = line.iter().copied().filter(|&byte| byte != b'\n').collect();
            let text = String::from_utf8_lossy(&line);
            let shown = text.chars().take(2000).collect::<String>();
            assert_eq!(spliced[index].0, written.action(index), "{shown}");
            assert_eq!(as_text[index].0, written.action(index), "{shown}");
            let again = Members::of(&as_text[index].1).unwrap_or_else(|error| panic!("as text: {error}: {shown}"));
            let with_attributes = layout == Layout::Ecs || !again.all("attributes").is_empty();
            assert!(with_attributes, "{shown}");
            check_ours(&again, &line, layout);
            let members = Members::of(&text);
            match (Members::of(&spliced[index].1), &members) {
                (Ok(document), _) => {
                    check_ours(&document, &line, layout);
                    if let (Ok(members), true) = (&members, !written.batch.view(index).object().is_empty()) {
                        check_theirs(&document, members, layout);
                    }
                }
                // What is not spelt as JSON costs its own document, which then goes as text.
                (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) => panic!("{error}: valid JSON became {}", spliced[index].1),
            }
            serde_json::from_slice::<&RawValue>(file[index]).unwrap_or_else(|error| panic!("file: {error}: {shown}"));
        }
    }
}

#[test]
fn the_attacks_that_were_thought_of() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let attacks: Vec<Vec<u8>> = [
        r#"{"a":1},"x":{"b":2}"#,
        r#"{"a":1}},"x":{"b":2}"#,
        r#"{"a":1}}{"create":{}}"#,
        "{\"a\":1}\r{\"index\":{}}\r",
        "{}",
        "{ }",
        "{\t}",
        "{\"a\":\t1}",
        r#"{"a":1 /* " */ , "b":2}"#,
        r#"{"a":1} // "#,
        r#"{"a":1 # "
}"#,
        "{\"a\":\"\u{0}\u{1}\u{1f}\"}",
        r#"{"a":NaN}"#,
        r#"{"a":Infinity,"b":-Infinity}"#,
        r#"{"a":1e999}"#,
        r#"{"a":01}"#,
        r#"{"a":0x1}"#,
        r#"{"a":'b'}"#,
        r#"{a:1}"#,
        r#"{"a":1,}"#,
        r#"{,}"#,
        r#"{"a":}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":"\q"}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\"}"#,
        r#"{"a":1,"a":2,"a":{"a":3}}"#,
        r#"{"@timestamp":"2020-01-01T00:00:00Z","@timestamp":7,"message":"m","message":{"x":1}}"#,
        r#"{"\u0040timestamp":"x","l\u006fg":{"level":"x"},"log.level":"y","log.file.path":"z","host.name":1}"#,
        r#"{"kubernetes":{"pod":"other"},"kubernetes.pod.name":"x","container":1,"host":null,"data_stream":{}}"#,
        r#"{"log":{"iostream":"stderr"},"log.iostream":"x","resource":{"attributes":{}},"attributes":{},"body":{}}"#,
        r#"{"level":"error","severity":"\u0069nfo","lvl":60}"#,
        r#"[1,2]"#,
        r#""text""#,
        "",
        " ",
        "\u{feff}{\"a\":1}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([b"{\"a\":\"\xc0\xaf\"}".to_vec(), b"{\"a\xff\":1}".to_vec(), b"{\"a\":\"\xed\xa0\x80\"}".to_vec()])
    .chain([deep.into_bytes(), deep_objects.into_bytes()])
    .collect();
    check(&attacks);
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "a",
        "b",
        "level",
        "severity",
        "message",
        "@timestamp",
        "log",
        "log.level",
        "log.iostream",
        "kubernetes",
        "kubernetes.pod",
        "container",
        "host.name",
        "data_stream",
        "resource",
        "attributes",
        "body",
        "_id",
        "\u{e9}",
    ];
    let key = (prop::sample::select(names.to_vec()), any::<bool>()).prop_map(|(name, escaped)| match escaped {
        false => serde_json::to_string(name).expect("a text"),
        true => format!("\"{}\"", name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>()),
    });
    let value = prop::sample::select(vec![
        "1",
        "-0.5e3",
        "1e999",
        "NaN",
        "01",
        "true",
        "null",
        "\"\"",
        "\"x\"",
        "\"2020-01-01T00:00:00Z\"",
        "\"debug\"",
        "\"\\u0022},{\\\\\"",
        "\"\\q\"",
        "{}",
        "[]",
        "{\"level\":\"x\",\"log\":{\"iostream\":1}}",
        "[{\"a\":[1,\"]}\"]}]",
        "\"long enough to reach into the next block of sixty-four bytes, whatever came before it\"",
    ]);
    let blank = prop::sample::select(vec!["", "", "", " ", "  ", "\t"]);
    let member = (key, blank.clone(), value).prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
    let object = (prop::collection::vec(member, 0..8), blank)
        .prop_map(|(members, blank)| format!("{{{blank}{}{blank}}}", members.join(&format!("{blank},"))).into_bytes());
    let damage = (
        any::<prop::sample::Index>(),
        prop::sample::select(vec!["", "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "/", "\u{1}", "x"]),
    );
    let damaged = (object, prop::collection::vec(damage, 0..3)).prop_map(|(mut text, damages)| {
        for (at, piece) in damages {
            let at = at.index(text.len());
            text.splice(at..(at + usize::from(piece.is_empty())).min(text.len()), piece.bytes());
        }
        text
    });
    prop_oneof![8 => damaged, 1 => prop::collection::vec(any::<u8>(), 0..60)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_alters_anything_but_its_own_document(lines in prop::collection::vec(line(), 1..6)) {
        check(&lines);
    }
}
