//! HTTP requests of sinks: several endpoints with fail-over, answers bounded in bytes, and errors that
//! say whether the server can have seen the request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

use super::tls::{self, TlsError};
use crate::options::ClientTls;

/// Time to set up a connection; beyond it the endpoint counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle connections are closed before the load balancers that are common do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// A client for one destination.
#[derive(Debug)]
pub struct HttpClient {
    client: ArcSwap<reqwest::Client>,
    tls: ClientTls,
    /// Hash of what the files of `tls` held when the client was made.
    made_of: Mutex<u64>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection: the server has not seen the request.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// No answer in time: the server may have done what was asked.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection ended or broke the protocol: the server may have done what was asked.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than any that was expected.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl ClientError {
    /// Whether the server may have done what was asked.
    pub fn outcome_unknown(&self) -> bool {
        !matches!(self, Self::Unreachable(_))
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: Url,
    /// Credentials and other headers; those of the body are set from the fields below.
    pub headers: HeaderMap,
    /// The body's type; without one no body is sent.
    pub content_type: Option<HeaderValue>,
    /// How the body is compressed.
    pub content_encoding: Option<HeaderValue>,
    /// The body. Cloning it copies nothing.
    pub body: Bytes,
    /// Time for all of it.
    pub timeout: Duration,
    /// Most bytes of an answer.
    pub most_answer: usize,
}

impl HttpClient {
    /// A client with these TLS settings.
    pub fn new(tls: &ClientTls) -> Result<Self, HttpClientError> {
        let made_of = tls::content(tls);
        let client = ArcSwap::from_pointee(Self::build(tls)?);
        Ok(Self { client, tls: tls.clone(), made_of: Mutex::new(made_of) })
    }

    /// Reads the files of the TLS settings again; where one changed, requests from now on go by them. Returns
    /// whether that is so. On an error everything stays as it was. Does I/O: call it where blocking is allowed.
    pub fn reread(&self) -> Result<bool, HttpClientError> {
        let content = tls::content(&self.tls);
        let mut made_of = self.made_of.lock().unwrap_or_else(PoisonError::into_inner);
        if content == *made_of {
            return Ok(false);
        }
        self.client.store(Arc::new(Self::build(&self.tls)?));
        *made_of = content;
        Ok(true)
    }

    fn build(tls: &ClientTls) -> Result<reqwest::Client, HttpClientError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("tailwater/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            // An answer is small beside its request; inflating it would cost more than it saves.
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none());
        tls::configure(builder, tls)?.build().map_err(|error| HttpClientError::Build(words(&error)))
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        let (timeout, most) = (request.timeout, request.most_answer);
        let mut http = self.client.load().request(request.method, request.url).headers(request.headers);
        if let Some(kind) = request.content_type {
            http = http.header(CONTENT_TYPE, kind).body(request.body);
        }
        if let Some(encoding) = request.content_encoding {
            http = http.header(CONTENT_ENCODING, encoding);
        }
        match tokio::time::timeout(timeout, read(http, most)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout(timeout)),
        }
    }
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    /// The TLS settings do not work.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client library refused.
    #[error("the HTTP client cannot be set up: {0}")]
    Build(String),
}

async fn read(http: reqwest::RequestBuilder, most: usize) -> Result<Answer, ClientError> {
    let mut response = http.send().await.map_err(|error| classify(&error))?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(retry_after);
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await.map_err(|error| ClientError::Broken(words(&error)))? {
        if body.len() + part.len() > most {
            return Err(ClientError::TooLarge(most));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, retry_after, body: body.freeze() })
}

/// Seconds, or an HTTP date (RFC 9110, 10.2.3).
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn classify(error: &reqwest::Error) -> ClientError {
    if error.is_connect() || error.is_builder() {
        return ClientError::Unreachable(words(error));
    }
    ClientError::Broken(words(error))
}

/// The chain of causes without the address, which the caller names.
fn words(error: &reqwest::Error) -> String {
    use std::error::Error;
    let mut words = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&error.to_string());
        cause = error.source();
    }
    if words.is_empty() { error.to_string() } else { words }
}

/// The addresses of one destination. Requests go round; one that fails is left alone for a while.
#[derive(Debug)]
pub struct Endpoints {
    urls: Vec<Url>,
    next: AtomicUsize,
    cooling: Mutex<Vec<Cooling>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cooling {
    until: Option<Instant>,
    failures: u32,
}

const COOL_DOWN: Duration = Duration::from_secs(2);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(60);

impl Endpoints {
    /// These addresses; at least one.
    pub fn new(urls: Vec<Url>) -> Self {
        assert!(!urls.is_empty(), "a destination has at least one endpoint");
        let cooling = Mutex::new(vec![Cooling::default(); urls.len()]);
        Self { urls, next: AtomicUsize::new(0), cooling }
    }

    /// The endpoint for the next request: the next in turn that is not cooling down, else the one that
    /// will have cooled down first.
    pub fn pick(&self) -> (usize, &Url) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (0..self.urls.len()).map(|i| first.wrapping_add(i) % self.urls.len());
        let wait = |index: usize| cooling[index].until.map_or(Duration::ZERO, |until| until.duration_since(now));
        let index = turn.min_by_key(|&index| wait(index)).unwrap_or(0);
        (index, &self.urls[index])
    }

    /// An endpoint answered.
    pub fn works(&self, index: usize) {
        self.cooling.lock().unwrap_or_else(PoisonError::into_inner)[index] = Cooling::default();
    }

    /// An endpoint could not be reached or did not answer: the others go first for a while.
    pub fn failed(&self, index: usize) {
        let mut cooling = self.cooling.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = &mut cooling[index];
        let wait = COOL_DOWN.saturating_mul(1 << entry.failures.min(5)).min(LONGEST_COOL_DOWN);
        *entry = Cooling { until: Some(Instant::now() + wait), failures: entry.failures + 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize) -> Endpoints {
        Endpoints::new((0..count).map(|i| format!("http://127.0.0.1:{}", 9200 + i).parse().expect("valid")).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn requests_go_round_and_leave_out_what_failed() {
        let endpoints = endpoints(3);
        let picks = |n: usize| (0..n).map(|_| endpoints.pick().0).collect::<Vec<_>>();
        assert_eq!(picks(4), [0, 1, 2, 0]);
        endpoints.failed(1);
        assert!(!picks(6).contains(&1));
        tokio::time::advance(COOL_DOWN * 2).await;
        assert!(picks(6).contains(&1), "it has cooled down");
        for index in 0..3 {
            endpoints.failed(index);
        }
        endpoints.works(2);
        assert_eq!(picks(2), [2, 2]);
    }

    #[test]
    fn a_new_authority_is_trusted_and_a_broken_file_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        let (old, new) = (include_str!("testdata/old.pem"), include_str!("testdata/new.pem"));
        std::fs::write(&path, old).expect("written");
        let tls = ClientTls { ca_file: Some(path.clone()), ..ClientTls::default() };
        let client = HttpClient::new(&tls).expect("a client");
        assert!(client.reread().is_ok_and(|changed| !changed));
        std::fs::write(&path, "no certificate").expect("written");
        let before = client.client.load_full();
        assert!(client.reread().is_err());
        assert!(Arc::ptr_eq(&before, &client.client.load_full()));
        std::fs::write(&path, new).expect("written");
        assert!(client.reread().is_ok_and(|changed| changed));
        assert!(!Arc::ptr_eq(&before, &client.client.load_full()));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let parse = |text: &'static str| retry_after(&HeaderValue::from_static(text));
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO), "a time that is over");
        assert_eq!(parse("soon"), None);
    }
}
