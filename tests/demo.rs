//! `tailwater demo` and a pipe into `tailwater run`, as a person would start them: the real binary, its
//! output and what it leaves on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn tailwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The number that a row of the summary shows.
fn row(summary: &str, name: &str) -> u64 {
    let line = summary.lines().find(|line| line.split_whitespace().next() == Some(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no row `{name}` in\n{summary}"))
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).expect("a line is a document")).collect()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_demo_loses_doubles_and_leaks_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("demo");
    let data_text = data.to_str().expect("UTF-8");
    let output = tailwater(&["demo", "--for", "3s", "--rate", "300", "--data", data_text]).output().expect("runs");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");

    let written = row(&shown, "written");
    assert!(written > 500, "{shown}");
    assert_eq!(row(&shown, "in"), written, "{shown}");
    assert_eq!(row(&shown, "out") + row(&shown, "filtered"), written, "{shown}");
    for name in ["refused", "lost", "extra", "leaked"] {
        assert_eq!(row(&shown, name), 0, "{shown}");
    }
    assert!(shown.contains("steps/clean") && shown.contains("before  ") && shown.contains("after   "), "{shown}");

    assert!(row(&shown, "samples") > 20 && shown.contains(" declined, as it had"), "{shown}");
    assert!(shown.contains("targets 2 of 2 up"), "{shown}");
    let samples = documents(&data.join("out/samples.ndjson"));
    let names: BTreeSet<_> = samples.iter().map(|sample| sample["labels"]["__name__"].to_string()).collect();
    for name in ["up", "shop_orders_total", "shop_payment_seconds_bucket", "shop_requests_total"] {
        assert!(names.contains(&format!("\"{name}\"")), "{name} is in {names:?}");
    }
    assert!(samples.iter().all(|sample| sample["labels"]["env"] == "demo"));

    let sent = row(&shown, "spans");
    assert!(sent > 200 && shown.contains(&format!(": {sent} arrived, 0 lost, 0 doubled\n")), "{shown}");
    assert!(shown.contains("otlp/shop") && shown.contains(" spans "), "{shown}");
    let spans = spans(&data.join("out/spans.jsonl"));
    assert_eq!(spans.len() as u64, sent);

    let (records, errors) = (documents(&data.join("out/records.ndjson")), documents(&data.join("out/errors.ndjson")));
    assert_eq!((records.len() + errors.len()) as u64, row(&shown, "out"));
    let at = |document: &Value, pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
    assert!(errors.iter().all(|document| at(document, "/severity_number").as_u64() >= Some(17)));
    let containers: BTreeSet<_> = records
        .iter()
        .map(|document| at(&document["resource"]["attributes"], "/k8s.container.name").to_string())
        .collect();
    let expected = ["cart", "checkout", "kube-proxy", "migrate", "nginx", "search", "web"];
    assert_eq!(containers, expected.map(|name| format!("\"{name}\"")).into());
    let long = records.iter().map(|document| document["attributes"]["items"].as_array().map_or(0, Vec::len)).max();
    assert!(long > Some(1000), "a line that was split, across a rotation, is one record: {long:?}");

    the_log_of_a_request_names_its_span(records.iter().chain(&errors), &spans);

    let again = tailwater(&["demo", "--for", "1s", "--rate", "50", "--data", data_text]).output().expect("runs");
    assert!(again.status.success(), "{}", text(&again));
    assert!(row(&text(&again), "written") < written, "the second demo starts anew");
}

/// A span of the output, and its resource.
struct Arrived {
    service: String,
    span: Value,
}

/// The spans of a file in OpenTelemetry's format, by their ids.
fn spans(path: &Path) -> BTreeMap<String, Arrived> {
    let mut spans = BTreeMap::new();
    for line in documents(path) {
        for resource in line["resourceSpans"].as_array().expect("resources") {
            let service = text_of(&resource["resource"], "service.name");
            for scope in resource["scopeSpans"].as_array().expect("scopes") {
                for span in scope["spans"].as_array().expect("spans") {
                    let id = span["spanId"].as_str().expect("an id").to_owned();
                    let twice = spans.insert(id, Arrived { service: service.clone(), span: span.clone() });
                    assert!(twice.is_none(), "{span}");
                }
            }
        }
    }
    spans
}

