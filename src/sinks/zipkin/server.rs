//! The receiver: where requests go, and what its answers mean.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{HeaderMap, HeaderValue};
use url::Url;

use super::options::{Compression, Options};
use crate::delivery::sender::StatusClass;
use crate::net::http_client::{HttpClientError, Request};
use crate::net::{HttpClient, shown};

/// Most bytes of an answer.
const MOST_ANSWER: usize = 1 << 20;

/// Bytes of an answer that the log quotes.
const QUOTED: usize = 500;

/// A receiver.
#[derive(Debug)]
pub(super) struct Server {
    client: HttpClient,
    endpoint: Url,
    shown: String,
    compression: Compression,
    timeout: Duration,
}

/// What became of one request.
#[derive(Debug)]
pub(super) struct Sent {
    /// What the answer says of it.
    pub class: StatusClass,
    /// How long the receiver asks to wait.
    pub after: Option<Duration>,
    /// Who answered, and what, for the log.
    pub words: String,
}

impl Server {
    /// The receiver that the options name.
    pub fn new(options: &Options) -> Result<Self, HttpClientError> {
        let endpoint = options.own.address().expect("the plan has read it");
        Ok(Self {
            client: HttpClient::patient(&options.shared)?,
            shown: shown(&endpoint),
            endpoint,
            compression: options.own.compression,
            timeout: options.own.timeout.0,
        })
    }

    /// Sends a body.
    pub async fn send(&self, body: Bytes) -> Sent {
        let request = Request {
            method: Method::POST,
            url: self.endpoint.clone(),
            headers: HeaderMap::new(),
            content_type: Some(HeaderValue::from_static("application/json")),
            content_encoding: match self.compression {
                Compression::None => None,
                Compression::Gzip => Some(HeaderValue::from_static("gzip")),
            },
            body: body.into(),
            timeout: self.timeout,
            most_answer: MOST_ANSWER,
        };
        let shown = &self.shown;
        match self.client.send(request).await {
            Ok(answer) => {
                let status = answer.status.as_u16();
                let said = String::from_utf8_lossy(&answer.body[..answer.body.len().min(QUOTED)]);
                let words = format!("zipkin at {shown} answered {status}: {}{}", said.trim(), hint(status));
                Sent { class: StatusClass::of(status), after: answer.retry_after, words }
            }
            Err(error) => Sent { class: StatusClass::Retry, after: None, words: format!("zipkin at {shown}: {error}") },
        }
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check the credentials of the sink",
        404 | 405 => "; check `endpoint`, which has the path /api/v2/spans as a rule",
        415 => "; check `endpoint` and `compression`",
        407 => "; the proxy on the way wants credentials",
        300..=399 => "; `endpoint` must name the receiver itself",
        _ => "",
    }
}
