//! Queries that read further back than the agent's own samples go, evaluated by somebody who has more: any server with
//! Prometheus's HTTP API v1 (`POST /api/v1/query`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::runtime::Handle;
use url::Url;

use crate::data::LabelSet;
use crate::net::http_client::{HttpClient, Request};
use crate::options::http_client::HttpClientOptions;
use crate::options::{self, Joined, SecretAddress, Spanned};
use crate::promql::{Annotations, Evaluation, Point, Query, Value, VectorSample};

/// Where queries are evaluated that read further back than the agent's own samples go.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteOwn {
    /// Address of a server with Prometheus's HTTP API, without `/api/v1/query`. Required.
    pub url: Spanned<SecretAddress>,
    /// How long an answer may take; a server that does not answer is not asked for the next minute. Default: `10s`.
    #[serde(default = "timeout")]
    pub timeout: options::Duration,
}

/// Those, and how the server is talked to.
pub type RemoteOptions = Joined<RemoteOwn, HttpClientOptions>;

fn timeout() -> options::Duration {
    options::Duration(Duration::from_secs(10))
}

/// Longest answer that is read.
const MOST_BYTES: usize = 64 << 20;

/// A server that evaluates queries.
#[derive(Debug)]
pub struct Remote {
    client: HttpClient,
    url: Url,
    timeout: Duration,
    /// Until when it is not asked, since it did not answer, and what was wrong.
    left_alone: Mutex<Option<(Instant, RemoteError)>>,
}

/// For how long a server that did not answer is not asked again: rules wait for each other, and those that it has nothing to
/// do with must not wait for its answers all the time.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} did not evaluate the query: {why}")]
pub struct RemoteError {
    /// Who was asked.
    pub url: String,
    /// What it said, or what failed.
    pub why: String,
}

impl Remote {
    /// A client of the server.
    ///
    /// # Errors
    /// Where the options make no client.
    pub fn new(options: &RemoteOptions) -> Result<Self, String> {
        let client = HttpClient::new(&options.shared).map_err(|error| error.to_string())?;
        let mut url = Url::parse(&options.url.expose()).map_err(|error| format!("`remote.url`: {error}"))?;
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { client, url, timeout: options.timeout.0, left_alone: Mutex::default() })
    }

    /// Evaluates a query at a time in milliseconds. Blocks; `runtime` is the one that does the work.
    ///
    /// # Errors
    /// Where the server does not answer, or not with a result.
    pub fn evaluate(&self, query: &Query, at: i64, runtime: &Handle) -> Result<Evaluation, RemoteError> {
        let failed = |why: String| RemoteError { url: self.url.host_str().unwrap_or_default().to_owned(), why };
        if let Some((until, why)) = &*self.left_alone()
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        let mut url = self.url.clone();
        let time = format!("{}.{:03}", at.div_euclid(1000), at.rem_euclid(1000));
        url.query_pairs_mut().append_pair("query", query.text()).append_pair("time", &time);
        let request = Request { timeout: self.timeout, most_answer: MOST_BYTES, ..Request::get(url) };
        let answered = runtime.block_on(self.client.send(request)).map_err(|error| {
            let why = failed(error.to_string());
            *self.left_alone() = Some((Instant::now() + LEFT_ALONE, why.clone()));
            why
        })?;
        let answer: Answer = serde_json::from_slice(&answered.body).map_err(|error| {
            failed(format!("status {}, and no answer of Prometheus's API: {error}", answered.status))
        })?;
        let Some(data) = answer.data.filter(|_| answer.status == "success") else {
            return Err(failed(answer.error));
        };
        let annotations =
            Annotations { warnings: answer.warnings.into_iter().collect(), infos: answer.infos.into_iter().collect() };
        let value = value(data, at).map_err(failed)?;
        Ok(Evaluation { value, annotations })
    }

    fn left_alone(&self) -> MutexGuard<'_, Option<(Instant, RemoteError)>> {
        self.left_alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Box<serde_json::value::RawValue>,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

