//! Whatever a target says, the agent makes of it what Prometheus makes of it: both scrape the same target under the
//! same jobs; what the agent sends is stored by another Prometheus, and both hold the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::exposition_target::{Exposition, ExpositionTarget, OPENMETRICS, PROTOBUF};
use crate::metric_family_proto::{
    Bucket, BucketSpan, Counter, Exemplar, Histogram, LabelPair, Metric, MetricFamily, Number, Quantile, Summary,
    Timestamp, delimited,
};
use crate::prometheus_server::{Labels, Mode, PrometheusServer, Samples};
use crate::python_target::PythonTarget;
use crate::setup::Setup;
use crate::{seed, until};

const TEXT_1_0: &str = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8";

/// A job and what its target says.
struct Case {
    job: &'static str,
    exposition: Exposition,
    /// Further keys of the job.
    keys: Value,
}

fn case(job: &'static str, exposition: Exposition, keys: Value) -> Case {
    Case { job, exposition, keys }
}

fn cases() -> Vec<Case> {
    let text = Exposition::text;
    let openmetrics = |body: &str| Exposition::new(OPENMETRICS, body);
    vec![
        case(
            "plain",
            text("# HELP a A.\n# TYPE a counter\na 1\na{b=\"c\"} 2.5\n# TYPE d gauge\nd{e=\"\"} NaN\n"),
            json!({}),
        ),
        case(
            "blanks",
            text("\n  \n# a comment\n#\na  { b = \"c\" , } \t 1 \nx 2\n# TYPE y gauge\ny{a=\"1\",b=\"2\",} 3\n"),
            json!({}),
        ),
        case(
            "escapes",
            text(
                "a{b=\"quo\\\"ted\",c=\"back\\\\slash\",d=\"new\\nline\",e=\"\\q\",f=\"grüße\"} 1\n# HELP a x\\ny\\\\z\n",
            ),
            json!({}),
        ),
        case(
            "numbers",
            text("a 1e3\nb +Inf\nc -Inf\nd NaN\nh .5\ni 5.\nj 1e-400\nk 1.7976931348623157e308\n"),
            json!({}),
        ),
        case("minus_zero", text("a -0\n"), json!({})),
        case("hexadecimal", text("a 1\nb 0x1p-2\n"), json!({})),
        case("odd_type", text("a 1\n# TYPE  y   gauge \ny 1\n"), json!({})),
        case("no_blank", text("a 1\ny{a=\"1\"}3\n"), json!({})),
        case("underscored", text("a 1\nb 1_000\n"), json!({})),
        case(
            "more_numbers",
            text("a inf\nb infinity\nc nan\nd 1E5\ne +1\nf 123456789012345678901234567890\n"),
            json!({}),
        ),
        case("quoted", Exposition::new(TEXT_1_0, "{\"a.b\",\"c d\"=\"e\"} 1\nplain{\"x.y\"=\"z\"} 2\n"), json!({})),
        case(
            "underscores",
            Exposition::new(TEXT_1_0, "{\"a.b\",\"c d\"=\"e\"} 1\n"),
            json!({ "metric_name_validation_scheme": "legacy", "metric_name_escaping_scheme": "underscores" }),
        ),
        case("histogram", text(HISTOGRAM), json!({})),
        case("gzip", Exposition { gzip: true, ..text(HISTOGRAM) }, json!({})),
        case(
            "openmetrics",
            openmetrics(
                "# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a Help.\na_total{b=\"c\"} 5 # {trace_id=\"7\"} 0.5 1.5\n\
                 a_created{b=\"c\"} 1700000000.5\n# TYPE i info\ni_info{v=\"1\"} 1\n# TYPE s stateset\ns{s=\"on\"} 1\n\
                 s{s=\"off\"} 0\n# TYPE u unknown\nu 3\n# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {} 0.7\n\
                 h_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\nh_created 1700000000\n# TYPE g gaugehistogram\n\
                 g_bucket{le=\"+Inf\"} 2\ng_gsum 3\ng_gcount 2\n# TYPE q summary\nq{quantile=\"0.5\"} 1\nq_sum 2\nq_count 3\n# EOF\n",
            ),
            json!({}),
        ),
        case("no_eof", openmetrics("# TYPE a gauge\na 1\n"), json!({})),
        case("broken", text("a 1\nb{c=\"d} 2\n"), json!({})),
        case("no_newline", text("a 1\nb 2"), json!({})),
        case("empty", text(""), json!({})),
        case("unknown_type", Exposition::new("text/html", "a 1\n"), json!({})),
        case("fallback", Exposition::new("", "a 1\n"), json!({ "fallback_scrape_protocol": "PrometheusText0.0.4" })),
        case("no_type", Exposition::new("", "a 1\n"), json!({})),
        case("status", Exposition::status(503), json!({})),
        case("doubled", text("a{b=\"c\"} 1\na{b=\"c\"} 2\nd 3\n"), json!({})),
        case("clash", text("a{job=\"theirs\",instance=\"i\",exported_job=\"e\"} 1\nb{job=\"\"} 2\n"), json!({})),
        case(
            "honor_labels",
            text("a{job=\"theirs\",instance=\"i\",exported_job=\"e\"} 1\nb{job=\"\"} 2\n"),
            json!({ "honor_labels": true }),
        ),
        case(
            "relabelled",
            text("a{b=\"c\"} 1\nd{b=\"e\"} 2\nf{tmp_x=\"y\"} 3\ngone 4\n"),
            json!({ "metric_relabel_configs": [
                { "source_labels": ["__name__"], "regex": "gone", "action": "drop" },
                { "source_labels": ["b"], "regex": "(.)", "target_label": "b_again", "replacement": "<$1>" },
                { "regex": "tmp_(.+)", "action": "labelmap", "replacement": "kept_$1" },
                { "regex": "tmp_.+", "action": "labeldrop" },
                { "source_labels": ["b"], "modulus": 7, "target_label": "shard", "action": "hashmod" },
            ] }),
        ),
        case(
            "target_relabelled",
            text("a 1\n"),
            json!({ "relabel_configs": [
                { "target_label": "fixed", "replacement": "yes" },
                { "source_labels": ["__address__"], "regex": "([^:]+):.*", "target_label": "host" },
            ], "params": { "p": ["1", "2"] } }),
        ),
        case("at_limit", text("a 1\nb 2\n"), json!({ "sample_limit": 2 })),
        case("over_limit", text("a 1\nb 2\nc 3\n"), json!({ "sample_limit": 2 })),
        case("label_limit", text("a{b=\"1\",c=\"2\",d=\"3\"} 1\n"), json!({ "label_limit": 4 })),
        case("name_limit", text("a{long_label_name=\"1\"} 1\n"), json!({ "label_name_length_limit": 9 })),
        case(
            "value_limit",
            text("a{b=\"0123456789012345678901234567890\"} 1\n"),
            json!({ "label_value_length_limit": 25 }),
        ),
        case("body_limit", text("a 1\nb 2\nc 3\n"), json!({ "body_size_limit": "8B" })),
        case("extra", text("a 1\n"), json!({ "sample_limit": 10, "body_size_limit": "1KB" })),
        case(
            "protobuf",
            Exposition::new(PROTOBUF, delimited(&families())),
            json!({ "scrape_protocols": ["PrometheusProto"] }),
        ),
        case(
            "native",
            Exposition::new(PROTOBUF, delimited(&families())),
            json!({ "scrape_protocols": ["PrometheusProto"], "scrape_native_histograms": true }),
        ),
        case(
            "native_and_classic",
            Exposition::new(PROTOBUF, delimited(&families())),
            json!({ "scrape_protocols": ["PrometheusProto"], "scrape_native_histograms": true,
                "always_scrape_classic_histograms": true }),
        ),
        case("bad_utf8", Exposition::text(&b"a{b=\"\xff\"} 1\n"[..]), json!({})),
    ]
}

