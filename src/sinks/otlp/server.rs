//! The receiver: where requests go, by which protocol, and what its answers mean.

use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::answer::{self, Meaning};
use super::options::{Compression, Options, Protocol, Routing};
use crate::data::Signal;
use crate::formats::otlp::json::{self, Document};
use crate::net::grpc::{Call, CallError, GrpcClient};
use crate::net::http_client::{HttpClientError, Payload, Request};
use crate::net::{ClientError, Endpoints, HttpClient, shown};
use crate::options::{Spanned, TlsConfig};

/// Most bytes of an answer.
const MOST_ANSWER: usize = 1 << 20;

/// Sends requests.
#[derive(Debug)]
pub(super) struct Server {
    client: Client,
    timeout: Duration,
}

/// Where requests go: one receiver, or the first that works of several.
#[derive(Debug)]
pub(super) struct Target {
    endpoints: Endpoints,
    /// Its name among others; empty where there are none.
    pub name: String,
    /// Tells that it is no receiver any more.
    pub gone: CancellationToken,
}

impl Target {
    pub fn of(endpoints: Endpoints, name: String) -> Self {
        Self { endpoints, name, gone: CancellationToken::new() }
    }
}

#[derive(Debug)]
enum Client {
    Grpc(GrpcClient),
    Http(HttpClient),
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// The request, framed where gRPC wants it.
    pub payload: Payload,
    /// How it is compressed.
    pub compression: Compression,
}

/// What became of one request.
#[derive(Debug)]
pub(super) struct Sent {
    /// What it means.
    pub meaning: Meaning,
    /// Who answered, and what, for the log.
    pub words: String,
}

impl Server {
    /// A client that goes by the options. Files that it needs may come later.
    pub fn new(options: &Options) -> Result<Self, HttpClientError> {
        let own = &options.own;
        let mut shared = options.shared.clone();
        if own.routing == Routing::TraceId
            && let [url] = own.urls().as_slice()
            && let Some(Host::Domain(name)) = url.host()
        {
            // Its addresses are spoken to, and their certificates are of the name.
            let unset = || Spanned::unknown(TlsConfig::default());
            let tls = shared.tls_config.get_or_insert_with(unset);
            tls.value.server_name.get_or_insert_with(|| name.to_owned());
        }
        let client = match own.protocol {
            Protocol::Grpc => Client::Grpc(GrpcClient::new(&shared)?),
            Protocol::Http => Client::Http(HttpClient::patient(&shared)?),
        };
        Ok(Self { client, timeout: own.timeout.0 })
    }

    /// Whether requests are framed as gRPC wants it.
    pub fn framed(&self) -> bool {
        matches!(self.client, Client::Grpc(_))
    }

    /// Sends a request.
    pub async fn send(&self, target: &Target, signal: Signal, body: Body) -> Sent {
        let (index, endpoint) = target.endpoints.first();
        let shown = shown(endpoint);
        let (meaning, words) = match &self.client {
            Client::Grpc(client) => self.call(client, endpoint, signal, body).await,
            Client::Http(client) => self.post(client, endpoint, signal, body).await,
        };
        match meaning {
            Meaning::Unanswered | Meaning::Later { .. } => target.endpoints.failed(index),
            _ => target.endpoints.works(index),
        }
        Sent { meaning, words: format!("the receiver at {shown}{words}") }
    }

    async fn call(&self, client: &GrpcClient, endpoint: &Url, signal: Signal, body: Body) -> (Meaning, String) {
        let call = Call {
            url: address(endpoint, method(signal)),
            metadata: HeaderMap::new(),
            payload: body.payload,
            encoding: encoding(body.compression),
            timeout: self.timeout,
        };
        match client.unary(call).await {
            Ok(response) => answer::taken(&response),
            Err(CallError::Unreadable(words)) => answer::unreadable(&words),
            Err(CallError::Client(error)) => unanswered(&error),
            Err(CallError::Status { status, retry_delay }) => answer::of_grpc(&status, retry_delay),
        }
    }

    async fn post(&self, client: &HttpClient, endpoint: &Url, signal: Signal, body: Body) -> (Meaning, String) {
        let request = Request {
            method: Method::POST,
            url: address(endpoint, path(signal)),
            headers: HeaderMap::new(),
            content_type: Some(HeaderValue::from_static("application/x-protobuf")),
            content_encoding: encoding(body.compression),
            body: body.payload,
            timeout: self.timeout,
            most_answer: MOST_ANSWER,
        };
        match client.send(request).await {
            Ok(answer) if answer.status.is_success() => match kind(&answer.headers) {
                b"application/x-protobuf" => answer::taken(&answer.body),
                b"application/json" => {
                    let document = Document::Response(signal);
                    // What is no such answer says that it was a success all the same.
                    answer::taken(&json::read(document, &answer.body, MOST_ANSWER).unwrap_or_default())
                }
                b"text/html" => {
                    let words = " answered with a page; check `endpoint`: it is no receiver of OTLP";
                    (Meaning::Blocked, words.into())
                }
                _ => answer::taken(&[]),
            },
            Ok(answer) => answer::of_http(&answer, kind(&answer.headers) == b"application/x-protobuf"),
            Err(error) => unanswered(&error),
        }
    }
}

fn unanswered(error: &ClientError) -> (Meaning, String) {
    (Meaning::Unanswered, format!(": {error}"))
}

/// The type of an answer's body, without its parameters.
fn kind(headers: &HeaderMap) -> &[u8] {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

fn encoding(compression: Compression) -> Option<HeaderValue> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some(HeaderValue::from_static("gzip")),
        Compression::Zstd => Some(HeaderValue::from_static("zstd")),
    }
}

const fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Logs => "opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

const fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "v1/traces",
        Signal::Logs => "v1/logs",
        Signal::Metrics => "v1/metrics",
    }
}

/// The address of a path below an endpoint.
fn address(endpoint: &Url, path: &str) -> Url {
    let mut url = endpoint.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}
