//! The two listeners as they run, and how a reload changes them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::task::JoinHandle;

use super::status::Status;
use super::targets::{Answer, BuildInfo, Query, TargetList};
use super::{Handles, Options, alertmanager, guard, health, page, query};
use crate::net::http_server::Server;
use crate::net::listen::{BindError, bind};
use crate::options::Listen;
use crate::telemetry::{Rates, SeriesWatch};

/// The listeners of a running agent, and the task that keeps what they show up to date. Dropping them ends them.
pub struct Listeners {
    handles: Handles,
    admin: Running<Options>,
    health: Running<health::Options>,
    rates: JoinHandle<()>,
}

struct Running<O> {
    options: O,
    server: Option<Server>,
}

impl Listeners {
    /// Takes the ports and answers on them.
    pub async fn start(admin: Options, health: health::Options, handles: Handles) -> Result<Self, BindError> {
        let health_server = serve(health.listen, "health", health::router(handles.clone())).await?;
        let admin_server = serve(admin.listen, "admin", router(handles.clone(), &admin)).await?;
        Ok(Self {
            rates: tokio::spawn(keep_looking(handles.rates.clone(), handles.series.clone())),
            admin: Running { options: admin, server: admin_server },
            health: Running { options: health, server: health_server },
            handles,
        })
    }

    /// Changes what differs. On an error the listeners are as they were.
    pub async fn apply(&mut self, admin: Options, health: health::Options) -> Result<(), BindError> {
        let moved_admin = admin.listen != self.admin.options.listen;
        let moved_health = health.listen != self.health.options.listen;
        let health_server = match moved_health {
            true => serve(health.listen, "health", health::router(self.handles.clone())).await?,
            false => None,
        };
        let admin_server = match moved_admin {
            true => serve(admin.listen, "admin", router(self.handles.clone(), &admin)).await?,
            false => None,
        };
        if moved_health {
            stop(std::mem::replace(&mut self.health.server, health_server)).await;
        }
        if moved_admin {
            stop(std::mem::replace(&mut self.admin.server, admin_server)).await;
        } else if admin != self.admin.options {
            // Another token on the same port: the old server has to let go of it first.
            stop(self.admin.server.take()).await;
            self.admin.server = serve(admin.listen, "admin", router(self.handles.clone(), &admin)).await?;
        }
        self.health.options = health;
        self.admin.options = admin;
        Ok(())
    }

    /// Where `admin` listens.
    pub fn admin_address(&self) -> Option<std::net::SocketAddr> {
        self.admin.server.as_ref().map(Server::address)
    }

    /// Where `health` listens.
    pub fn health_address(&self) -> Option<std::net::SocketAddr> {
        self.health.server.as_ref().map(Server::address)
    }

    /// Lets answers under way finish and closes the ports.
    pub async fn stop(mut self) {
        stop(self.admin.server.take()).await;
        stop(self.health.server.take()).await;
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.rates.abort();
    }
}

async fn serve(listen: Listen, section: &'static str, router: Router) -> Result<Option<Server>, BindError> {
    let Listen::On(address) = listen else { return Ok(None) };
    let started = Server::start(bind(address, section).await?, router);
    let server = started.map_err(|error| BindError { address, owner: section.into(), error })?;
    tracing::info!(address = %server.address(), "{section} listens");
    Ok(Some(server))
}

async fn stop(server: Option<Server>) {
    if let Some(server) = server {
        server.stop().await;
    }
}

async fn keep_looking(rates: Arc<Rates>, series: Arc<SeriesWatch>) {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        rates.look();
        let series = series.clone();
        // A look that fails is only a look.
        let _ = tokio::task::spawn_blocking(move || series.look()).await;
    }
}

fn router(handles: Handles, options: &Options) -> Router {
    let queries = query::routes(handles.control.clone(), options.query);
    Router::new()
        .route("/", get(front))
        .route("/api/v1/status", get(status))
        .route("/api/v1/status/buildinfo", get(|| async { Json(Answer::of(BuildInfo::of_this())) }))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/scrape_pools", get(pools))
        .route("/api/v1/config", get(config))
        .route("/-/reload", post(reload))
        .merge(alertmanager::router())
        .with_state(handles)
        .merge(queries)
        .layer(axum::middleware::from_fn_with_state(options.token.clone(), guard::admit))
}

async fn front(State(handles): State<Handles>, headers: HeaderMap) -> Response {
    let status = Status::of(&handles);
    let browser = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|a| a.contains("text/html"));
    if browser {
        const FIXED: [(header::HeaderName, &str); 3] = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
            (header::REFERRER_POLICY, "no-referrer"),
        ];
        (FIXED, page::html(&status)).into_response()
    } else {
        page::text(&status).into_response()
    }
}

async fn status(State(handles): State<Handles>) -> Json<Status> {
    Json(Status::of(&handles))
}

async fn targets(State(handles): State<Handles>, RawQuery(query): RawQuery) -> Json<Answer<TargetList>> {
    let query = Query::read(&query.unwrap_or_default());
    Json(Answer::of(TargetList::of(&handles.telemetry, &handles.control.node(), &query)))
}

/// The jobs alone, for lists to choose from.
async fn pools(State(handles): State<Handles>) -> Response {
    let all = TargetList::of(&handles.telemetry, &handles.control.node(), &Query::default());
    Json(Answer::of(serde_json::json!({ "scrapePools": all.jobs() }))).into_response()
}

async fn config(State(handles): State<Handles>) -> Response {
    ([(CONTENT_TYPE, "application/yaml; charset=utf-8")], handles.control.config()).into_response()
}

async fn reload(State(handles): State<Handles>) -> Response {
    // A reload that has begun goes on when its client hangs up.
    let reloaded = tokio::spawn(handles.control.reload()).await;
    let hash = handles.agent.config_hash();
    match reloaded.unwrap_or_else(|gone| Err(format!("the reload ended unexpectedly: {gone}"))) {
        Ok(()) => Json(serde_json::json!({ "accepted": true, "hash": hash })).into_response(),
        Err(reason) => {
            let answer = serde_json::json!({ "accepted": false, "reason": reason, "hash": hash });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(answer)).into_response()
        }
    }
}
