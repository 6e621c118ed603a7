//! The real Prometheus with the same rules on the same data: the same alerts in the same states at the same times of
//! evaluation, and the same recorded series.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tailwater::data::metrics::STALE;

use crate::agent::Agent;
use crate::http::{Message, exchange};
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::{seed, until};

/// Both look a while back, so that what they see has come to both.
const RULES: &str = r#"
groups:
  - name: pages
    interval: 1s
    query_offset: 2s
    labels: { team: shop }
    rules:
      - { record: "job:errors:rate5s", expr: "sum by (job) (rate(errors_total[5s]))", labels: { kind: recorded } }
      - alert: High
        expr: job:errors:rate5s > 3
        labels: { severity: "{{ if gt $value 6.0 }}critical{{ else }}warning{{ end }}" }
      - alert: Level
        expr: level > 5
        for: 3s
        annotations: { summary: "{{ $labels.instance }} is at {{ $value }}" }
      - alert: Kept
        expr: level > 8
        for: 1s
        keep_firing_for: 3s
      - { alert: Gone, expr: 'absent(level{instance="i-0"})' }
  - name: other
    interval: 2s
    query_offset: 2s
    rules:
      - { record: "level:max", expr: "max without (instance) (level)" }
      - { alert: Firing, expr: 'count(ALERTS{alertstate="firing", alertname!="Firing"}) > 2', for: 2s }
"#;

const SERIES: usize = 6;

/// How long data is written.
const SECONDS: u64 = 24;

/// Milliseconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// A series and its sample: name, labels, value.
pub type Written = (String, Vec<(&'static str, String)>, f64);

/// A request of remote write 1.0 with these series, each with one sample.
pub fn request(series: &[Written], millis: i64) -> Message {
    fn varint(mut number: u64, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
    fn field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        varint(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
    let mut body = Vec::new();
    for (name, labels, value) in series {
        let mut one = Vec::new();
        let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in [("__name__", name.as_str())].into_iter().chain(labels) {
            let mut label = Vec::new();
            field(0x0a, name.as_bytes(), &mut label);
            field(0x12, value.as_bytes(), &mut label);
            field(0x0a, &label, &mut one);
        }
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        varint(millis as u64, &mut sample);
        field(0x12, &sample, &mut one);
        field(0x0a, &one, &mut body);
    }
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    Message {
        first_line: "POST /api/v1/write HTTP/1.1".into(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: snap::raw::Encoder::new().compress_vec(&body).expect("small"),
    }
}

/// What both are told of, a step a second.
struct World {
    random: fastrand::Rng,
    second: u64,
    errors: [f64; SERIES],
    there: [bool; SERIES],
}

impl World {
    fn step(&mut self) -> Vec<Written> {
        let mut series = Vec::new();
        for number in 0..SERIES {
            let labels = || vec![("instance", format!("i-{number}")), ("job", format!("j-{}", number % 2))];
            self.errors[number] += f64::from(self.random.u8(..5));
            series.push(("errors_total".to_owned(), labels(), self.errors[number]));
            // Now and then a series ends, and begins again; two do in each run what the rules wait for.
            let was = self.there[number];
            let chance = if was { self.random.u8(..8) > 0 } else { self.random.u8(..4) == 0 };
            let level = f64::from(self.random.u8(..14));
            let (there, level) = match number {
                0 => (!(9..14).contains(&self.second), level),
                1 => (true, if (6..13).contains(&self.second) { 13.0 } else { level }),
                _ => (chance, level),
            };
            self.there[number] = there;
            match (was, there) {
                (_, true) => series.push(("level".to_owned(), labels(), level)),
                (true, false) => series.push(("level".to_owned(), labels(), STALE)),
                (false, false) => {}
            }
        }
        self.second += 1;
        series
    }
}

type Series = BTreeMap<String, Vec<(i64, String)>>;

/// Samples of the results of rules between two times.
fn between(found: &Value, from: i64, to: i64) -> Series {
    let mut series = Series::new();
    for one in found["result"].as_array().expect("a matrix") {
        let points = one["values"].as_array().expect("points").iter().map(|point| {
            let millis = (point[0].as_f64().expect("seconds") * 1000.0).round() as i64;
            (millis, point[1].as_str().expect("a number").to_owned())
        });
        let points: Vec<_> = points.filter(|(millis, _)| (from..=to).contains(millis)).collect();
        if !points.is_empty() {
            let labels: BTreeMap<String, String> = serde_json::from_value(one["metric"].clone()).expect("labels");
            series.insert(format!("{labels:?}"), points);
        }
    }
    series
}

const RESULTS: &str = "/api/v1/query?query=%7B__name__%3D~%22ALERTS%7CALERTS_FOR_STATE%7Cjob%3Aerrors%3Arate5s%7Clevel%3Amax%22%7D%5B5m%5D";

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rules_on_the_same_data_say_the_same() {
    let mut world =
        World { random: fastrand::Rng::with_seed(seed()), second: 0, errors: [0.0; SERIES], there: [true; SERIES] };
    let setup = Setup::new();
    let [port] = free_ports();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let rules = setup.path("rules.yaml");
    let config = setup.configure(
        RULES,
        json!({
            "sources": { "prometheus_remote_write/in": { "listen": address.to_string() } },
            "alerting": {
                "inputs": ["prometheus_remote_write/in"], "rule_files": [rules], "missing_input": "prometheus",
            },
        }),
    );
    // Hashed times of groups follow from the file's name, which is the same for both.
    let prometheus = PrometheusServer::start(
        Mode::Server,
        &format!("global: {{ evaluation_interval: 1s }}\nrule_files: [{:?}]\n", rules.display().to_string()),
    )
    .await;
    let agent = Agent::start(&config);
    until("the agent is there", || async { setup.api("/api/v1/rules").await.is_some() }).await;
    let begin = now();
    for _ in 0..SECONDS {
        let (series, millis) = (world.step(), now());
        let message = request(&series, millis);
        for to in [address, prometheus.address()] {
            until(&format!("what is written is taken: {}", agent.log()), || async {
                exchange(to, message.clone()).await.is_some_and(|answer| answer.status() / 100 == 2)
            })
            .await;
        }
        tokio::time::sleep(Duration::from_millis((1000 - (now() - millis)).max(0) as u64)).await;
    }
    // The last evaluations that are compared are over.
    let (from, to) = (begin + 4_000, begin + SECONDS as i64 * 1000 - 3_000);
    until("the last evaluation", || async { now() > to + 4_000 }).await;
    let (own, theirs) = (setup.api(RESULTS).await.expect("an answer"), prometheus.api(RESULTS).await);
    let (own, theirs) = (between(&own, from, to), between(&theirs, from, to));
    for (labels, points) in &theirs {
        assert_eq!(own.get(labels), Some(points), "{labels}: {}", agent.log());
    }
    assert_eq!(own.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let told = format!("{:?}", theirs.keys());
    for expected in ["pending", "firing", "Kept", "High", "Gone", "level:max", "ALERTS_FOR_STATE"] {
        assert!(told.contains(expected), "nothing of {expected} happened: {told}");
    }
    agent.stop();
}
