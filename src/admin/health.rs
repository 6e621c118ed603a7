//! The listener for probes and scrapes: `/livez`, `/readyz`, `/metrics`. It asks for no credentials and
//! shows no data. Neither probe looks at destinations: restarting or isolating an agent does not bring a
//! server back, and what the agent holds would be read again for nothing. An agent is ready once every source
//! that is to listen has its port: whoever sends to it would be refused until then.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;

use super::Handles;
use crate::options::section::{Section, Value};
use crate::options::{Listen, Spanned};
use crate::telemetry::Phase;

/// The registry's entry: the root section `health`.
pub const SECTION: Section = Section {
    name: "health",
    summary: "The listener for probes and for scrapes of the agent's own metrics.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?) as Value),
    default: || Box::new(Options::default()),
    problems: |_| Vec::new(),
    listeners: |section| {
        let listen = section.downcast_ref::<Options>().and_then(|options| options.listen.address());
        listen.map(Spanned::unknown).into_iter().collect()
    },
    schema: |generator| Options::json_schema(generator),
};

/// The section `health`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename = "Health")]
pub struct Options {
    /// Where to listen; `off` for not at all. The kubelet's probes reach `0.0.0.0:7781`. Default:
    /// `127.0.0.1:7781`.
    pub(crate) listen: Listen,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: Listen::loopback(7781) }
    }
}

pub(super) fn router(handles: Handles) -> Router {
    Router::new()
        // That there is an answer is the answer.
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(handles)
}

async fn ready(State(handles): State<Handles>) -> (StatusCode, String) {
    let why = match handles.agent.phase() {
        Phase::Starting => "the graph is being started".to_owned(),
        Phase::Draining => "the agent is stopping".to_owned(),
        Phase::Running => {
            let mut components = handles.telemetry.components();
            components.retain(|component| component.health.lacks_port());
            if components.is_empty() {
                return (StatusCode::OK, "ready\n".to_owned());
            }
            let names: Vec<_> = components.iter().map(|component| format!("`{}`", component.name)).collect();
            format!("no port for {}", names.join(", "))
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"))
}

async fn metrics(State(handles): State<Handles>) -> Response {
    match handles.telemetry.expose() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
