//! The API asked as clients ask it, over samples in memory.

mod clients;
mod faults;
mod rules;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower_service::Service;

use super::*;
use crate::admin::Node;
use crate::alerting::{
    AlertStatus, AlertingStatus, GroupStatus, Map, OutcomeStatus, RecordingStatus, RuleStatus, Time,
};
use crate::data::UnixNanos;
use crate::data::labels::{LabelSet, Labels};
use crate::data::metrics::{Family, MetricKind};
use crate::promql::script::{MemorySamples, series_notation};
use crate::series::{Columns, ExemplarPoint, Listed, Listing, Samples, Select, SelectError, SeriesExemplars};

/// Samples in memory, and what is said of them.
struct Store(MemorySamples);

impl Samples for Store {
    fn select(
        &self,
        what: Select<'_>,
        visit: &mut dyn FnMut(Labels<'_>, &Columns) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        self.0.select(what, visit)
    }
}

impl Store {
    fn all(&self, which: Listing<'_>) -> Result<Vec<LabelSet>, SelectError> {
        let mut all = Vec::new();
        let any = [Vec::new()];
        let selectors = if which.selectors.is_empty() { &any } else { which.selectors };
        for matchers in selectors {
            let what = Select { matchers, after: which.from.saturating_sub(1), until: which.until };
            self.0.select(what, &mut |labels, _| {
                all.push(labels.to_set());
                Ok(())
            })?;
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

fn listed<T: Ord>(mut items: Vec<T>, limit: usize) -> Listed<T> {
    items.sort();
    items.dedup();
    let more = items.len() > limit;
    items.truncate(limit);
    Listed { items, more }
}

impl Queryable for Store {
    fn series(&self, which: Listing<'_>) -> Result<Listed<LabelSet>, SelectError> {
        Ok(listed(self.all(which)?, which.limit))
    }

    fn label_names(&self, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError> {
        let all = self.all(which)?;
        let names = all.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.into()));
        Ok(listed(names.collect(), which.limit))
    }

    fn label_values(&self, name: &str, which: Listing<'_>) -> Result<Listed<Box<str>>, SelectError> {
        let all = self.all(which)?;
        let values = all.iter().map(|labels| labels.get(name)).filter(|value| !value.is_empty()).map(Box::from);
        Ok(listed(values.collect(), which.limit))
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<Family>, SelectError> {
        let family =
            |name: &str, kind, help: &str| Family { name: name.into(), kind, help: help.into(), unit: "".into() };
        let all = vec![
            family("jobs", MetricKind::Gauge, "Jobs."),
            family("up", MetricKind::Gauge, "Whether it is up."),
            family("up", MetricKind::Unknown, "Up."),
        ];
        Ok(all.into_iter().filter(|family| metric.is_none_or(|metric| *family.name == *metric)).collect())
    }

    fn exemplars(&self, which: Listing<'_>) -> Result<Listed<SeriesExemplars>, SelectError> {
        let of = |labels| {
            let exemplar = |labels: &[(&str, &str)]| ExemplarPoint {
                labels: labels.iter().copied().collect(),
                line: "what was logged".into(),
                value: 0.5,
                time: 1500,
            };
            SeriesExemplars { labels, exemplars: vec![exemplar(&[]), exemplar(&[("trace_id", "a1")])] }
        };
        Ok(Listed { items: self.all(which)?.into_iter().map(of).collect(), more: false })
    }
}

struct Owner(Option<SharedSamples>);

impl Control for Owner {
    fn graph(&self) -> Arc<[Node]> {
        [].into()
    }

    fn node(&self) -> String {
        String::new()
    }

    fn config(&self) -> String {
        String::new()
    }

    fn reload(&self) -> BoxFuture<'static, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn samples(&self) -> Option<SharedSamples> {
        self.0.clone()
    }

    fn rules(&self) -> Vec<GroupStatus> {
        let outcome = || OutcomeStatus {
            health: "ok",
            last_error: String::new(),
            evaluation_time: 0.25,
            last_evaluation: Time(Some(UnixNanos(300_000_000_000))),
        };
        let alerting = AlertingStatus {
            state: "firing",
            name: "Down".into(),
            query: "up == 0".into(),
            duration: 60.0,
            keep_firing_for: 0.0,
            labels: Map([("team", "web")].into_iter().collect()),
            annotations: Map(LabelSet::new()),
            alerts: Some(self.alerts()),
            outcome: outcome(),
        };
        let recording = RecordingStatus {
            name: "job:up:sum".into(),
            query: "sum by (job) (up)".into(),
            labels: Map(LabelSet::new()),
            outcome: outcome(),
        };
        let group = |name: &str, rules| GroupStatus {
            name: name.into(),
            file: "rules.yaml".into(),
            rules,
            interval: 15.0,
            limit: 0,
            evaluation_time: 0.5,
            last_evaluation: Time(None),
            iterations: 1,
            missed: 0,
            evaluations: 2,
            failures: 0,
            rows: 1,
        };
        vec![
            group("pages", vec![RuleStatus::Alerting(alerting)]),
            group("records", vec![RuleStatus::Recording(recording)]),
        ]
    }

    fn alerts(&self) -> Vec<AlertStatus> {
        vec![AlertStatus {
            labels: Map([("alertname", "Down")].into_iter().collect()),
            annotations: Map(LabelSet::new()),
            state: "firing",
            active_at: Time(Some(UnixNanos(240_000_000_000))),
            keep_firing_since: None,
            value: "0e+00".into(),
            held_since: None,
            held_because: None,
        }]
    }
}

/// Series with a value each ten seconds.
const SERIES: [&str; 4] = [
    r#"up{job="web", instance="a"} 1x60"#,
    r#"up{job="web", instance="b"} 0x60"#,
    r#"jobs{job="db"} 1+1x60"#,
    r#"latency{job="web"} {{count:3 sum:2.5 buckets:[1 2]}}x60"#,
];

fn api(options: QueryOptions) -> Router {
    let mut samples = MemorySamples::new();
    for text in SERIES {
        let series = series_notation::series(text).expect("a series");
        for (place, item) in (0..).zip(&series.values) {
            samples.append(&series.labels, place * 10_000, None, item).expect("in order");
        }
    }
    routes_at(Arc::new(Owner(Some(Arc::new(Store(samples))))), options, || UnixMillis(300_000))
}

async fn answer(api: &mut Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = api.call(request).await.expect("infallible");
    let (status, body) = (response.status(), response.into_body().collect().await.expect("a body").to_bytes());
    let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") };
    (status, json)
}

async fn ask(path: &str) -> (u16, Value) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let (status, json) = answer(&mut api(QueryOptions::default()), request).await;
    (status.as_u16(), json)
}

async fn data(path: &str) -> Value {
    let (status, mut json) = ask(path).await;
    assert_eq!((status, json["status"].as_str()), (200, Some("success")), "{path}: {json}");
    json["data"].take()
}

async fn fault(path: &str) -> (u16, String, String) {
    let (status, json) = ask(path).await;
    assert_eq!(json["status"], "error", "{path}: {json}");
    let text = |member: &str| json[member].as_str().expect("a text").to_owned();
    (status, text("errorType"), text("error"))
}

#[tokio::test]
async fn an_instant_is_now_unless_it_is_said() {
    assert_eq!(
        data("/api/v1/query?query=jobs").await,
        json!({ "resultType": "vector", "result": [{ "metric": { "__name__": "jobs", "job": "db" }, "value": [300, "31"] }] })
    );
    assert_eq!(data("/api/v1/query?query=jobs&time=1.5").await["result"][0]["value"], json!([1.5, "1"]));
    assert_eq!(data("/api/v1/query?query=1%2B1&time=7").await, json!({ "resultType": "scalar", "result": [7, "2"] }));
    assert_eq!(data("/api/v1/query?query=%22a%22&time=7").await, json!({ "resultType": "string", "result": [7, "a"] }));
    assert_eq!(
        data("/api/v1/query?query=jobs[20s]&time=20").await["result"][0]["values"],
        json!([[10, "2"], [20, "3"]])
    );
    assert_eq!(
        data("/api/v1/query?query=latency").await["result"][0]["histogram"],
        json!([300, { "count": "3", "sum": "2.5", "buckets": [[0, "0.5", "1", "1"], [0, "1", "2", "2"]] }])
    );
}

#[tokio::test]
async fn a_range_has_its_steps_and_a_limit_its_warning() {
    assert_eq!(
        data("/api/v1/query_range?query=jobs&start=0&end=20&step=10").await["result"][0]["values"],
        json!([[0, "1"], [10, "2"], [20, "3"]])
    );
    let (_, json) = ask("/api/v1/query_range?query=up&start=0&end=20&step=10s&limit=1").await;
    assert_eq!(json["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["warnings"], json!(["results truncated due to limit"]));
    let (_, json) = ask("/api/v1/query?query=rate(jobs[1m])").await;
    assert!(
        json["infos"][0].as_str().is_some_and(|info| info.starts_with("PromQL info: metric might not be a counter")),
        "{json}"
    );
    assert_eq!(json.get("warnings"), None);
}

#[tokio::test]
async fn a_form_counts_before_the_address() {
    let request = Request::post("/api/v1/query?query=up&time=1")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Body::from("query=jobs"))
        .expect("a request");
    let (_, json) = answer(&mut api(QueryOptions::default()), request).await;
    assert_eq!(json["data"]["result"][0]["value"], json!([1, "1"]));
}

#[tokio::test]
async fn what_there_is_is_listed() {
    let up = |instance: &str| json!({ "__name__": "up", "instance": instance, "job": "web" });
    assert_eq!(data("/api/v1/series?match[]=up").await, json!([up("a"), up("b")]));
    assert_eq!(
        data("/api/v1/series?match[]=up&match[]=jobs&limit=1").await,
        json!([{ "__name__": "jobs", "job": "db" }])
    );
    assert_eq!(data("/api/v1/series?match[]=up&start=9999").await, json!([]));
    assert_eq!(data("/api/v1/series?match[]=up&start=2&end=1").await, json!([]));
    assert_eq!(data("/api/v1/labels").await, json!(["__name__", "instance", "job"]));
    assert_eq!(data("/api/v1/labels?match[]=jobs").await, json!(["__name__", "job"]));
    assert_eq!(data("/api/v1/label/job/values").await, json!(["db", "web"]));
    assert_eq!(
        data("/api/v1/label/U______name____/values?match[]=%7Bjob=%22web%22%7D").await,
        json!(["latency", "up"])
    );
    let (_, json) = ask("/api/v1/label/job/values?limit=1").await;
    assert_eq!((&json["data"], &json["warnings"]), (&json!(["db"]), &json!(["results truncated due to limit"])));
}

#[tokio::test]
async fn metadata_exemplars_and_format() {
    let gauge = |help: &str| json!({ "type": "gauge", "unit": "", "help": help });
    let unknown = json!({ "type": "unknown", "unit": "", "help": "Up." });
    let all = json!({ "jobs": [gauge("Jobs.")], "up": [gauge("Whether it is up."), unknown] });
    assert_eq!(data("/api/v1/metadata").await, all);
    assert_eq!(data("/api/v1/metadata?limit=1").await, json!({ "jobs": [gauge("Jobs.")] }));
    assert_eq!(
        data("/api/v1/metadata?metric=up&limit_per_metric=1").await,
        json!({ "up": [gauge("Whether it is up.")] })
    );
    let exemplars = json!([{ "labels": { "trace_id": "a1" }, "value": "0.5", "timestamp": 1.5 }]);
    assert_eq!(
        data("/api/v1/query_exemplars?query=rate(jobs[1m])").await,
        json!([{ "seriesLabels": { "__name__": "jobs", "job": "db" }, "exemplars": exemplars }])
    );
    assert_eq!(ask("/api/v1/query_exemplars?query=1").await, (204, Value::Null));
    assert_eq!(data("/api/v1/format_query?query=sum(up)%2B1").await, json!("sum(up) + 1"));
}

#[tokio::test]
async fn without_samples_it_says_where_to_ask() {
    let mut api = routes_at(Arc::new(Owner(None)), QueryOptions::default(), || UnixMillis(0));
    let request = Request::get("/api/v1/query?query=up").body(Body::empty()).expect("a request");
    let (status, json) = answer(&mut api, request).await;
    assert_eq!((status.as_u16(), json["errorType"].as_str()), (422, Some("execution")));
}
