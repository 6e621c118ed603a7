//! Where the demo's pages go: an endpoint on loopback that takes events as PagerDuty's Events API v2 does, and shows them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::net::http_server::Server;

/// A pager that is switched on. Dropping it switches it off.
pub struct Pager {
    pages: Arc<Pages>,
    _server: Server,
}

/// What has come, in its order.
#[derive(Default)]
struct Pages(Mutex<Vec<Page>>);

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// `trigger` or `resolve`.
    pub action: String,
    /// Which incident it is about.
    pub key: String,
    /// How severe, in a trigger.
    pub severity: String,
    /// What it says, in a trigger.
    pub summary: String,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: String = self.key.chars().take(12).collect();
        match self.action.as_str() {
            "trigger" => write!(f, "PAGE      {}: {} (incident {key}…)", self.severity, self.summary),
            action => write!(f, "{:<9} incident {key}…", action.to_uppercase()),
        }
    }
}

/// What was paged in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paged {
    /// Incidents that were opened.
    pub opened: usize,
    /// Those of them that were resolved.
    pub resolved: usize,
    /// Events that opened an incident that was open, or resolved one that was not.
    pub odd: usize,
}

impl Paged {
    /// Whether the one incident of a demo was opened once and resolved.
    pub fn holds(&self) -> bool {
        *self == Self { opened: 1, resolved: 1, odd: 0 }
    }
}

impl Pager {
    /// Switches it on.
    pub async fn on(address: &str) -> std::io::Result<Self> {
        let pages = Arc::new(Pages::default());
        let router = Router::new().route("/v2/enqueue", post(take)).with_state(pages.clone());
        let server = Server::start(TcpListener::bind(address).await?, router)?;
        Ok(Self { pages, _server: server })
    }

    /// The page of this number, once it has come.
    pub fn page(&self, number: usize) -> Option<Page> {
        self.pages.0.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
    }

    /// What was paged so far.
    pub fn paged(&self) -> Paged {
        let pages = self.pages.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut paged, mut open) = (Paged::default(), Vec::new());
        for Page { action, key, .. } in pages.iter() {
            let at = open.iter().position(|other| *other == key);
            match (action.as_str(), at) {
                ("trigger", None) => {
                    paged.opened += 1;
                    open.push(key);
                }
                ("resolve", Some(at)) => {
                    paged.resolved += 1;
                    open.swap_remove(at);
                }
                _ => paged.odd += 1,
            }
        }
        paged
    }
}

async fn take(State(pages): State<Arc<Pages>>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let page = Page {
        action: text("/event_action"),
        key: text("/dedup_key"),
        severity: text("/payload/severity"),
        summary: text("/payload/summary"),
    };
    let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": page.key });
    pages.0.lock().unwrap_or_else(PoisonError::into_inner).push(page);
    (StatusCode::ACCEPTED, Json(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager_of(events: &[(&str, &str)]) -> Paged {
        let page =
            |(action, key): &(&str, &str)| Page { action: (*action).into(), key: (*key).into(), ..Page::default() };
        let pages = Arc::new(Pages(Mutex::new(events.iter().map(page).collect())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut pager = Pager::on("127.0.0.1:0").await.expect("on");
            pager.pages = pages;
            pager.paged()
        })
    }

    #[test]
    fn one_incident_opened_once_and_resolved_holds_and_nothing_else_does() {
        assert!(pager_of(&[("trigger", "a"), ("resolve", "a")]).holds());
        assert!(!pager_of(&[("trigger", "a")]).holds());
        assert!(!pager_of(&[("trigger", "a"), ("trigger", "a"), ("resolve", "a")]).holds());
        assert!(!pager_of(&[("resolve", "a"), ("trigger", "a")]).holds());
        assert!(!pager_of(&[("trigger", "a"), ("resolve", "a"), ("trigger", "a"), ("resolve", "a")]).holds());
    }

    #[test]
    fn a_page_is_shown_by_what_it_says() {
        let page = Page {
            action: "trigger".into(),
            key: "0123456789abcdef".into(),
            severity: "critical".into(),
            summary: "checkout does not answer".into(),
        };
        assert_eq!(page.to_string(), "PAGE      critical: checkout does not answer (incident 0123456789ab…)");
        let resolve = Page { action: "resolve".into(), ..page };
        assert_eq!(resolve.to_string(), "RESOLVE   incident 0123456789ab…");
    }
}
