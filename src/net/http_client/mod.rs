//! HTTP requests of sinks, scrapes and service discovery, as [`HttpClientOptions`] say: credentials, TLS and
//! proxies whose files are read again while it runs, answers bounded in bytes, and errors that say whether
//! the server can have seen the request.

mod endpoints;
mod fetch;
mod oauth2;
mod payload;
mod redirect;
mod secrets;
mod state;
#[cfg(test)]
mod tests;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use url::Url;

pub use endpoints::Endpoints;
pub use fetch::{Body, Fetched};
pub use payload::Payload;
pub use state::HttpClientError;

use super::proxy::Proxies;
use crate::formats::inflate::InflateError;
use crate::options::HttpClientOptions;
use oauth2::OAuth2Client;
use payload::PayloadBody;
use state::{State, Versions};
use told::Incomplete;

/// How often files of credentials and certificates are looked at for a change, where a request is made.
const REREAD_EVERY: Duration = Duration::from_secs(10);

/// A client for one destination, or for several that are spoken to in the same way. Cloning it shares its
/// connections.
#[derive(Clone, Debug)]
pub struct HttpClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: HttpClientOptions,
    versions: Versions,
    proxies: Arc<Proxies>,
    oauth2: Option<OAuth2Client>,
    /// What the files held when they were read last; `None` where they could not be read yet.
    state: ArcSwapOption<State>,
    /// When they were looked at last.
    looked: Mutex<Instant>,
    /// One at a time reads them.
    reading: Mutex<()>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    /// Header fields behind the body.
    pub trailers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection: the server has not seen the request.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The credentials or certificates of the request cannot be had: it was not sent.
    #[error("{0}")]
    NotReady(String),
    /// No answer in time: the server may have done what was asked.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The agent has no memory for the answer's body: says nothing of the server.
    #[error(
        "no memory for the body within {0:?}: bodies that are being read and batches that wait take all of it; give the \
         agent more memory, scrape less at a time, or see which sink is behind"
    )]
    NoMemory(Duration),
    /// The connection ended or broke the protocol: the server may have done what was asked.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The answer is larger than any that was expected.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer's body cannot be inflated.
    #[error("{0}")]
    Inflate(#[from] InflateError),
    /// The answer's body is encoded in a way that was not asked for.
    #[error("the answer is encoded as `{0}`, which was not asked for")]
    Encoding(String),
    /// The server sends elsewhere, again and again.
    #[error("the server redirects: {0}")]
    Redirect(String),
}

impl ClientError {
    /// Whether the server may have done what was asked.
    pub fn outcome_unknown(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::NotReady(_))
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address. User and password in it are sent where the client has no other credentials.
    pub url: Url,
    /// Headers; those of the body are set from the fields below, and credentials by the client.
    pub headers: HeaderMap,
    /// The body's type; without one no body is sent.
    pub content_type: Option<HeaderValue>,
    /// How the body is compressed.
    pub content_encoding: Option<HeaderValue>,
    /// The body. Cloning it copies nothing.
    pub body: Payload,
    /// Time for all of it, a token of OAuth 2.0 and redirects included.
    pub timeout: Duration,
    /// Most bytes of an answer's body as it is sent.
    pub most_answer: usize,
}

impl Request {
    /// A `GET` of at most 16 MiB within 30 s.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            content_type: None,
            content_encoding: None,
            body: Payload::default(),
            timeout: Duration::from_secs(30),
            most_answer: 16 << 20,
        }
    }

    /// The same with an `Accept`.
    #[must_use]
    pub fn accept(mut self, accept: HeaderValue) -> Self {
        self.headers.insert(ACCEPT, accept);
        self
    }
}

impl HttpClient {
    /// A client whose files can be read now. Does I/O: call it where blocking is allowed.
    pub fn new(options: &HttpClientOptions) -> Result<Self, HttpClientError> {
        let client = Self::patient(options)?;
        client.reread()?;
        Ok(client)
    }

    /// A client whose files may come later: until they can be read, requests fail with
    /// [`ClientError::NotReady`], which says what is missing. Reads nothing.
    pub fn patient(options: &HttpClientOptions) -> Result<Self, HttpClientError> {
        Self::speaking(options, Versions::Negotiated)
    }

    /// The same for gRPC: HTTP/2, without TLS too.
    pub(super) fn http2(options: &HttpClientOptions) -> Result<Self, HttpClientError> {
        Self::speaking(options, Versions::Http2)
    }

    fn speaking(options: &HttpClientOptions, versions: Versions) -> Result<Self, HttpClientError> {
        let proxies = Arc::new(Proxies::new(&options.proxy(), |name| std::env::var(name).ok())?);
        state::check(options)?;
        let oauth2 = options.oauth2.as_ref().map(|oauth2| OAuth2Client::new(oauth2, options)).transpose()?;
        Ok(Self(Arc::new(Inner {
            options: options.clone(),
            versions,
            proxies,
            oauth2,
            state: ArcSwapOption::empty(),
            looked: Mutex::new(Instant::now()),
            reading: Mutex::new(()),
        })))
    }

