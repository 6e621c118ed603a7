//! Alertmanager's API v2, as far as it is about alerts and silences: what its tools, Grafana and whoever sends alerts
//! speak. Paths, parameters, shapes and states are those of its `api/v2/openapi.yaml`.

mod alerts;
mod parameters;
mod posted;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::json;

use super::Handles;
use crate::alerting::paging::Dispatch;
use crate::alerting::silence::{
    PostableSilence, SilenceBookError, SilenceError, SilenceRequest, SilenceState, time_text,
};
use alerts::{alert_json, group_json};
use parameters::Parameters;

/// Most bytes of a request: a few thousand alerts.
const MOST_BYTES: usize = 16 << 20;

/// The paths of the API.
pub(super) fn router() -> Router<Handles> {
    Router::new()
        .route("/api/v2/status", get(status))
        .route("/api/v2/receivers", get(receivers))
        .route("/api/v2/alerts", get(list_alerts).post(post_alerts))
        .route("/api/v2/alerts/groups", get(list_groups))
        .route("/api/v2/silences", get(list_silences).post(post_silence))
        .route("/api/v2/silence/{id}", get(one_silence).delete(expire_silence))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// Why a request is not answered as it was meant.
struct Refused(StatusCode, String);

impl Refused {
    fn bad(why: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, why.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

type Answer = Result<Response, Refused>;

fn dispatch(handles: &Handles) -> Result<Arc<Dispatch>, Refused> {
    handles.control.dispatch().ok_or_else(|| match handles.control.alerts_wait() {
        Some(why) => Refused(StatusCode::SERVICE_UNAVAILABLE, format!("alerts wait, and nobody is told yet: {why}")),
        None => Refused(StatusCode::NOT_FOUND, "the configuration has no section `alerting` with receivers".into()),
    })
}

/// Looks at what is dispatched, where waiting is allowed: pages may be being written.
async fn look<T: Send + 'static>(
    dispatch: Arc<Dispatch>,
    look: impl FnOnce(&Dispatch) -> T + Send + 'static,
) -> Result<T, Refused> {
    let seen = tokio::task::spawn_blocking(move || look(&dispatch)).await;
    seen.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn status(State(handles): State<Handles>) -> Answer {
    let configuration = look(dispatch(&handles)?, Dispatch::configuration).await?;
    let info = super::targets::BuildInfo::of_this();
    Ok(Json(json!({
        "cluster": { "status": "disabled", "peers": [] },
        "versionInfo": {
            "version": info.version, "revision": info.revision, "branch": info.branch, "buildUser": info.build_user,
            "buildDate": info.build_date, "goVersion": info.go_version,
        },
        "config": { "original": configuration },
        "uptime": time_text(handles.agent.started_at().into()),
    }))
    .into_response())
}

async fn receivers(State(handles): State<Handles>, RawQuery(query): RawQuery) -> Answer {
    let asked = Parameters::read(&query.unwrap_or_default()).map_err(Refused::bad)?;
    let names = look(dispatch(&handles)?, Dispatch::receivers).await?;
    let shown = names.iter().filter(|name| asked.wants_receiver(name));
    let shown: Vec<_> = shown.map(|name| json!({ "name": **name, "labels": { "name": **name } })).collect();
    Ok(Json(shown).into_response())
}

async fn list_alerts(State(handles): State<Handles>, RawQuery(query): RawQuery) -> Answer {
    let asked = Parameters::read(&query.unwrap_or_default()).map_err(Refused::bad)?;
    let shown = look(dispatch(&handles)?, move |dispatch| {
        let alerts = dispatch.alerts();
        let shown = alerts.iter().filter(|alert| asked.wants(alert) && asked.wants_some_receiver(&alert.receivers));
        shown.map(|alert| alert_json(alert, &[])).collect::<Vec<_>>()
    });
    Ok(Json(shown.await?).into_response())
}

async fn list_groups(State(handles): State<Handles>, RawQuery(query): RawQuery) -> Answer {
    let asked = Parameters::read(&query.unwrap_or_default()).map_err(Refused::bad)?;
    let shown = look(dispatch(&handles)?, move |dispatch| {
        let mut groups = dispatch.groups();
        groups.retain_mut(|group| {
            group.alerts.retain(|alert| asked.wants(alert));
            let muted = !asked.muted && !group.muted_by.is_empty();
            !group.alerts.is_empty() && !muted && asked.wants_receiver(&group.receiver)
        });
        groups.iter().map(group_json).collect::<Vec<_>>()
    });
    Ok(Json(shown.await?).into_response())
}

async fn post_alerts(State(handles): State<Handles>, body: Bytes) -> Answer {
    let dispatch = dispatch(&handles)?;
    let (alerts, wrong) = posted::read(&body, dispatch.now()).map_err(Refused::bad)?;
    dispatch.post(alerts).await.map_err(|error| Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    if wrong.is_empty() { Ok(StatusCode::OK.into_response()) } else { Err(Refused::bad(wrong.join("\n"))) }
}

async fn list_silences(State(handles): State<Handles>, RawQuery(query): RawQuery) -> Answer {
    let asked = Parameters::read(&query.unwrap_or_default()).map_err(Refused::bad)?;
    let dispatch = dispatch(&handles)?;
    let now = dispatch.now();
    let silences = dispatch.silences().read().list(&asked.filter, now);
    let wanted = silences.iter().filter(|silence| match silence.state(now) {
        SilenceState::Active => asked.active,
        SilenceState::Pending => asked.pending,
        SilenceState::Expired => asked.expired,
    });
    Ok(Json(wanted.map(|silence| silence.to_json(now)).collect::<Vec<_>>()).into_response())
}

async fn one_silence(State(handles): State<Handles>, Path(id): Path<String>) -> Answer {
    let dispatch = dispatch(&handles)?;
    let found = dispatch.silences().read().get(&id).cloned();
    let silence = found.ok_or_else(|| Refused(StatusCode::NOT_FOUND, SilenceError::NotFound.to_string()))?;
    Ok(Json(silence.to_json(dispatch.now())).into_response())
}

async fn post_silence(State(handles): State<Handles>, body: Bytes) -> Answer {
    let dispatch = dispatch(&handles)?;
    let wanted: PostableSilence = serde_json::from_slice(&body).map_err(Refused::bad)?;
    let wanted = SilenceRequest::try_from(wanted).map_err(Refused::bad)?;
    let id = change(dispatch, move |dispatch| dispatch.silences().set(wanted, dispatch.now())).await?;
    Ok(Json(json!({ "silenceID": *id })).into_response())
}

async fn expire_silence(State(handles): State<Handles>, Path(id): Path<String>) -> Answer {
    let dispatch = dispatch(&handles)?;
    change(dispatch, move |dispatch| dispatch.silences().expire(&id, dispatch.now())).await?;
    Ok(StatusCode::OK.into_response())
}

/// Changes a silence where waiting for the disk is allowed; goes on when the client hangs up.
async fn change<T: Send + 'static>(
    dispatch: Arc<Dispatch>,
    change: impl FnOnce(&Dispatch) -> Result<T, SilenceBookError> + Send + 'static,
) -> Result<T, Refused> {
    look(dispatch, change).await?.map_err(|error| {
        let status = match error {
            SilenceBookError::Silence(SilenceError::NotFound) => StatusCode::NOT_FOUND,
            SilenceBookError::Silence(SilenceError::Invalid(_)) => StatusCode::BAD_REQUEST,
            SilenceBookError::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(status, error.to_string())
    })
}
