//! The `/metrics` of the shop's two applications, on loopback, for the agent to scrape.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;

use super::shop::till::Till;
use crate::net::http_server::Server;

/// Two endpoints. Dropping them ends them.
pub struct Endpoints {
    till: Arc<Till>,
    checkout: String,
    of_checkout: Option<Server>,
    _of_web: Server,
}

impl Endpoints {
    /// Exposes what the till has at these addresses.
    pub async fn open(checkout: &str, web: &str, till: &Arc<Till>) -> std::io::Result<Self> {
        let of_checkout = Some(serve(checkout, till, Till::checkout).await?);
        let of_web = serve(web, till, Till::web).await?;
        Ok(Self { till: till.clone(), checkout: checkout.to_owned(), of_checkout, _of_web: of_web })
    }

    /// Lets the checkout's be gone.
    pub fn close_checkout(&mut self) {
        self.of_checkout = None;
    }

    /// Lets the checkout's be there again.
    pub async fn open_checkout(&mut self) -> std::io::Result<()> {
        self.of_checkout = Some(serve(&self.checkout, &self.till, Till::checkout).await?);
        Ok(())
    }
}

async fn serve(address: &str, till: &Arc<Till>, text: fn(&Till) -> String) -> std::io::Result<Server> {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let till = till.clone();
    let answer = move || async move { ([(CONTENT_TYPE, OPENMETRICS)], text(&till)) };
    Server::start(TcpListener::bind(address).await?, Router::new().route("/metrics", get(answer)))
}