    /// Reads the files of credentials and certificates again; where one changed, requests from now on go by
    /// it. Returns whether that is so. On an error everything stays as it was. It happens by itself every
    /// 10 s and after a 401. Does I/O: call it where blocking is allowed.
    pub fn reread(&self) -> Result<bool, HttpClientError> {
        let _one = self.0.reading.lock().unwrap_or_else(PoisonError::into_inner);
        *self.0.looked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let before = self.0.state.load_full();
        let state = State::read(&self.0.options, self.0.versions, &self.0.proxies, before.as_deref())?;
        let changed = before.is_none_or(|before| *before != state);
        if changed {
            self.0.state.store(Some(Arc::new(state)));
        }
        Ok(changed)
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request) -> Result<Answer, ClientError> {
        match tokio::time::timeout(request.timeout, self.whole(&request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout(request.timeout)),
        }
    }

    /// Sends a request and gives the answer's body as it comes, for what has no end, such as a watch.
    /// [`Request::timeout`] is the time until its head is there; its body may be of any size.
    pub async fn stream(&self, request: &Request) -> Result<http::Response<Incoming>, ClientError> {
        match tokio::time::timeout(request.timeout, self.open(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout(request.timeout)),
        }
    }

    async fn whole(&self, request: &Request) -> Result<Answer, ClientError> {
        let mut answer = Incomplete::of(self.open(request).await?);
        answer.complete(request.most_answer).await?;
        Ok(answer.so_far())
    }

    /// Sends a request and reads the head of its answer. After a 401 credentials are fetched or read again,
    /// and where they changed it is sent once more.
    async fn open(&self, request: &Request) -> Result<http::Response<Incoming>, ClientError> {
        let state = self.state().await?;
        let login = self.login(&state).await?;
        let response = redirect::follow(&self.0, &state, login.as_ref(), request).await?;
        if response.status() != StatusCode::UNAUTHORIZED || login.is_none() {
            return Ok(response);
        }
        let changed = self.reread_elsewhere().await.unwrap_or(false);
        match &self.0.oauth2 {
            Some(oauth2) => oauth2.forget(login.as_ref()).await,
            None if changed => {}
            None => return Ok(response),
        }
        let state = self.state().await?;
        let login = self.login(&state).await?;
        redirect::follow(&self.0, &state, login.as_ref(), request).await
    }

    async fn login(&self, state: &State) -> Result<Option<HeaderValue>, ClientError> {
        match &self.0.oauth2 {
            Some(oauth2) => oauth2.header(&state.client_secret).await.map(Some),
            None => Ok(state.login.clone()),
        }
    }

    /// What the files hold, looked at again where that is due.
    async fn state(&self) -> Result<Arc<State>, ClientError> {
        let known = self.0.state.load_full();
        let looked = *self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(state) if !state.has_files || looked.elapsed() < REREAD_EVERY => return Ok(state),
            Some(_) => match self.reread_elsewhere().await {
                Ok(true) => tracing::info!("files of credentials or certificates changed: requests go by them"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(
                        error,
                        "files of credentials or certificates cannot be used: those before stay in force"
                    );
                }
            },
            None => {
                self.reread_elsewhere().await.map_err(ClientError::NotReady)?;
            }
        }
        let missing = || ClientError::NotReady("the files of credentials cannot be read".into());
        self.0.state.load_full().ok_or_else(missing)
    }

    async fn reread_elsewhere(&self) -> Result<bool, String> {
        let client = self.clone();
        match tokio::task::spawn_blocking(move || client.reread()).await {
            Ok(read) => read.map_err(|error| error.to_string()),
            Err(ended) => Err(ended.to_string()),
        }
    }
}

/// The next part of a body.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, ClientError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ClientError::Broken(words(&error)))?;
        // Trailers are passed over.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Sets the body of a request and its headers.
fn put_body(http: &mut http::Request<PayloadBody>, request: &Request) {
    let Some(kind) = &request.content_type else { return };
    http.headers_mut().insert(CONTENT_TYPE, kind.clone());
    if let Some(encoding) = &request.content_encoding {
        http.headers_mut().insert(CONTENT_ENCODING, encoding.clone());
    }
    *http.body_mut() = request.body.body();
}

/// Sets the credentials of a request, unless it brings its own.
fn put_login(headers: &mut HeaderMap, login: Option<&HeaderValue>) {
    if let (Some(login), false) = (login, headers.contains_key(AUTHORIZATION)) {
        headers.insert(AUTHORIZATION, login.clone());
    }
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

fn classify(error: &hyper_util::client::legacy::Error) -> ClientError {
    if error.is_connect() { ClientError::Unreachable(causes(error)) } else { ClientError::Broken(causes(error)) }
}

/// The causes of an error, without itself where it only says that there is one.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), words)
}

/// An error and its causes.
fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
