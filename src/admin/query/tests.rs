//! The API asked as clients ask it, over samples in memory.

use std::num::NonZeroUsize;

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
use crate::options::Duration as Span;
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
async fn what_is_wrong_is_told_in_prometheus_s_words() {
    for (path, status, kind, message) in [
        (
            "query?query=up&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        (
            "query?query=up&limit=x",
            400,
            "bad_data",
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (
            "query?query=up&timeout=x",
            400,
            "bad_data",
            "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
        ),
        ("query?query=up&timeout=0", 503, "timeout", "query timed out in expression evaluation"),
        (
            "query_range?query=up&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            "query_range?query=up&start=0&end=1&step=0",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query?query=up%20*%20on()%20up",
            422,
            "execution",
            "found duplicate series for the match group {} on the right hand-side of the operation: [{__name__=\"up\", \
             instance=\"a\", job=\"web\"}, {__name__=\"up\", instance=\"b\", job=\"web\"}];many-to-many matching not allowed: \
             matching labels must be unique on one side",
        ),
        ("series", 400, "bad_data", "no match[] parameter provided"),
        (
            "series?match[]={a=\"\"}",
            400,
            "bad_data",
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        ("labels?match[]={a=\"\"}", 400, "bad_data", "match[] must contain at least one non-empty matcher"),
        (
            "query",
            400,
            "bad_data",
            "invalid parameter \"query\": unknown position: parse error: no expression found in input",
        ),
        (
            "query_range?query=up[1m]&start=0&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant \
             Vector",
        ),
        ("nothing", 404, "not_found", "there is no /api/v1/nothing here"),
        (
            "rules?exclude_alerts=x",
            400,
            "bad_data",
            "invalid parameter \"exclude_alerts\": error converting exclude_alerts: strconv.ParseBool: parsing \"x\": invalid \
             syntax",
        ),
        (
            "rules?group_limit=x",
            400,
            "bad_data",
            "invalid parameter \"group_limit\": group_limit needs to be a valid number: strconv.ParseInt: parsing \"x\": \
             invalid syntax",
        ),
        (
            "rules?group_next_token=x",
            400,
            "bad_data",
            "invalid parameter \"group_next_token\": group_limit needs to be present in order to paginate over the groups",
        ),
        ("query_exemplars?query=up&start=2&end=1", 400, "bad_data", "end timestamp must not be before start timestamp"),
        ("metadata?limit=x", 400, "bad_data", "limit must be a number"),
    ] {
        let path = format!("/api/v1/{path}").replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        assert_eq!(fault(&path).await, (status, kind.to_owned(), message.to_owned()), "{path}");
    }
    let (status, kind, message) = fault("/api/v1/query?query=up%20%2B").await;
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    assert!(message.starts_with("invalid parameter \"query\": 1:5: parse error: "), "{message}");
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
async fn rules_and_alerts_are_told_as_prometheus_tells_them() {
    let alert = json!({
        "labels": { "alertname": "Down" }, "annotations": {}, "state": "firing", "activeAt": "1970-01-01T00:04:00Z",
        "value": "0e+00"
    });
    assert_eq!(data("/api/v1/alerts").await, json!({ "alerts": [alert] }));
    let both = data("/api/v1/rules").await;
    assert_eq!(
        both["groups"][0],
        json!({
            "name": "pages", "file": "rules.yaml", "interval": 15, "limit": 0, "evaluationTime": 0.5,
            "lastEvaluation": "0001-01-01T00:00:00Z",
            "rules": [{
                "type": "alerting", "state": "firing", "name": "Down", "query": "up == 0", "duration": 60,
                "keepFiringFor": 0, "labels": { "team": "web" }, "annotations": {}, "alerts": [alert], "health": "ok",
                "evaluationTime": 0.25, "lastEvaluation": "1970-01-01T00:05:00Z"
            }]
        })
    );
    assert_eq!(both["groups"][1]["rules"][0]["type"], "recording");
    for (query, groups) in [
        ("type=alert", json!(["pages"])),
        ("type=record", json!(["records"])),
        ("rule_name[]=Down&rule_name[]=x", json!(["pages"])),
        ("rule_group[]=records", json!(["records"])),
        ("file[]=other.yaml", json!([])),
        ("match[]=%7Bteam=%22web%22%7D", json!(["pages"])),
    ] {
        let told = data(&format!("/api/v1/rules?{query}")).await;
        let names: Vec<_> =
            told["groups"].as_array().expect("a list").iter().map(|group| group["name"].clone()).collect();
        assert_eq!(json!(names), groups, "{query}");
    }
    assert_eq!(data("/api/v1/rules?exclude_alerts=true").await["groups"][0]["rules"][0]["alerts"], Value::Null);
    let first = data("/api/v1/rules?group_limit=1").await;
    assert_eq!((first["groups"].as_array().map(Vec::len), &first["groups"][0]["name"]), (Some(1), &json!("pages")));
    let token = first["groupNextToken"].as_str().expect("there is more");
    let second = data(&format!("/api/v1/rules?group_limit=1&group_next_token={token}")).await;
    assert_eq!((&second["groups"][0]["name"], &second["groupNextToken"]), (&json!("records"), &Value::Null));
    let unknown = "invalid parameter \"type\": not supported value \"x\"";
    assert_eq!(fault("/api/v1/rules?type=x").await, (400, "bad_data".to_owned(), unknown.to_owned()));
}

#[tokio::test]
async fn the_patterns_of_a_request_hold_no_more_than_they_may() {
    let heavy = "match[]=%7Ba%3D~%22%5C%5CpL%7B20%7D%22%7D&";
    assert_eq!(data(&format!("/api/v1/series?{}", heavy.repeat(10))).await, json!([]));
    let one = format!("query=%7B{}%7D", "a%3D~%22%5C%5CpL%7B20%7D%22,".repeat(500));
    for path in [format!("/api/v1/series?{}", heavy.repeat(500)), format!("/api/v1/query?{one}")] {
        let (status, kind, why) = fault(&path).await;
        assert_eq!((status, &*kind), (400, "bad_data"));
        assert!(why.contains("take more than 64 MiB; write fewer or simpler ones"), "{}", &why[..200]);
    }
}

#[tokio::test]
async fn without_samples_it_says_where_to_ask() {
    let mut api = routes_at(Arc::new(Owner(None)), QueryOptions::default(), || UnixMillis(0));
    let request = Request::get("/api/v1/query?query=up").body(Body::empty()).expect("a request");
    let (status, json) = answer(&mut api, request).await;
    assert_eq!((status.as_u16(), json["errorType"].as_str()), (422, Some("execution")));
}

/// Three series of ten thousand points.
const LARGE: &str = "/api/v1/query_range?query=%7B__name__%3D~%22up%7Cjobs%22%7D&start=0&end=600&step=0.06";

#[tokio::test(start_paused = true)]
async fn a_large_answer_is_sent_in_parts() {
    let request = Request::get(LARGE).body(Body::empty()).expect("a request");
    let response = api(QueryOptions::default()).call(request).await.expect("infallible");
    let mut body = response.into_body();
    let (mut parts, mut all) = (0, Vec::new());
    while let Some(part) = body.frame().await {
        parts += 1;
        all.extend_from_slice(&part.expect("complete").into_data().expect("data"));
    }
    assert!(parts > 1 && all.len() > 400_000, "{parts} parts, {} bytes", all.len());
    let answer: Value = serde_json::from_slice(&all).expect("JSON");
    let result = answer["data"]["result"].as_array().expect("series");
    assert_eq!(
        result.iter().map(|series| series["values"].as_array().expect("values").len()).sum::<usize>(),
        3 * 10_001
    );
}

/// A thousand series.
fn thousand() -> MemorySamples {
    let mut samples = MemorySamples::new();
    for series in 0..1000 {
        let labels = [("__name__", "a".to_owned()), ("series", series.to_string())].into_iter().collect();
        samples.append(&labels, 0, None, &series_notation::Item::Float(1.0)).expect("in order");
    }
    samples
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_gives_its_place_up() {
    // Its place is waited for longer than it has to be.
    let timeout = Span(sending::TAKEN_WITHIN * 1_000_000);
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, timeout, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    assert_eq!(first.status(), StatusCode::OK);
    // Nobody reads the first answer, and another query waits behind it.
    let request = Request::get("/api/v1/query?query=1").body(Body::empty()).expect("a request");
    let second = tokio::spawn(api.call(request));
    while !second.is_finished() {
        tokio::time::advance(sending::TAKEN_WITHIN / 10).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(second.await.expect("no panic").expect("infallible").status(), StatusCode::OK);
    assert!(first.into_body().collect().await.is_err(), "the answer must be seen to be cut off");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_gives_its_place_up() {
    let timeout = Span(sending::TAKEN_WITHIN * 2);
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, timeout, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    // It never lets a part wait for long, and would take all of them in more than half an hour.
    let (mut body, mut parts) = (first.into_body(), 0);
    while let Some(part) = body.frame().await {
        if part.is_err() {
            break;
        }
        parts += 1;
        assert!(parts < 20, "it was not given up");
        tokio::time::advance(sending::TAKEN_WITHIN / 2).await;
    }
    let request = Request::get("/api/v1/query?query=1").body(Body::empty()).expect("a request");
    assert_eq!(answer(&mut api, request).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn rules_and_alerts_wait_for_no_query() {
    let options = QueryOptions { concurrency: NonZeroUsize::MIN, ..QueryOptions::default() };
    let mut api = routes_at(Arc::new(Owner(Some(Arc::new(Store(thousand()))))), options, || UnixMillis(300_000));
    let path = "/api/v1/query_range?query=a&start=0&end=250&step=1";
    let first = api.call(Request::get(path).body(Body::empty()).expect("a request")).await.expect("infallible");
    for path in ["/api/v1/rules", "/api/v1/alerts"] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        // Time stands still: nobody gives the first answer up meanwhile.
        assert_eq!(answer(&mut api, request).await.0, StatusCode::OK);
    }
    drop(first);
}
