//! The query API beside the real Prometheus's: the same samples in both, some hundred queries, each as an instant and as a
//! range, compared value by value; and what is listed of series and labels.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tailwater::data::metrics::STALE;

use crate::agent::Agent;
use crate::http::exchange;
use crate::prometheus_server::{Mode, PrometheusServer};
use crate::same_as_prometheus::{Written, now, request};
use crate::server_process::free_ports;
use crate::setup::Setup;
use crate::{seed, until};

/// Seconds between samples, and how many there are.
const STEP: i64 = 15;
const STEPS: i64 = 80;

/// Selectors of one kind of metric each: a counter that is reset, a gauge with gaps, buckets.
const COUNTER: &str = "requests_total";
const GAUGE: &str = "temperature";

fn queries() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |text: String| all.push(text);
    for function in ["rate", "increase", "irate", "delta", "idelta", "resets", "changes", "deriv"] {
        for (metric, range) in [(COUNTER, "1m"), (COUNTER, "5m"), (GAUGE, "2m30s"), ("latency_bucket", "3m")] {
            add(format!("{function}({metric}[{range}])"));
        }
    }
    for function in ["avg", "min", "max", "sum", "count", "last", "present", "stddev", "stdvar", "absent"] {
        add(format!("{function}_over_time({GAUGE}[4m])"));
        add(format!("{function}_over_time({COUNTER}{{zone=\"a\"}}[45s] offset 1m)"));
    }
    for quantile in ["0", "0.25", "0.5", "0.9", "1", "1.5", "-1"] {
        add(format!("quantile_over_time({quantile}, {GAUGE}[3m])"));
        add(format!("quantile by (zone) ({quantile}, {GAUGE})"));
        add(format!("histogram_quantile({quantile}, rate(latency_bucket[5m]))"));
        add(format!("histogram_quantile({quantile}, sum by (le, zone) (rate(latency_bucket[5m])))"));
    }
    for aggregation in ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"] {
        for grouping in ["", "by (zone)", "without (host)", "by (zone, missing)"] {
            add(format!("{aggregation} {grouping} ({GAUGE})"));
            add(format!("{aggregation} {grouping} (rate({COUNTER}[1m]))"));
        }
    }
    for function in
        ["abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "tan", "deg", "rad"]
    {
        add(format!("{function}({GAUGE} - 20)"));
    }
    for operator in ["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "atan2"] {
        add(format!("{GAUGE} {operator} on (host, zone) {COUNTER}"));
        add(format!("{GAUGE} {operator} 20.5"));
        add(format!("{GAUGE} {operator} on (zone) group_left () sum by (zone) ({COUNTER})"));
    }
    for operator in ["==", "!=", ">", "<"] {
        add(format!("{GAUGE} {operator} bool 20"));
        add(format!("2 {operator} bool 1"));
    }
    for operator in ["and", "or", "unless"] {
        add(format!("{GAUGE} {operator} {GAUGE} > 20"));
        add(format!("{GAUGE} {operator} on (zone) {COUNTER}{{zone=\"a\"}}"));
    }
    all.extend(
        [
            "topk(3, temperature)",
            "bottomk by (zone) (1, temperature)",
            "count_values(\"v\", round(temperature, 10))",
            "absent(temperature)",
            "absent(nothing{a=\"b\"})",
            "scalar(temperature{host=\"h-0\"})",
            "vector(time())",
            "time()",
            "pi()",
            "timestamp(temperature)",
            "label_replace(temperature, \"to\", \"$1-x\", \"host\", \"h-(.*)\")",
            "label_join(temperature, \"to\", \"/\", \"zone\", \"host\")",
            "predict_linear(temperature[5m], 600)",
            "clamp(temperature, 15, 25)",
            "clamp_min(temperature, 15)",
            "round(temperature, 0.5)",
            "max_over_time(rate(requests_total[1m])[5m:30s])",
            "sum_over_time(temperature[5m:1m] offset 30s)",
            "temperature @ end()",
            "rate(requests_total[1m] @ start())",
            "temperature offset -1m",
            "temperature{host=~\"h-[0-2]\", zone!=\"a\"}",
            "{__name__=~\"temp.*\"}",
            "-temperature",
            "sum(temperature) / count(temperature)",
            "histogram_fraction(0, 0.1, rate(latency_bucket[5m]))",
            "day_of_week(vector(time()))",
            "hour()",
            "days_in_month()",
            "sort_desc(temperature)",
            "temperature > 18 < 22",
        ]
        .map(str::to_owned),
    );
    all
}