const HISTOGRAM: &str = "# TYPE h histogram\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"1e+06\"} 3\n\
    h_bucket{le=\"+Inf\"} 4\nh_sum 5.5\nh_count 4\n# TYPE s summary\ns{quantile=\"0.50\"} 1\ns_sum 2\ns_count 3\n";

fn families() -> Vec<MetricFamily> {
    let label = |name: &str, value: &str| LabelPair { name: name.into(), value: value.into() };
    let exemplar = || Exemplar {
        label: vec![label("trace_id", "7")],
        value: 0.5,
        timestamp: Some(Timestamp { seconds: 1_700_000_000, nanos: 5 }),
    };
    let family = |name: &str, kind: i32, metric: Metric| MetricFamily {
        name: name.into(),
        help: format!("Help of {name}."),
        kind,
        metric: vec![metric],
        unit: String::new(),
    };
    let bucket = |upper_bound, cumulative_count| Bucket {
        cumulative_count,
        upper_bound,
        exemplar: Some(exemplar()),
        cumulative_count_float: 0.0,
    };
    let classic = Histogram {
        sample_count: 4,
        sample_sum: 5.5,
        bucket: vec![bucket(0.5, 1), bucket(10.0, 2), bucket(1e6, 3)],
        ..Histogram::default()
    };
    let native = Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 1,
        positive_span: vec![BucketSpan { offset: -2, length: 2 }, BucketSpan { offset: 3, length: 1 }],
        positive_delta: vec![1, 1, -1],
        negative_span: vec![BucketSpan { offset: 0, length: 1 }],
        negative_delta: vec![2],
        sample_count: 7,
        sample_sum: 18.4,
        exemplars: vec![exemplar()],
        bucket: vec![bucket(0.5, 3), bucket(f64::INFINITY, 7)],
        ..Histogram::default()
    };
    let quantiles = vec![Quantile { quantile: 0.5, value: 1.5 }, Quantile { quantile: 0.99, value: f64::NAN }];
    let start = Some(Timestamp { seconds: 1_700_000_000, nanos: 0 });
    vec![
        family(
            "c_total",
            0,
            Metric {
                label: vec![label("b", "c"), label("a", "grüße")],
                counter: Some(Counter { value: 5.0, exemplar: Some(exemplar()), start_timestamp: start }),
                ..Metric::default()
            },
        ),
        family("g", 1, Metric { gauge: Some(Number { value: -0.5 }), ..Metric::default() }),
        family("u", 3, Metric { untyped: Some(Number { value: f64::INFINITY }), ..Metric::default() }),
        family(
            "s",
            2,
            Metric {
                summary: Some(Summary { sample_count: 3, sample_sum: 2.0, quantile: quantiles }),
                ..Metric::default()
            },
        ),
        family("h", 4, Metric { histogram: Some(classic), ..Metric::default() }),
        family("n", 4, Metric { histogram: Some(native.clone()), ..Metric::default() }),
        family("gh", 5, Metric { histogram: Some(native), ..Metric::default() }),
        family("utf.8", 1, Metric { gauge: Some(Number { value: 8.0 }), ..Metric::default() }),
    ]
}