/// The text of an attribute; empty where there is none.
fn text_of(of: &Value, key: &str) -> String {
    let attributes = of["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default().to_owned()
}

fn the_log_of_a_request_names_its_span<'a>(
    records: impl Iterator<Item = &'a Value>,
    spans: &BTreeMap<String, Arrived>,
) {
    let mut roots: BTreeSet<&str> =
        spans.iter().filter(|(_, one)| one.span["kind"] == 2).map(|(id, _)| &**id).collect();
    for record in records {
        let Some(id) = record["span_id"].as_str() else { continue };
        let Arrived { service, span } = &spans[id];
        assert_eq!(span["traceId"], record["trace_id"]);
        assert_eq!(*service, record["resource"]["attributes"]["k8s.container.name"]);
        assert_eq!((text_of(span, "env"), &span["parentSpanId"]), ("demo".into(), &Value::Null));
        assert!(roots.remove(id), "one line a request: {record}");
    }
    assert!(roots.is_empty(), "every request has a line: {roots:?}");
    for Arrived { service, span } in spans.values().filter(|one| one.span["kind"] == 3) {
        let parent = &spans[span["parentSpanId"].as_str().expect("a parent")];
        assert_eq!((&parent.span["traceId"], &parent.service), (&span["traceId"], service));
        let [begun, ended, parent_begun, parent_ended] = [
            &span["startTimeUnixNano"],
            &span["endTimeUnixNano"],
            &parent.span["startTimeUnixNano"],
            &parent.span["endTimeUnixNano"],
        ]
        .map(|time| time.as_str().expect("a time").parse::<u64>().expect("a number"));
        assert!(parent_begun <= begun && begun <= ended && ended <= parent_ended, "{span}");
    }
    let urls = spans.values().map(|one| text_of(&one.span, "url.full")).filter(|url| !url.is_empty());
    assert!(urls.into_iter().all(|url| url.starts_with("https://payments.example/v1/charges?card=[")));
}

#[test]
fn an_interrupted_demo_drains_and_says_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("demo");
    let mut demo = tailwater(&["demo", "--data", data.to_str().expect("UTF-8")]).spawn().expect("runs");
    let mut shown = BufReader::new(demo.stdout.take().expect("piped"));
    let mut begun = String::new();
    while !begun.contains("shop wrote") {
        assert_ne!(shown.read_line(&mut begun).expect("UTF-8"), 0, "{begun}");
    }
    let killed = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().expect("runs");
    assert!(killed.success());
    let mut summary = String::new();
    shown.read_to_string(&mut summary).expect("UTF-8");
    assert!(demo.wait().expect("ends").success(), "{summary}");
    assert!(row(&summary, "written") > 0, "{summary}");
    assert_eq!(row(&summary, "out") + row(&summary, "filtered"), row(&summary, "written"), "{summary}");
    assert_eq!(row(&summary, "lost"), 0, "{summary}");
}

#[test]
fn what_is_piped_in_comes_out_and_the_agent_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.ndjson");
    let config = folder.path().join("tailwater.yaml");
    let text_of_config = format!(
        "data_dir: {}\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n\
         sources: {{ stdin/in: {{}} }}\n\
         sinks: {{ file/out: {{ inputs: [stdin/in], path: {} }} }}\n",
        folder.path().join("state").display(),
        out.display()
    );
    fs::write(&config, text_of_config).expect("writes");
    let mut agent = tailwater(&["run", "--config", config.to_str().expect("UTF-8")]);
    let mut agent = agent.stdin(Stdio::piped()).spawn().expect("runs");
    let mut pipe = agent.stdin.take().expect("piped");
    for number in 0..10_000 {
        writeln!(pipe, "line {number}").expect("the agent reads");
    }
    drop(pipe);
    let output = agent.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output));
    let bodies: Vec<_> = documents(&out).iter().map(|document| document["body"]["text"].clone()).collect();
    let expected: Vec<_> = (0..10_000).map(|number| Value::from(format!("line {number}"))).collect();
    assert_eq!(bodies, expected);
}

/// What a listener on loopback answers to a `GET`; nothing while it does not.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
    listener.local_addr().expect("bound").port()
}

