//! `/api/v1/query` and its like: what the agent remembers, asked in PromQL and answered in the shapes of Prometheus 3's
//! HTTP API, so that Grafana, `promtool query` and whatever else speaks it can read an agent.
//!
//! A query runs on a thread of its own, with a deadline and bounds on samples and memory; few run at a time. The answer of a
//! range is sent while it is written.

mod answer;
mod evaluate;
mod form;
mod json;
mod listing;
mod options;
mod rules;
mod sending;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::{any, get};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Control;
use crate::data::UnixMillis;
use crate::series::Queryable;
use answer::{Answered, Fault};
use form::Form;
pub use options::QueryOptions;
use sending::Sending;

/// Samples that several threads may ask.
pub type SharedSamples = Arc<dyn Queryable + Send + Sync>;

/// What the handlers share.
#[derive(Clone)]
struct Api {
    control: Arc<dyn Control>,
    options: QueryOptions,
    /// One for each query that may run now.
    slots: Arc<Semaphore>,
    /// One for each request about rules and alerts, which no query may keep waiting.
    rule_slots: Arc<Semaphore>,
    now: fn() -> UnixMillis,
}

/// The routes, below `/api/v1`.
pub(super) fn routes(control: Arc<dyn Control>, options: QueryOptions) -> Router {
    routes_at(control, options, UnixMillis::now)
}

fn routes_at(control: Arc<dyn Control>, options: QueryOptions, now: fn() -> UnixMillis) -> Router {
    let [slots, rule_slots] = [(); 2].map(|()| Arc::new(Semaphore::new(options.concurrency.get())));
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/api/v1/query_exemplars", get(exemplars).post(exemplars))
        .route("/api/v1/format_query", get(format).post(format))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/{*other}", any(nothing))
        .with_state(Api { control, options, slots, rule_slots, now })
}

impl Api {
    fn samples(&self) -> Result<SharedSamples, Fault> {
        self.control.samples().ok_or_else(|| {
            Fault::execution("the agent remembers no samples, since it has no `alerting`: ask where it sends them")
        })
    }
}

/// What a request gives: the parameters of its address, and those of its body if that is a form.
fn form(query: Option<String>, headers: &HeaderMap, body: &Bytes) -> Form {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_form = kind
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    Form::read(query.as_deref().unwrap_or_default(), if is_form { body } else { &[] })
}

async fn instant(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    answer::respond(evaluate::instant(&api, &form(query, &headers, &body)).await)
}

async fn range(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    evaluate::range(&api, &form(query, &headers, &body)).await
}

async fn format(RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    answer::respond(evaluate::format(&form(query, &headers, &body)))
}

async fn exemplars(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(query, &headers, &body);
    answer::respond(aside(&api, move |api| listing::exemplars(api, &form)).await)
}

async fn series(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(query, &headers, &body);
    answer::respond(aside(&api, move |api| listing::series(api, &form)).await)
}

async fn labels(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(query, &headers, &body);
    answer::respond(aside(&api, move |api| listing::labels(api, &form)).await)
}

async fn values(State(api): State<Api>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let form = Form::read(query.as_deref().unwrap_or_default(), &[]);
    answer::respond(aside(&api, move |api| listing::values(api, &name, &form)).await)
}

async fn metadata(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let form = Form::read(query.as_deref().unwrap_or_default(), &[]);
    answer::respond(aside(&api, move |api| listing::metadata(api, &form)).await)
}

async fn rules(State(api): State<Api>, RawQuery(query): RawQuery) -> Response {
    let form = Form::read(query.as_deref().unwrap_or_default(), &[]);
    answer::respond(aside_in(&api.rule_slots, &api, move |api| rules::rules(api, &form)).await)
}

/// What Prometheus has and an agent has not, such as `/api/v1/admin/tsdb`.
async fn nothing(Path(other): Path<String>) -> Response {
    answer::respond(Err(Fault::not_found(format!("there is no /api/v1/{other} here"))))
}

async fn alerts(State(api): State<Api>) -> Response {
    answer::respond(aside_in(&api.rule_slots, &api, rules::alerts).await)
}

/// Does what may take long on a thread that may, once one of the few is free.
async fn aside(
    api: &Api,
    work: impl FnOnce(&Api) -> Result<Answered, Fault> + Send + 'static,
) -> Result<Answered, Fault> {
    aside_in(&api.slots, api, work).await
}

/// The same, once one of these is free.
async fn aside_in(
    slots: &Arc<Semaphore>,
    api: &Api,
    work: impl FnOnce(&Api) -> Result<Answered, Fault> + Send + 'static,
) -> Result<Answered, Fault> {
    let slot = slot(slots, api).await?;
    let api = api.clone();
    let done = tokio::task::spawn_blocking(move || {
        let answered = work(&api);
        drop(slot);
        answered
    });
    done.await.unwrap_or_else(|gone| Err(ended(&gone)))
}

/// The same where the answer is sent while it is written.
async fn aside_sending(
    api: &Api,
    work: impl FnOnce(&Api, &mut Sending) -> Result<Answered, Fault> + Send + 'static,
) -> Response {
    let slot = match slot(&api.slots, api).await {
        Ok(slot) => slot,
        Err(fault) => return answer::respond(Err(fault)),
    };
    let api = api.clone();
    let (mut sending, response) = Sending::new(Handle::current(), api.options.timeout.0);
    tokio::task::spawn_blocking(move || {
        let answered = work(&api, &mut sending);
        sending.finish(answered);
        drop(slot);
    });
    response.await.unwrap_or_else(|gone| answer::respond(Err(ended(&gone))))
}

async fn slot(slots: &Arc<Semaphore>, api: &Api) -> Result<OwnedSemaphorePermit, Fault> {
    let waited = tokio::time::timeout(api.options.timeout.0, slots.clone().acquire_owned()).await;
    // The semaphore is never closed.
    let Ok(Ok(slot)) = waited else { return Err(Fault::timeout("query timed out in query queue")) };
    Ok(slot)
}

fn ended(why: &dyn std::error::Error) -> Fault {
    Fault::internal(format!("the query ended unexpectedly: {why}"))
}

#[cfg(test)]
mod tests;
