//! The `/metrics` of the shop's two applications, on loopback, for the agent to scrape.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;

use super::shop::till::Till;
use crate::net::http_server::Server;

/// Two running endpoints. Dropping them ends them.
pub struct Endpoints {
    _checkout: Server,
    _web: Server,
}

impl Endpoints {
    /// Exposes what the till has at these addresses.
    pub async fn open(checkout: &str, web: &str, till: &Arc<Till>) -> std::io::Result<Self> {
        Ok(Self { _checkout: serve(checkout, till, Till::checkout).await?, _web: serve(web, till, Till::web).await? })
    }
}

async fn serve(address: &str, till: &Arc<Till>, text: fn(&Till) -> String) -> std::io::Result<Server> {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let till = till.clone();
    let answer = move || async move { ([(CONTENT_TYPE, OPENMETRICS)], text(&till)) };
    Server::start(TcpListener::bind(address).await?, Router::new().route("/metrics", get(answer)))
}
