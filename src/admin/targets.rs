//! `/api/v1/targets` and `/api/v1/status/buildinfo`, in the shapes that Prometheus 3 answers them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::data::{LabelSet, UnixMillis, UnixNanos};
use crate::options::prometheus_duration;
use crate::telemetry::{Target, Telemetry};

/// An answer of Prometheus's API.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// `success`.
    pub status: String,
    /// What was asked for.
    pub data: T,
}

impl<T> Answer<T> {
    /// An answer to what could be answered.
    pub fn of(data: T) -> Self {
        Self { status: "success".into(), data }
    }
}

/// All targets.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetList {
    /// Those that are scraped, by pool.
    pub active_targets: Vec<ActiveTarget>,
    /// Those that relabelling dropped, as far as their labels are kept.
    pub dropped_targets: Vec<DroppedTarget>,
    /// How many were dropped, by pool.
    pub dropped_target_counts: BTreeMap<String, usize>,
}

/// A target that is scraped.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTarget {
    /// Labels as they were discovered.
    pub discovered_labels: BTreeMap<String, String>,
    /// Labels that its series carry.
    pub labels: BTreeMap<String, String>,
    /// The job.
    pub scrape_pool: String,
    /// What is asked.
    pub scrape_url: String,
    /// The same as others reach it: the node's name instead of `localhost`.
    pub global_url: String,
    /// Why the last scrape failed; empty where it did not.
    pub last_error: String,
    /// When the last scrape began, in RFC 3339; year 1 before the first.
    pub last_scrape: String,
    /// Seconds that it took.
    pub last_scrape_duration: f64,
    /// `up`, `down` or `unknown`.
    pub health: String,
    /// Time between two scrapes.
    pub scrape_interval: String,
    /// Longest time that a scrape may take.
    pub scrape_timeout: String,
}

/// A target that relabelling dropped.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedTarget {
    /// Labels as they were discovered.
    pub discovered_labels: BTreeMap<String, String>,
    /// The job.
    pub scrape_pool: String,
}

/// What `/api/v1/targets` is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    state: String,
    pool: String,
}

impl Query {
    /// Reads the query of an address: `state=active|dropped|any` and `scrapePool=name`.
    pub fn read(query: &str) -> Self {
        let mut read = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "state" => read.state = value.to_ascii_lowercase(),
                "scrapePool" => read.pool = value.into_owned(),
                _ => {}
            }
        }
        read
    }

    fn shows(&self, state: &str) -> bool {
        matches!(&*self.state, "" | "any") || self.state == state
    }
}

impl TargetList {
    /// The targets of all sources that scrape, on the node of this name.
    pub(super) fn of(telemetry: &Telemetry, node: &str, query: &Query) -> Self {
        let mut list = Self::default();
        for component in telemetry.components() {
            for (name, pool) in component.targets.pools() {
                if !query.pool.is_empty() && *query.pool != *name {
                    continue;
                }
                if query.shows("active") {
                    list.active_targets.extend(pool.active.iter().map(|target| ActiveTarget::of(target, node)));
                }
                if query.shows("dropped") {
                    *list.dropped_target_counts.entry(name.to_string()).or_default() += pool.dropped.count();
                    list.dropped_targets.extend(
                        pool.dropped.kept().iter().map(|labels| DroppedTarget {
                            discovered_labels: map(labels),
                            scrape_pool: name.to_string(),
                        }),
                    );
                }
            }
        }
        // Two sources may have pools of one name; the targets of each stay in their order.
        list.active_targets.sort_by(|a, b| a.scrape_pool.cmp(&b.scrape_pool));
        list
    }

    /// All jobs: those without a target are among what is counted as dropped.
    pub fn jobs(&self) -> BTreeSet<&str> {
        let active = self.active_targets.iter().map(|target| &*target.scrape_pool);
        active.chain(self.dropped_target_counts.keys().map(String::as_str)).collect()
    }
}

impl ActiveTarget {
    fn of(target: &Target, node: &str) -> Self {
        let state = target.state();
        Self {
            discovered_labels: map(&target.discovered),
            labels: map(&target.labels),
            scrape_pool: target.pool.to_string(),
            scrape_url: target.url.to_string(),
            global_url: global(&target.url, node),
            last_error: state.last_error,
            last_scrape: rfc3339(state.last_scrape),
            last_scrape_duration: state.last_duration.as_secs_f64(),
            health: state.health.name().into(),
            scrape_interval: prometheus_duration::text(target.interval),
            scrape_timeout: prometheus_duration::text(target.timeout),
        }
    }
}