fn value(data: Data, at: i64) -> Result<Value, String> {
    let unread = |error: serde_json::Error| error.to_string();
    match data.result_type.as_str() {
        "scalar" => {
            let (_, text): (f64, String) = serde_json::from_str(data.result.get()).map_err(unread)?;
            number(&text).map(Value::Scalar)
        }
        "vector" => {
            let series: Vec<Series> = serde_json::from_str(data.result.get()).map_err(unread)?;
            let sample = |Series { metric, value }| {
                let (_, text) = value.ok_or("its result has native histograms, which are not read from there")?;
                let labels: LabelSet = metric.into_iter().collect();
                Ok(VectorSample { labels, time: at, point: Point::Float(number(&text)?) })
            };
            series.into_iter().map(sample).collect::<Result<_, String>>().map(Value::Vector)
        }
        other => Err(format!("its result is a {other}, and a rule needs a vector or a scalar")),
    }
}

/// A number as Prometheus's API writes it.
fn number(text: &str) -> Result<f64, String> {
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ => text.parse().map_err(|_| format!("`{text}` is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, String> {
        let answer: Answer = serde_json::from_str(json).expect("an answer");
        value(answer.data.expect("data"), 1_000)
    }

    #[test]
    fn vectors_and_scalars_are_read_and_nothing_else() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"up","job":"a"},"value":[1,"+Inf"]},{"metric":{},"value":[1,"2.5"]}]}}"#;
        let Ok(Value::Vector(samples)) = read(vector) else { panic!("a vector") };
        assert_eq!(samples.len(), 2);
        assert!(matches!(samples[0].point, Point::Float(value) if value == f64::INFINITY));
        assert_eq!((samples[0].labels.get("job"), samples[1].time), ("a", 1_000));
        let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}"#;
        assert!(matches!(read(scalar), Ok(Value::Scalar(value)) if value.is_nan()));
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(
            read(matrix).expect_err("a matrix"),
            "its result is a matrix, and a rule needs a vector or a scalar"
        );
        let histogram =
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#;
        assert!(read(histogram).expect_err("a histogram").contains("native histograms"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_does_not_answer_is_left_alone_for_a_while() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                drop(stream);
            }
        });
        let options: RemoteOptions =
            serde_json::from_value(serde_json::json!({ "url": format!("http://{address}") })).expect("options");
        let remote = Remote::new(&options).expect("a client");
        let query = Query::parse("up").expect("a query");
        let runtime = Handle::current();
        let twice = tokio::task::spawn_blocking(move || {
            let first = remote.evaluate(&query, 0, &runtime).expect_err("no answer");
            let before = asked.load(std::sync::atomic::Ordering::Relaxed);
            let second = remote.evaluate(&query, 0, &runtime).expect_err("not asked");
            (first == second, before == asked.load(std::sync::atomic::Ordering::Relaxed), before)
        });
        let (same, unasked, asked) = twice.await.expect("no panic");
        assert!(same && unasked && asked > 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_server_is_asked_for_the_query_at_its_time() {
        use axum::extract::RawQuery;
        let answer = |RawQuery(query): RawQuery| async move {
            let query = query.unwrap_or_default();
            let result = format!(r#"{{"metric":{{"asked":"{query}"}},"value":[1,"1"]}}"#);
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}},"infos":["PromQL info: i"]}}"#
            )
        };
        let router = axum::Router::new().route("/base/api/v1/query", axum::routing::get(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let _server = crate::net::http_server::Server::start(listener, router).expect("a server");
        let options: RemoteOptions =
            serde_json::from_value(serde_json::json!({ "url": format!("http://{address}/base/") })).expect("options");
        let remote = Remote::new(&options).expect("a client");
        let query = Query::parse("avg_over_time(up[30d]) < 0.99").expect("a query");
        let runtime = Handle::current();
        let evaluated = tokio::task::spawn_blocking(move || remote.evaluate(&query, 1_234_567, &runtime));
        let Evaluation { value, annotations } = evaluated.await.expect("no panic").expect("a result");
        let Value::Vector(samples) = value else { panic!("a vector") };
        assert_eq!(samples[0].labels.get("asked"), "query=avg_over_time%28up%5B30d%5D%29+%3C+0.99&time=1234.567");
        assert!(annotations.infos.contains("PromQL info: i"));
    }
}
