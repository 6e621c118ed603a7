//! Tokens by OAuth 2.0's grant of client credentials (RFC 6749, 4.4), as Go's `clientcredentials` fetches
//! them: kept until shortly before they expire, one request for a token at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize, parse};

use super::state::basic;
use super::{Answer, ClientError, HttpClient, HttpClientError, Request};
use crate::net::{Hidden, shown};
use crate::options::HttpClientOptions;
use crate::options::http_client::OAuth2;

/// A token is fetched again this long before it expires, as the clocks of two machines differ.
const EARLY: Duration = Duration::from_secs(10);

/// Largest answer of a token server.
const MOST_ANSWER: usize = 1 << 20;

/// Characters of an answer that a message quotes.
const QUOTED: usize = 200;

/// A client of a token server.
#[derive(Debug)]
pub(super) struct OAuth2Client {
    client: HttpClient,
    options: OAuth2,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    token: Option<Token>,
    /// How the server takes the client's credentials, once that is known.
    style: Option<Style>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Option<Instant>,
    /// The secret that it was got for.
    secret: Arc<str>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Where the client's id and secret stand (RFC 6749, 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Header,
    Body,
}

impl OAuth2Client {
    pub fn new(options: &OAuth2, around: &HttpClientOptions) -> Result<Self, HttpClientError> {
        let client = HttpClientOptions {
            tls_config: options.tls_config.clone(),
            proxy_url: options.proxy_url.clone(),
            no_proxy: options.no_proxy.clone(),
            proxy_from_environment: options.proxy_from_environment.clone(),
            proxy_connect_header: options.proxy_connect_header.clone(),
            enable_http2: around.enable_http2,
            ..HttpClientOptions::default()
        };
        Ok(Self { client: HttpClient::patient(&client)?, options: options.clone(), kept: Mutex::default() })
    }