fn map(labels: &LabelSet) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The address as others reach it.
fn global(url: &str, node: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return url.to_owned() };
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if !local || node.is_empty() || parsed.set_host(Some(node)).is_err() {
        return url.to_owned();
    }
    parsed.into()
}

/// Milliseconds in UTC; for a scrape that never was, what Go calls the zero time.
fn rfc3339(time: Option<UnixMillis>) -> String {
    let Some(nanos) = time.and_then(|time| u64::try_from(time.0).ok()?.checked_mul(1_000_000)) else {
        return "0001-01-01T00:00:00Z".to_owned();
    };
    let mut text = Vec::new();
    UnixNanos(nanos).write_rfc3339(&mut text);
    text.truncate("2026-11-23T01:02:03.123".len());
    text.push(b'Z');
    String::from_utf8_lossy(&text).into_owned()
}

/// What this program is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuildInfo {
    application: &'static str,
    pub version: &'static str,
    // Prometheus's fields that nothing here has a value for.
    pub revision: &'static str,
    pub branch: &'static str,
    pub build_user: &'static str,
    pub build_date: &'static str,
    pub go_version: &'static str,
}

impl BuildInfo {
    pub const fn of_this() -> Self {
        Self {
            application: "tailwater",
            version: env!("CARGO_PKG_VERSION"),
            revision: "",
            branch: "",
            build_user: "",
            build_date: "",
            go_version: "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::telemetry::{DroppedTargets, Pool, TargetHealth};

    fn telemetry() -> Telemetry {
        let telemetry = Telemetry::new();
        let target = |pool: &str, url: &str| {
            let mut target = Target::default();
            target.pool = pool.into();
            target.url = url.into();
            target.labels = [("job", pool), ("instance", "web-1:9100")].into_iter().collect();
            target.discovered = [("__address__", "web-1:9100")].into_iter().collect();
            target.interval = Duration::from_secs(90);
            target.timeout = Duration::from_millis(10_500);
            Arc::new(target)
        };
        let (web, node) =
            (target("web", "http://web-1:9100/metrics?a=b"), target("node", "http://127.0.0.1:9100/metrics"));
        web.update(|state| {
            state.health = TargetHealth::Down;
            state.last_error = "connection refused".into();
            state.last_scrape = Some(UnixMillis(1_700_000_000_123));
            state.last_duration = Duration::from_millis(250);
        });
        let mut dropped = DroppedTargets::keeping(1);
        (0..3).for_each(|_| dropped.push(&[("__address__", "web-2:9100")].into_iter().collect()));
        let targets = &telemetry.component("source", "prometheus_scrape/x").targets;
        targets.set("web", Pool { active: vec![web], dropped });
        targets.set("node", Pool { active: vec![node], dropped: DroppedTargets::keeping(0) });
        telemetry
    }

    #[test]
    fn targets_are_told_as_prometheus_tells_them() {
        let telemetry = telemetry();
        let list = |query: &str| TargetList::of(&telemetry, "n1", &Query::read(query));
        let json = serde_json::to_value(Answer::of(list("scrapePool=web"))).expect("JSON");
        let expected = serde_json::json!({
            "status": "success",
            "data": {
                "activeTargets": [{
                    "discoveredLabels": { "__address__": "web-1:9100" },
                    "labels": { "instance": "web-1:9100", "job": "web" },
                    "scrapePool": "web",
                    "scrapeUrl": "http://web-1:9100/metrics?a=b",
                    "globalUrl": "http://web-1:9100/metrics?a=b",
                    "lastError": "connection refused",
                    "lastScrape": "2023-11-14T22:13:20.123Z",
                    "lastScrapeDuration": 0.25,
                    "health": "down",
                    "scrapeInterval": "1m30s",
                    "scrapeTimeout": "10s500ms"
                }],
                "droppedTargets": [{ "discoveredLabels": { "__address__": "web-2:9100" }, "scrapePool": "web" }],
                "droppedTargetCounts": { "web": 3 }
            }
        });
        assert_eq!(json, expected);
        let active = list("state=active");
        let pools: Vec<_> = active.active_targets.iter().map(|target| target.scrape_pool.as_str()).collect();
        assert_eq!(
            (pools, active.dropped_targets.len(), active.dropped_target_counts.len()),
            (vec!["node", "web"], 0, 0)
        );
        assert_eq!(active.active_targets[0].global_url, "http://n1:9100/metrics");
        assert_eq!(active.active_targets[0].last_scrape, "0001-01-01T00:00:00Z");
        let dropped = list("state=dropped");
        assert_eq!((dropped.active_targets.len(), dropped.dropped_targets.len()), (0, 1));
        assert_eq!(list("state=none"), TargetList::default());
    }
}