/// What is stored of a series, without what differs from scrape to scrape: each value once, in order.
fn settled(samples: &Samples) -> BTreeMap<Labels, Vec<String>> {
    // Prometheus remembers the series of a scrape that failed, the agent does not: of those jobs it is not compared
    // how many were added.
    let up = samples.iter().filter(|(labels, _)| labels["__name__"] == "up");
    let down: Vec<_> = up.filter(|(_, values)| values.iter().any(|(_, value)| value == "0")).collect();
    let is_down = |labels: &Labels| down.iter().any(|(up, _)| up["job"] == labels["job"]);
    let of_series = |(labels, samples): (&Labels, &Vec<(i64, String)>)| {
        let mut values: Vec<_> = samples.iter().map(|(_, value)| value.clone()).collect();
        values.dedup();
        match labels["__name__"].as_str() {
            "scrape_duration_seconds" => values.clear(),
            "scrape_series_added" if is_down(labels) => values.clear(),
            _ => {}
        }
        (labels.clone(), values)
    };
    samples.iter().map(of_series).collect()
}

/// Jobs for both, one for each case.
fn jobs(cases: &[Case], target: &str) -> Value {
    let job = |case: &Case| {
        let mut job = json!({
            "job_name": case.job,
            "metrics_path": format!("/{}", case.job),
            "static_configs": [{ "targets": [target], "labels": { "team": "shop" } }],
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
        });
        let keys = case.keys.as_object().expect("keys").clone();
        job.as_object_mut().expect("keys").extend(keys);
        job
    };
    cases.iter().map(job).collect()
}

