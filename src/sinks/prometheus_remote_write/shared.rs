//! What the requests of one sink share: the receiver, the version that it understands, and how series are
//! written for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::options::Options;
use super::pool::BodyPool;
use crate::data::LabelSet;
use crate::delivery::refusals::Refusals;
use crate::formats::prometheus::remote_write::{EncodeOptions, Encoder, Relabel, Version};
use crate::net::http_client::Request;
use crate::net::{Answer, ClientError, HttpClient, shown};
use crate::relabel::{Rules, Scratch, Verdict};
use crate::telemetry::ComponentMetrics;

/// Largest answer that is read.
const MOST_ANSWER: usize = 1 << 20;

/// The receiver.
#[derive(Debug)]
pub(super) struct Server {
    client: HttpClient,
    url: Url,
    /// The address without what may be secret in it, for messages.
    shown: String,
    headers: HeaderMap,
    timeout: Duration,
}

impl Server {
    /// Files of credentials that are not there yet make requests wait, not the agent.
    pub fn new(options: &Options) -> Result<Self, String> {
        let client = HttpClient::patient(&options.shared).map_err(|error| error.to_string())?;
        let url = options.own.address()?;
        let shown = shown(&url);
        let mut headers = HeaderMap::new();
        for (name, value) in &options.own.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
            headers.insert(name, HeaderValue::from_str(value).map_err(|error| error.to_string())?);
        }
        Ok(Self { client, url, shown, headers, timeout: options.own.timeout.0 })
    }

    /// The address for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Sends one body. Any status is an answer.
    pub async fn send(&self, version: Version, body: Bytes) -> Result<Answer, ClientError> {
        let mut headers = self.headers.clone();
        headers.insert(
            HeaderName::from_static("x-prometheus-remote-write-version"),
            HeaderValue::from_static(version.header()),
        );
        let request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            content_type: Some(HeaderValue::from_static(version.content_type())),
            content_encoding: Some(HeaderValue::from_static("snappy")),
            body: body.into(),
            timeout: self.timeout,
            most_answer: MOST_ANSWER,
        };
        debug_assert!(!request.headers.contains_key(CONTENT_ENCODING));
        self.client.send(request).await
    }
}

/// One sink's receiver, settings and counters.
#[derive(Debug)]
pub(super) struct Shared {
    pub server: Server,
    pub metrics: Arc<ComponentMetrics>,
    pub refusals: Refusals,
    pub bodies: BodyPool,
    pub max_bytes: usize,
    /// Most shards: what one sent last time may have been spread over so many.
    pub most_shards: usize,
    pub external: Vec<(String, String)>,
    pub rules: Rules,
    pub exemplars: bool,
    pub metadata: bool,
    /// Whether the receiver understands 2.0, as far as is known.
    pub v2: AtomicBool,
    /// Nanoseconds that requests were in flight, and how many were taken, since somebody asked.
    pub used: AtomicU64,
    pub taken: AtomicU64,
}

impl Shared {
    /// The version in which requests are written.
    pub fn version(&self) -> Version {
        if self.v2.load(Ordering::Relaxed) { Version::V2 } else { Version::V1 }
    }

    /// From now on requests are 1.0.
    pub fn fall_back(&self, why: &str) {
        if self.v2.swap(false, Ordering::Relaxed) {
            let component = &*self.metrics.name;
            tracing::warn!(
                component,
                "{why}: that is no receiver of remote write 2.0, which says what it wrote; it is sent 1.0 from now on, \
                 with `version: \"1.0\"` from the beginning"
            );
        }
    }

    /// An encoder that knows no series.
    pub fn encoder(&self, version: Version, metadata: bool) -> Encoder {
        let relabel: Option<Box<dyn Relabel>> = match self.rules.is_empty() {
            true => None,
            false => Some(Box::new(Rewriter { rules: self.rules.clone(), scratch: Scratch::default() })),
        };
        let external = self.external.clone();
        Encoder::new(version, EncodeOptions { external, relabel, exemplars: self.exemplars, metadata })
    }
}

/// `write_relabel_configs`.
struct Rewriter {
    rules: Rules,
    scratch: Scratch,
}

impl Relabel for Rewriter {
    fn relabel(&mut self, labels: &mut LabelSet) -> bool {
        self.rules.apply(labels, &mut self.scratch) == Verdict::Kept
    }
}