    /// The header `Authorization` with a token that is valid, as far as is known. Boxed, since a client uses
    /// another client here.
    pub fn header<'a>(
        &'a self,
        secret: &'a Arc<str>,
    ) -> Pin<Box<dyn Future<Output = Result<HeaderValue, ClientError>> + Send + 'a>> {
        Box::pin(async move {
            let mut kept = self.kept.lock().await;
            let fresh = |until: Option<Instant>| until.is_none_or(|until| Instant::now() < until);
            if let Some(token) = kept.token.as_ref().filter(|token| token.secret == *secret && fresh(token.until)) {
                return Ok(token.header.clone());
            }
            kept.token = None;
            let (token, style) = self.fetch(secret, kept.style).await?;
            let header = token.header.clone();
            *kept = Kept { token: Some(token), style: Some(style) };
            Ok(header)
        })
    }

    /// The header `Authorization` as it was last, where nobody fetches another one now.
    pub fn known(&self) -> Option<HeaderValue> {
        Some(self.kept.try_lock().ok()?.token.as_ref()?.header.clone())
    }

    /// The server refused this header: its token is not used again.
    pub async fn forget(&self, header: Option<&HeaderValue>) {
        let mut kept = self.kept.lock().await;
        if kept.token.as_ref().map(|token| &token.header) == header {
            kept.token = None;
        }
    }

    /// Fetches a token; where it is not known how the server takes credentials, in both ways.
    async fn fetch(&self, secret: &Arc<str>, style: Option<Style>) -> Result<(Token, Style), ClientError> {
        let styles: &[Style] = match style {
            Some(Style::Header) => &[Style::Header],
            Some(Style::Body) => &[Style::Body],
            None => &[Style::Header, Style::Body],
        };
        let mut refused = String::new();
        for &style in styles {
            let answer = self.client.send(self.request(secret, style)?).await.map_err(|error| self.failed(&error))?;
            if answer.status.is_success() {
                return Ok((self.token(&answer, secret)?, style));
            }
            refused = format!("it answered {}: {}", answer.status, self.quoted(&answer.body, secret));
        }
        Err(self.failed(&refused))
    }

    fn request(&self, secret: &str, style: Style) -> Result<Request, ClientError> {
        let address = self.options.token_url.as_ref().map_or("", |url| url.value.as_str());
        let url = Url::parse(address).map_err(|error| self.failed(&error))?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.options.scopes.is_empty() {
            form.append_pair("scope", &self.options.scopes.join(" "));
        }
        form.extend_pairs(&self.options.endpoint_params);
        let mut request = Request { method: Method::POST, most_answer: MOST_ANSWER, ..Request::get(url) };
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match style {
            Style::Header => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let login = basic(&encoded(&self.options.client_id), &encoded(secret));
                request.headers.insert(AUTHORIZATION, login);
            }
            Style::Body => {
                form.append_pair("client_id", &self.options.client_id);
                if !secret.is_empty() {
                    form.append_pair("client_secret", secret);
                }
            }
        }
        request.content_type = Some(HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = form.finish().into();
        Ok(request)
    }

    /// RFC 6749, 5.1; some servers answer with a form instead of JSON.
    fn token(&self, answer: &Answer, secret: &Arc<str>) -> Result<Token, ClientError> {
        let kind = answer.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let form = kind.starts_with(b"application/x-www-form-urlencoded") || kind.starts_with(b"text/plain");
        let answer = if form { Given::from_form(&answer.body) } else { serde_json::from_slice(&answer.body).ok() };
        let Some(given) = answer.filter(|given| !given.access_token.is_empty()) else {
            return Err(self.failed(&"its answer holds no `access_token`"));
        };
        let kind = match given.token_type.as_deref().unwrap_or_default() {
            kind if kind.is_empty() || kind.eq_ignore_ascii_case("bearer") => "Bearer",
            kind => kind,
        };
        let header = HeaderValue::from_str(&format!("{kind} {}", given.access_token));
        let mut header = header.map_err(|_| self.failed(&"no header can carry its token"))?;
        header.set_sensitive(true);
        let until = given.seconds().map(|seconds| Instant::now() + Duration::from_secs(seconds).saturating_sub(EARLY));
        Ok(Token { header, until, secret: secret.clone() })
    }

    /// The beginning of an answer, without what the request held that is secret.
    fn quoted(&self, body: &[u8], secret: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let given = self.options.endpoint_params.values().map(String::as_str).chain([secret]);
        let hidden = Hidden::of(given.clone()).and(given.map(encoded));
        let hidden = hidden.and_login(&encoded(&self.options.client_id), &encoded(secret));
        let masked = hidden.mask(&String::from_utf8_lossy(body));
        let end = masked.char_indices().nth(QUOTED).map_or(masked.len(), |(end, _)| end);
        masked[..end].trim().to_owned()
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> ClientError {
        let address = self.options.token_url.as_ref().and_then(|url| Url::parse(&url.value).ok());
        let address = address.as_ref().map_or_else(|| "`token_url`".to_owned(), shown);
        ClientError::NotReady(format!("no OAuth 2.0 token from {address}: {why}"))
    }
}

/// The parts of an answer that matter.
#[derive(serde::Deserialize)]
struct Given {
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    /// Seconds; some servers write them as text.
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

impl Given {
    fn from_form(body: &[u8]) -> Option<Self> {
        let mut given = Self { access_token: String::new(), token_type: None, expires_in: None };
        for (key, value) in parse(body) {
            match &*key {
                "access_token" => given.access_token = value.into_owned(),
                "token_type" => given.token_type = Some(value.into_owned()),
                "expires_in" => given.expires_in = Some(value.into_owned().into()),
                _ => {}
            }
        }
        Some(given)
    }

    /// How long it is valid, where it is not for ever. At most a century, which clocks can add.
    fn seconds(&self) -> Option<u64> {
        const CENTURY: u64 = 100 * 365 * 86_400;
        let seconds = match self.expires_in.as_ref()? {
            serde_json::Value::Number(number) => {
                number.as_u64().or_else(|| number.as_f64().map(|seconds| seconds.max(0.0) as u64))
            }
            serde_json::Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        seconds.filter(|&seconds| seconds > 0).map(|seconds| seconds.min(CENTURY))
    }
}