#[test]
fn lines_become_metrics_that_are_exposed_and_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, config) = (folder.path().join("samples.ndjson"), folder.path().join("tailwater.yaml"));
    let (admin, exposed) = (free_port(), free_port());
    let text_of_config = format!(
        r#"
data_dir: {state}
admin: {{ listen: 127.0.0.1:{admin} }}
health: {{ listen: off }}
series: {{ limit: 1000 }}
sources:
  stdin/in: {{}}
  internal/self: {{ interval: 1s }}
transforms:
  steps/parse: {{ inputs: [stdin/in], steps: [{{ parse_json: {{}} }}] }}
  log_metrics/shop:
    inputs: [steps/parse]
    interval: 1s
    metrics: [{{ name: orders_total, type: counter, labels: {{ status: 'attributes["status"]' }} }}]
  steps/metrics:
    inputs: [log_metrics/shop, internal/self]
    steps:
      - keep: 'name == "orders_total" or name == "tailwater_series_limit"'
      - set: 'labels["team"] = "shop"'
sinks:
  file/out: {{ inputs: [steps/metrics], path: {out} }}
  prometheus_exposition/out: {{ inputs: [steps/metrics], listen: 127.0.0.1:{exposed} }}
"#,
        state = folder.path().join("state").display(),
        out = out.display()
    );
    fs::write(&config, text_of_config).expect("writes");
    let mut agent = tailwater(&["run", "--config", config.to_str().expect("UTF-8")]);
    let mut agent = agent.stdin(Stdio::piped()).spawn().expect("runs");
    let mut pipe = agent.stdin.take().expect("piped");
    for status in ["paid", "open", "paid"] {
        writeln!(pipe, r#"{{"status":"{status}"}}"#).expect("the agent reads");
    }
    pipe.flush().expect("the agent reads");
    let exposes = |wanted: &str| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let metrics = get(exposed, "/metrics").unwrap_or_default();
            if metrics.contains(wanted) && metrics.contains("tailwater_series_limit{") {
                return metrics;
            }
            assert!(std::time::Instant::now() < deadline, "{wanted} is not in {metrics}");
            std::thread::yield_now();
        }
    };
    let metrics = exposes(r#"orders_total{status="paid",team="shop"} 2"#);
    assert!(metrics.contains("# TYPE orders_total counter\n"), "{metrics}");
    let limit = metrics.lines().find(|line| line.starts_with("tailwater_series_limit{")).expect("exposed");
    assert!(limit.contains(r#"job="tailwater",team="shop""#) && limit.ends_with(" 1000"), "{limit}");

    let targets = |port: u16, more: &[&str]| {
        let address = format!("http://127.0.0.1:{port}");
        tailwater(&[&["targets", "--admin", &address], more].concat()).output().expect("runs")
    };
    let asked = targets(admin, &[]);
    assert!(asked.status.success() && text(&asked).contains("0 up, 0 down"), "{}", text(&asked));
    let json: Value = serde_json::from_slice(&targets(admin, &["--format", "json"]).stdout).expect("JSON");
    assert_eq!(json["data"]["activeTargets"], serde_json::json!([]));
    let status: Value = serde_json::from_str(&get(admin, "/api/v1/status").expect("answers")).expect("JSON");
    assert_eq!(status["series"]["limit"], 1000);
    assert_eq!(targets(free_port(), &[]).status.code(), Some(1), "nobody answers there");
    let asked = targets(admin, &["--job", "nosuch"]);
    assert_eq!(asked.status.code(), Some(2), "the command line names what is not there");
    assert!(String::from_utf8_lossy(&asked.stderr).contains("no job `nosuch`; it has none"), "{}", text(&asked));

    writeln!(pipe, r#"{{"status":"paid"}}"#).expect("the agent reads");
    exposes(r#"orders_total{status="paid",team="shop"} 3"#);
    drop(pipe);
    assert!(Command::new("kill").args(["-TERM", &agent.id().to_string()]).status().expect("runs").success());
    let output = agent.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output));
    let values: Vec<_> = documents(&out)
        .iter()
        .filter(|sample| sample["labels"]["status"] == "paid")
        .map(|sample| sample["value"].as_str().expect("a number").to_owned())
        .collect();
    assert_eq!(values.first().map(String::as_str), Some("0"), "a new counter begins at zero: {values:?}");
    assert_eq!(values.last().map(String::as_str), Some("3"), "{values:?}");
}
