//! The binary between a sender and the real Prometheus: what it takes it sends on, in both versions, and what
//! Prometheus refuses comes back to the sender in Prometheus's words.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tailwater::data::metrics::STALE;
use tailwater::data::{MetricKind, SeriesTable, UnixMillis};
use tailwater::formats::prometheus::remote_write::{Body, Compressor, EncodeOptions, Encoder, Part, Version};

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::samples::{Made, Value, batch, family, integer_histogram, labels, number};
use crate::server_process::{free_ports, new_folder};

struct Relay {
    prometheus: PrometheusServer,
    address: SocketAddr,
    folder: PathBuf,
    agent: Option<Agent>,
}

impl Relay {
    async fn start(version: &str, buffer: &str) -> Self {
        let prometheus = PrometheusServer::start(Mode::Server, "").await;
        let ([port], folder) = (free_ports(), new_folder("relay"));
        let config = folder.join("tailwater.yaml");
        let text = format!(
            "data_dir: {}/data\nadmin: {{ listen: off }}\nhealth: {{ listen: off }}\n\
             identity: {{ external_labels: {{ region: eu }} }}\nsources:\n  \
             prometheus_remote_write/in: {{ listen: \"127.0.0.1:{port}\" }}\nsinks:\n  \
             prometheus_remote_write/out:\n    inputs: [prometheus_remote_write/in]\n    url: {}\n    \
             version: \"{version}\"\n    buffer: {buffer}\n",
            folder.display(),
            prometheus.write_url()
        );
        std::fs::write(&config, text).expect("a configuration");
        let agent = Some(Agent::start(&config));
        Self { prometheus, address: SocketAddr::from(([127, 0, 0, 1], port)), folder, agent }
    }

    /// Sends samples, and once more while nobody listens yet or they are to be sent again.
    async fn send(&self, version: Version, made: &[Made]) -> Message {
        let table = SeriesTable::new(100);
        let batch = batch(&table, made);
        let mut encoder =
            Encoder::new(version, EncodeOptions { exemplars: true, metadata: true, ..EncodeOptions::default() });
        let (mut compressor, mut bodies) = (Compressor::default(), [Body::new()]);
        let part = Part::whole(&batch, 1, usize::MAX);
        encoder.encode(&batch, &table.read(), &part, &mut compressor, &mut bodies);
        let body = bodies[0].finish(&mut compressor, Vec::new()).as_ref().to_vec();
        let headers = [
            ("content-type", version.content_type()),
            ("content-encoding", "snappy"),
            ("x-prometheus-remote-write-version", version.header()),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let request = Message { first_line: "POST /api/v1/write HTTP/1.1".into(), headers, body };
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                pace.tick().await;
                match exchange(self.address, request.clone()).await {
                    Some(answer) if answer.status() != 503 => return answer,
                    _ => {}
                }
            }
        })
        .await
        .expect("an answer within a minute")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.agent.take());
        // What is left lies in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    UnixMillis(now.as_millis() as i64).0
}

/// A scrape, and the next, in which a series has ended.
fn scrapes(now: i64) -> [Vec<Made>; 2] {
    let scrape = |millis: i64, value: f64| {
        let mut counter = number("requests_total", "a:1", millis, value);
        counter.family = family("requests_total", MetricKind::Counter, "Requests.", "");
        counter.exemplars = vec![(labels([("trace_id", "abc")]), 0.5, millis)];
        let mut native = number("latency_seconds", "a:1", millis, 0.0);
        native.value = Value::Histogram(tailwater::data::Histogram { sum: value, ..integer_histogram() });
        native.family = family("latency_seconds", MetricKind::Histogram, "Latency.", "seconds");
        vec![counter, native, number("up", "a:1", millis, 1.0)]
    };
    let mut second = scrape(now, 2.5);
    second[2].value = Value::Number(STALE);
    [scrape(now - 15_000, 1.5), second]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_it_is_in_prometheus_in_both_versions() {
    for (version, incoming) in [("1.0", Version::V2), ("2.0", Version::V1), ("2.0", Version::V2)] {
        let relay = Relay::start(version, "{}").await;
        let now = now();
        for scrape in scrapes(now) {
            let answer = relay.send(incoming, &scrape).await;
            assert_eq!(answer.status(), 204, "{}", String::from_utf8_lossy(&answer.body));
            if incoming == Version::V2 {
                assert_eq!(answer.headers["x-prometheus-remote-write-samples-written"], "2");
                assert_eq!(answer.headers["x-prometheus-remote-write-histograms-written"], "1");
                assert_eq!(answer.headers["x-prometheus-remote-write-exemplars-written"], "1");
            }
        }
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let stored = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                pace.tick().await;
                let stored = relay.prometheus.all_samples().await;
                if stored.values().map(Vec::len).sum::<usize>() >= 5 {
                    return stored;
                }
            }
        })
        .await
        .expect("everything arrives within a minute");
        let of = |name: &str| &stored[&labels([("__name__", name), ("instance", "a:1"), ("region", "eu")])];
        assert_eq!(of("requests_total"), &[(now - 15_000, "1.5".to_owned()), (now, "2.5".to_owned())]);
        assert_eq!(of("up"), &[(now - 15_000, "1".to_owned())]);
        let sums: Vec<_> = of("latency_seconds").iter().map(|(_, text)| text.clone()).collect();
        assert!(sums[0].contains("\"sum\":\"1.5\"") && sums[1].contains("\"sum\":\"2.5\""), "{sums:?}");
        assert!(!relay.prometheus.is_live("up").await, "a staleness marker has ended it");
        let path =
            format!("/api/v1/query_exemplars?query=requests_total&start={}&end={}", now / 1000 - 60, now / 1000 + 1);
        let exemplars = relay.prometheus.api(&path).await;
        assert_eq!(exemplars[0]["exemplars"].as_array().map(Vec::len), Some(2), "{exemplars}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_that_comes_too_late_is_refused_in_prometheuss_words() {
    for version in ["1.0", "2.0"] {
        let relay = Relay::start(version, "{ disk: off }").await;
        let now = now();
        let [first, second] = scrapes(now);
        assert_eq!(relay.send(Version::V2, &second).await.status(), 204);
        let mut late = first;
        late.truncate(1);
        late[0].exemplars.clear();
        late.push(number("fresh", "a:1", now, 1.0));
        // One of them is taken, and the answer says so beside the reason why the other is not.
        let answer = relay.send(Version::V2, &late).await;
        let words = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status(), 400, "{words}");
        assert!(words.contains("1 samples were refused") && words.contains("out of order sample"), "{words}");
        let written = answer.headers.get("x-prometheus-remote-write-samples-written");
        assert_eq!(written.map(String::as_str), Some("1"), "{words}");
        late.truncate(1);
        let answer = relay.send(Version::V2, &late).await;
        let words = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status(), 400, "{words}");
        assert!(words.contains("out of order sample"), "{words}");
        let stored = relay.prometheus.samples("fresh").await;
        assert_eq!(stored.values().map(Vec::len).sum::<usize>(), 1, "the good one was not lost with the late one");
    }
}
