//! The real Elasticsearch, started once for a test binary on a free loopback port, with a data folder of
//! its own. It runs until its standard input ends, which the end of this process brings about however it
//! comes, so no test can leave it behind.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{self, Message};

/// A running server.
pub struct Server {
    address: SocketAddr,
    /// Held for its standard input.
    _process: Child,
}

impl Server {
    /// The server that tests share: the settings of a default installation.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&[]))
    }

    /// A server that takes little at once: one writing thread with a queue of one, bodies of at most 1 MiB,
    /// 1500 KiB being written.
    pub fn tight() -> &'static Self {
        static TIGHT: OnceLock<Server> = OnceLock::new();
        TIGHT.get_or_init(|| {
            Self::start(&[
                "thread_pool.write.size=1",
                "thread_pool.write.queue_size=1",
                "http.max_content_length=1mb",
                "indexing_pressure.memory.limit=1500kb",
            ])
        })
    }

    /// Starts a server with these settings.
    pub fn start(settings: &[&str]) -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let data = std::env::temp_dir().join(format!("tailwater-elasticsearch-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&data).expect("a data folder");
        let errors = data.join("stderr.log");
        let mut process = Command::new(script())
            .arg(port.to_string())
            .arg(&data)
            .arg("--until-stdin-ends")
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&errors).expect("a log"))
            .spawn()
            .expect("the server's script runs");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let ready = lines.by_ref().any(|line| line.starts_with("READY "));
        assert!(ready, "Elasticsearch did not start: {}", std::fs::read_to_string(&errors).unwrap_or_default());
        std::thread::spawn(move || lines.for_each(drop));
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), _process: process }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `GET`, `PUT`, `POST` or `DELETE`: status and body.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Message { first_line: format!("{method} {path} HTTP/1.1"), headers: headers.into(), body };
        let answer = http::exchange(self.address, request).await.expect("the real server answers");
        (answer.status(), serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// The same, where nothing but success will do.
    pub async fn must(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// All documents of an index or data stream, by `_id`, each as often as it is stored.
    pub async fn documents(&self, target: &str) -> Vec<(String, Value)> {
        self.must("POST", &format!("/{target}/_refresh"), Value::Null).await;
        let query = json!({ "size": 10_000, "query": { "match_all": {} } });
        let found = self.must("POST", &format!("/{target}/_search"), query).await;
        let hits = found["hits"]["hits"].as_array().cloned().unwrap_or_default();
        hits.into_iter()
            .map(|hit| (hit["_id"].as_str().unwrap_or_default().to_owned(), hit["_source"].clone()))
            .collect()
    }
}

/// A name that no other test of this process has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An address where nobody listens, kept from others as long as this is held.
pub struct Nobody {
    /// Where nobody listens.
    pub address: SocketAddr,
    _bound: tokio::net::TcpSocket,
}

impl Nobody {
    /// A port that is taken and on which nobody listens.
    pub fn new() -> Self {
        let bound = tokio::net::TcpSocket::new_v4().expect("a socket");
        bound.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        Self { address: bound.local_addr().expect("bound"), _bound: bound }
    }
}

/// Waits until a condition holds; fails after a minute in these words.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok(), "not within a minute: {what}");
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/elasticsearch/start")
}
