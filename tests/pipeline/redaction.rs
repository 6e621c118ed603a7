//! Redaction holds everywhere: secrets planted in lines appear in no request, no retry, no document sent
//! once more as text, no dead letter and no log of the agent, whatever the server answers.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tailwater::delivery::Outcome;
use tailwater::pipeline::{Common, Runner, SinkPlan, prepare};
use tailwater::{sinks, transforms};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::components::{Plans, Pushed, common};

/// Texts of which none may leave the agent, read with every escape undone.
const SECRETS: [&str; 5] =
    ["4111111111111111", "4111 1111 1111 1111", "bob@example.com", "eyJzdWIiOiIxIn0", "sk_live_1"];

const LINES: [&str; 10] = [
    r#"{"msg":"mail bob@example.com","user":{"mail":["bob\u0040example.com",{"card":4111111111111111}]}}"#,
    r#"{"a":"bob@example.com","a":"\u0034111 1111 1111 1111","\u0061":"x"}"#,
    r#"{"bob@example.com":{"4111-1111-1111-1111":1,"bob@example.com":2}}"#,
    r#"{"log":{"file":"bob@example.com"},"message":"4111111111111111","@timestamp":"bob@example.com"}"#,
    r#"{"token":"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP","level":"bob@example.com"}"#,
    r#"{"json":"{\"mail\":\"bob\\u0040example.com\",\"card\":\"4111\u00201111\u00201111 1111\"}"}"#,
    r#"{"broken":"\u0062ob@example.com and 4111111111111111","#,
    "plain bob@example.com 4111 1111 1111 1111 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP",
    r#"{"own":"sk_live_1","set":"old bob@example.com","gone":"bob@example.com"}"#,
    r#"{"nan":NaN,"card":4111111111111111}"#,
];

/// What a server was sent, request by request.
type Requests = Arc<Mutex<Vec<String>>>;

/// Is too busy for the first bulk request and then refuses every document, quoting all that it was sent.
async fn refuse(listener: TcpListener, requests: Requests) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, requests.clone()));
    }
}

async fn answer(mut stream: TcpStream, requests: Requests) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(head) = read.windows(4).position(|end| end == b"\r\n\r\n") else {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let words = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = words.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let end = head + 4 + length.unwrap_or(0);
        while read.len() < end {
            stream.read_buf(&mut read).await?;
        }
        let body = String::from_utf8_lossy(&read[head + 4..end]).into_owned();
        read.drain(..end);
        let bulk = words.lines().next().is_some_and(|line| line.contains("_bulk"));
        let (status, answer) = if bulk {
            let documents = body.lines().count() / 2;
            let error = json!({ "type": "document_parsing_exception", "reason": body });
            let item = json!({ "create": { "_index": "logs", "status": 400, "error": error } });
            let mut requests = requests.lock().expect("not poisoned");
            requests.push(body);
            match requests.len() {
                1 => (503, json!({ "error": { "type": "busy", "reason": requests[0] }, "status": 503 })),
                _ => (200, json!({ "took": 1, "errors": true, "items": vec![item; documents] })),
            }
        } else {
            (200, json!({ "version": { "number": "8.19.5" } }))
        };
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} x\r\nX-Elastic-Product: Elasticsearch\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// Everything that the agent logs.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

/// Of the whole process: whether a place logs at all is remembered for all threads.
static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let logged = Logged::default();
    let writer = logged.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).with_max_level(tracing::Level::TRACE).init();
    logged
});

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn elasticsearch(address: &str, mapping: &str) -> Box<dyn SinkPlan> {
    let options = json!({
        "endpoints": [address], "index": "logs", "mapping": mapping, "compression": "none", "template": "off",
        "document_id": "auto", "dead_letter": { "min_free": "0%" }
    });
    (sinks::elasticsearch::DESCRIPTOR.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(options)).expect("valid")
}

fn steps() -> transforms::steps::Options {
    let redact = json!({ "patterns": ["card_number", "email", "jwt"], "regexes": ["sk_live_[0-9]+"] });
    let steps = json!({ "steps": [
        { "parse_json": {} },
        { "set": "attributes[\"copy\"] = attributes[\"user\"][\"mail\"]" },
        { "rename": { "from": "attributes[\"set\"]", "to": "attributes[\"renamed\"]" } },
        { "redact": redact },
        { "delete": "attributes[\"gone\"]" },
        { "set": "attributes[\"again\"] = attributes[\"a\"]" }
    ] });
    serde_json::from_value(steps).expect("valid")
}

fn files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        text += &if path.is_dir() { files(&path) } else { std::fs::read_to_string(&path).expect("text") };
    }
    text
}

/// Undoes escapes until none is left.
fn shown(text: &str) -> String {
    let mut text = text.as_bytes().to_vec();
    loop {
        let mut next = Vec::new();
        tailwater::formats::json::text::unescape(&text, &mut next);
        if next == text {
            return String::from_utf8_lossy(&text).into_owned();
        }
        text = next;
    }
}

async fn no_secret_leaves(mapping: &str) {
    let logged = LOGGED.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let requests = Requests::default();
    let server = tokio::spawn(refuse(listener, requests.clone()));
    let folder = tempfile::tempdir().expect("a folder");

    let (push, pushes) = mpsc::channel(1);
    let graph = Plans::default()
        .source("pushed/in", 1, Pushed(Arc::new(tokio::sync::Mutex::new(pushes))))
        .transform("steps/main", 1, &["pushed/in"], steps())
        .sink_plan("elasticsearch/logs", &["steps/main"], elasticsearch(&address, mapping).into())
        .build();
    let common = Common { data_dir: folder.path().into(), ..common() };
    let (runner, _ended) = Runner::start(prepare(graph, &common).unwrap_or_else(|e| panic!("{e:?}")), common.clone());
    let (answer, answered) = oneshot::channel();
    push.send((LINES.to_vec(), answer)).await.expect("the source takes pushes");
    let verdict = tokio::time::timeout(Duration::from_secs(60), answered).await.expect("in time").expect("answered");
    assert_eq!(verdict.count(Outcome::DeadLettered), LINES.len() as u64, "{verdict:?}");
    runner.shutdown(Duration::from_secs(20)).await;
    server.abort();

    let requests = requests.lock().expect("not poisoned").clone();
    assert!(requests.len() >= 3, "busy, spliced, as text");
    let letters = files(&folder.path().join("dead_letter"));
    assert_eq!(letters.lines().count(), LINES.len());
    let letter = |line: &str| serde_json::from_str::<Json>(line).expect("a dead letter is JSON");
    assert!(letters.lines().all(|line| letter(line)["document"].is_object()));
    let logged = String::from_utf8_lossy(&logged.0.lock().expect("not poisoned")).into_owned();
    assert!(logged.contains("connected to"), "the log is read down to its most talkative level");
    let health = format!("{:?} {verdict:?}", common.telemetry.component("sink", "elasticsearch/logs").health.status());
    for (what, text) in [("requests", requests.concat()), ("dead letter", letters), ("log", logged), ("health", health)]
    {
        let shown = shown(&text);
        for secret in SECRETS {
            assert!(!shown.contains(secret), "{mapping}: {secret} is in the {what}: {shown}");
        }
    }
}

#[tokio::test]
async fn under_otel() {
    no_secret_leaves("otel").await;
}

#[tokio::test]
async fn under_ecs() {
    no_secret_leaves("ecs").await;
}