/// Who is compared with Prometheus.
#[derive(Clone, Copy)]
enum Sender {
    /// The agent, by this version of remote write.
    Agent(&'static str),
    /// Prometheus in agent mode, by this message.
    Prometheus(&'static str),
}

/// Scrapes these jobs with both; fails where they differ, and tells every difference.
async fn compare(jobs: Value, sender: Sender) {
    let count = jobs.as_array().expect("jobs").len();
    let prometheus = PrometheusServer::start(Mode::Server, &json!({ "scrape_configs": jobs }).to_string()).await;
    let receiver = PrometheusServer::receiver().await;
    let setup = Setup::new();
    let mut agent = None;
    let mut prometheus_agent = None;
    match sender {
        Sender::Agent(version) => agent = Some(setup.scrape_and_send(jobs, &receiver.write_url(), version)),
        Sender::Prometheus(message) => {
            let config = json!({
                "scrape_configs": jobs,
                "remote_write": [{ "url": receiver.write_url(), "protobuf_message": message, "send_native_histograms": true }],
            });
            prometheus_agent = Some(PrometheusServer::start(Mode::Agent, &config.to_string()).await);
        }
    }
    let thrice = async |server: &PrometheusServer| {
        let scrapes = server.samples("up").await;
        scrapes.len() == count && scrapes.values().all(|samples| samples.len() >= 3)
    };
    until("Prometheus scraped every job three times", || thrice(&prometheus)).await;
    until("so did the other", || thrice(&receiver)).await;
    if let Some(agent) = agent {
        agent.stop();
    }
    drop(prometheus_agent);
    let (theirs, ours) = (settled(&prometheus.all_samples().await), settled(&receiver.all_samples().await));
    let mut differences = String::new();
    for (labels, values) in &theirs {
        match ours.get(labels) {
            Some(own) if own == values => {}
            own => differences += &format!("{labels:?}: Prometheus has {values:?}, the agent {own:?}\n"),
        }
    }
    for labels in ours.keys().filter(|labels| !theirs.contains_key(*labels)) {
        differences += &format!("{labels:?}: only the agent has it\n");
    }
    assert!(theirs.len() > count * 4, "Prometheus stored too little to compare: {theirs:?}");
    assert!(differences.is_empty(), "{differences}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exposition_means_what_it_means_to_prometheus_by_1_0() {
    every_exposition(Sender::Agent("1.0")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exposition_means_what_it_means_to_prometheus_by_2_0() {
    every_exposition(Sender::Agent("2.0")).await;
}

/// The comparison itself finds nothing where there is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exposition_means_to_prometheus_what_it_means_to_prometheus() {
    every_exposition(Sender::Prometheus("io.prometheus.write.v2.Request")).await;
}

async fn every_exposition(sender: Sender) {
    let mut cases = cases();
    if let Sender::Prometheus(_) = sender {
        // Its own remote write loses the sign.
        cases.retain(|case| case.job != "minus_zero");
    }
    let target = ExpositionTarget::start().await;
    for case in &cases {
        target.expose(&format!("/{}", case.job), case.exposition.clone());
    }
    compare(jobs(&cases, &target.address().to_string()), sender).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_means_the_same_in_every_format() {
    let mut target = PythonTarget::start(seed());
    target.hold();
    let formats = ["PrometheusText0.0.4", "PrometheusText1.0.0", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0"];
    let jobs: Value = formats
        .iter()
        .map(|format| {
            json!({
                "job_name": format,
                "scrape_protocols": [format],
                "scrape_interval": "1s",
                "static_configs": [{ "targets": [target.address().to_string()] }],
            })
        })
        .collect();
    compare(jobs, Sender::Agent("2.0")).await;
    let seen: Vec<_> = target.exposed().into_iter().map(|exposed| exposed.content_type).collect();
    for format in
        ["text/plain; version=0.0.4", "text/plain; version=1.0.0", "application/openmetrics-text; version=1.0.0"]
    {
        assert!(seen.iter().any(|seen| seen.starts_with(format)), "no scrape got {format}: {seen:?}");
    }
}