/// The samples of each step, in the order of time.
fn samples(seed: u64) -> Vec<Vec<Written>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut counters = [0.0; 8];
    let mut buckets = [[0.0; 4]; 2];
    let steps = (0..STEPS).map(|_| {
        let mut step: Vec<Written> = Vec::new();
        for (number, counter) in counters.iter_mut().enumerate() {
            let labels = || vec![("host", format!("h-{number}")), ("zone", ["a", "b"][number % 2].to_owned())];
            *counter = if random.u8(..40) == 0 { 0.0 } else { *counter + f64::from(random.u8(..50)) };
            step.push((COUNTER.into(), labels(), *counter));
            match random.u8(..20) {
                0 => {}
                1 => step.push((GAUGE.into(), labels(), STALE)),
                _ => step.push((GAUGE.into(), labels(), f64::from(random.u16(..4000)) / 100.0)),
            }
        }
        for (number, counts) in buckets.iter_mut().enumerate() {
            for bucket in 0..counts.len() {
                let more = f64::from(random.u8(..9));
                counts[bucket..].iter_mut().for_each(|count| *count += more);
            }
            for (bound, count) in ["0.1", "0.5", "1", "+Inf"].into_iter().zip(counts.iter()) {
                let labels = vec![("le", bound.to_owned()), ("zone", ["a", "b"][number].to_owned())];
                step.push(("latency_bucket".into(), labels, *count));
            }
        }
        step
    });
    steps.collect()
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Series of a result by their labels, each with its points.
fn series(data: &Value) -> BTreeMap<String, Vec<(String, f64)>> {
    let point = |point: &Value| {
        let value = match point[1].as_str().unwrap_or_default() {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            text => text.parse().unwrap_or(f64::NAN),
        };
        (point[0].to_string(), value)
    };
    let result = &data["result"];
    if data["resultType"] == "scalar" {
        return [(String::new(), vec![point(result)])].into();
    }
    let one = |one: &Value| {
        let points = one["values"].as_array().map(|points| points.iter().map(point).collect());
        (one["metric"].to_string(), points.unwrap_or_else(|| vec![point(&one["value"])]))
    };
    result.as_array().expect("series").iter().map(one).collect()
}

fn same(own: &Value, theirs: &Value) -> bool {
    let (own, theirs) = (series(own), series(theirs));
    let close =
        |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9);
    own.len() == theirs.len()
        && own.iter().zip(&theirs).all(|((labels, points), (other, others))| {
            labels == other
                && points.len() == others.len()
                && points.iter().zip(others).all(|((at, a), (when, b))| at == when && close(*a, *b))
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_has_prometheus_values() {
    let setup = Setup::new();
    let [port] = free_ports();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let config = setup.configure(
        "groups: []",
        json!({
            "sources": { "prometheus_remote_write/in": { "listen": address.to_string() } },
            "alerting": {
                "inputs": ["prometheus_remote_write/in"],
                "store": { "selectors": ["{__name__=~\".+\"}"] },
            },
        }),
    );
    let prometheus = PrometheusServer::start(Mode::Server, "").await;
    let agent = Agent::start(&config);
    until("the agent is there", || async { setup.api("/api/v1/rules").await.is_some() }).await;
    let end = now() / 1000 / STEP * STEP;
    let begin = end - (STEPS - 1) * STEP;
    for (step, written) in samples(seed()).into_iter().enumerate() {
        let message = request(&written, (begin + step as i64 * STEP) * 1000);
        for to in [address, prometheus.address()] {
            until(&format!("what is written is taken: {}", agent.log()), || async {
                exchange(to, message.clone()).await.is_some_and(|answer| answer.status() / 100 == 2)
            })
            .await;
        }
    }
    let queries = queries();
    assert!(queries.len() > 200, "{}", queries.len());
    let mut differ = Vec::new();
    for query in &queries {
        let (from, text) = (end - 40 * STEP, encoded(query));
        for path in [
            format!("/api/v1/query?query={text}&time={}", end - 7),
            format!("/api/v1/query_range?query={text}&start={from}&end={end}&step=20"),
        ] {
            let (own, theirs) = (setup.api(&path).await.expect("an answer"), prometheus.api(&path).await);
            if own["resultType"] != theirs["resultType"] || !same(&own, &theirs) {
                differ.push(format!("{query} by {}\n  own    {own}\n  theirs {theirs}", &path[..18]));
            }
        }
    }
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), 2 * queries.len(), differ.join("\n"));
    let span = format!("start={begin}&end={end}");
    for listed in [
        format!("/api/v1/labels?{span}"),
        format!("/api/v1/label/host/values?{span}"),
        format!("/api/v1/label/__name__/values?{span}"),
        format!("/api/v1/labels?{span}&match[]=latency_bucket"),
    ] {
        assert_eq!(setup.api(&listed).await.expect("an answer"), prometheus.api(&listed).await, "{listed}");
    }
    let found = format!("/api/v1/series?{span}&match[]=temperature&match[]={}", encoded("{le=\"1\"}"));
    let sorted = |answer: Value| {
        let mut series: Vec<String> = answer.as_array().expect("series").iter().map(Value::to_string).collect();
        series.sort();
        series
    };
    assert_eq!(sorted(setup.api(&found).await.expect("an answer")), sorted(prometheus.api(&found).await));
    agent.stop();
}
