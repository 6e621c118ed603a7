//! The agent's own traces: which batches are followed on their way, and where their spans go. The spans themselves are
//! made where batches are moved, in `delivery::journey`.
//!
//! Off unless the section `telemetry` has `otlp`. Then a share of all batches is followed, chosen when a batch sets out; a
//! batch that is not costs one comparison.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration as StdDuration;

use arc_swap::ArcSwapOption;
use opentelemetry_sdk::trace::SpanData;
use schemars::JsonSchema;
use url::Url;

use crate::options::http_client::HttpHeader;
use crate::options::{Code, Duration, HttpClientOptions, Joined, Problem, Secret, SecretAddress, Span, Spanned};

const ENDPOINT: Code = Code("TW0821");
const LIMITS: Code = Code("TW0822");

/// Where the agent's own traces go, and how.
pub type Options = Joined<Otlp, HttpClientOptions>;

/// Where the agent's own traces go.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OwnTraces")]
pub struct Otlp {
    /// The receiver, as the address before `/v1/traces`: `http://host:4318` or `https://host:4318`. Required.
    pub endpoint: Option<Spanned<SecretAddress>>,
    /// Further headers of every request, such as a key: `{ api-key: "${file:/etc/tailwater/secrets/key}" }`.
    pub headers: BTreeMap<String, Secret>,
    /// Share of all batches that is followed, from 0 to 1. A batch that is followed costs some spans of half a kilobyte;
    /// agents with many small batches want less. Default: `0.001`.
    pub sample_ratio: Spanned<f64>,
    /// Time for one request. Default: `10s`.
    pub timeout: Spanned<Duration>,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            sample_ratio: Spanned::unknown(0.001),
            timeout: Spanned::unknown(Duration(StdDuration::from_secs(10))),
        }
    }
}

impl Otlp {
    /// The address that requests are posted to; `None` where the options are wrong.
    pub fn url(&self) -> Option<Url> {
        let mut url = Url::parse(&self.endpoint.as_ref()?.value.expose()).ok()?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() || url.query().is_some() {
            return None;
        }
        url.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "traces"]);
        Some(url)
    }
}

impl Options {
    /// The options of the client, with the further headers among them.
    pub fn client(&self) -> HttpClientOptions {
        let mut client = self.shared.clone();
        for (name, secret) in &self.own.headers {
            let header = HttpHeader { secrets: vec![secret.clone()], ..HttpHeader::default() };
            client.http_headers.insert(name.clone(), Spanned::unknown(header));
        }
        client
    }

    /// Everything that is wrong with the options.
    pub fn problems(&self) -> Vec<Problem> {
        let own = &self.own;
        let at = own.endpoint.as_ref().map_or(Span::UNKNOWN, |endpoint| endpoint.span);
        let mut problems = self.client().problems(at);
        if own.url().is_none() {
            let problem = Problem::new(ENDPOINT, at, "`endpoint` is no address of a receiver of traces");
            problems.push(problem.help("write http://HOST:4318 or https://HOST:4318"));
        }
        if !(0.0..=1.0).contains(&own.sample_ratio.value) {
            let message = format!("`sample_ratio` is {}", own.sample_ratio.value);
            let problem = Problem::new(LIMITS, own.sample_ratio.span, message);
            problems.push(problem.help("write a share from 0 to 1, such as 0.001"));
        }
        if !(StdDuration::from_millis(100)..=StdDuration::from_secs(60)).contains(&own.timeout.0) {
            let problem = Problem::new(LIMITS, own.timeout.span, format!("`timeout` is {}", own.timeout.value));
            problems.push(problem.help("write a time from 100ms to 1m, such as 10s"));
        }
        problems
    }
}

/// Takes finished spans. Called on paths of data: it must not wait.
pub type Exit = Arc<dyn Fn(SpanData) + Send + Sync>;

/// Which batches are followed.
#[derive(Default)]
pub struct OwnTraces {
    /// Of 2⁶⁴ batches so many are followed.
    share: AtomicU64,
    exit: ArcSwapOption<ExitSlot>,
}

struct ExitSlot(Exit);

impl OwnTraces {
    /// Follows this share of all batches from now on, and hands their spans to `exit`.
    pub fn follow(&self, share: f64, exit: Exit) {
        self.exit.store(Some(Arc::new(ExitSlot(exit))));
        // A share of 1 becomes the largest number, which one of 2⁶⁴ batches misses.
        self.share.store((share * 2f64.powi(64)) as u64, Ordering::Release);
    }

    /// Follows none from now on.
    pub fn stop(&self) {
        self.share.store(0, Ordering::Release);
        self.exit.store(None);
    }

    /// Whether the batch that sets out now is followed: if so, where its spans go.
    #[inline]
    pub fn chosen(&self) -> Option<Exit> {
        match self.share.load(Ordering::Relaxed) {
            0 => None,
            share => self.choose(share),
        }
    }

    #[cold]
    fn choose(&self, share: u64) -> Option<Exit> {
        if fastrand::u64(..) > share { None } else { self.exit.load().as_ref().map(|slot| slot.0.clone()) }
    }
}

impl fmt::Debug for OwnTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnTraces").field("share", &self.share).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_and_can_be_changed() {
        let own = OwnTraces::default();
        assert!(own.chosen().is_none(), "off by default");
        let count = |own: &OwnTraces| (0..10_000).filter(|_| own.chosen().is_some()).count();
        own.follow(1.0, Arc::new(|_| {}));
        assert_eq!(count(&own), 10_000);
        fastrand::seed(5);
        own.follow(0.1, Arc::new(|_| {}));
        assert!((900..1100).contains(&count(&own)));
        own.stop();
        assert_eq!(count(&own), 0);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let read = |json: &str| serde_json::from_str::<Options>(json).expect("the shape is right");
        assert!(read(r#"{"endpoint":"http://c:4318","sample_ratio":1}"#).problems().is_empty());
        for wrong in [
            r#"{}"#,
            r#"{"endpoint":"c:4318"}"#,
            r#"{"endpoint":"http://c:4318?k=v"}"#,
            r#"{"endpoint":"http://c:4318","sample_ratio":1.5}"#,
            r#"{"endpoint":"http://c:4318","timeout":"1h"}"#,
        ] {
            assert_eq!(read(wrong).problems().len(), 1, "{wrong}");
        }
        let url = read(r#"{"endpoint":"https://c/base/"}"#).url();
        assert_eq!(url.map(String::from).as_deref(), Some("https://c/base/v1/traces"));
    }
}
