//! `http_sd_configs`: targets that an HTTP server lists, as Prometheus's `docs/http_sd.md` lays down. While the
//! server cannot be asked, or answers anything but such a list, the targets stay as they were.

use std::sync::LazyLock;

use futures_util::future::{BoxFuture, FutureExt};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use regex::Regex;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Discover, Publisher, TargetGroup, document, refresh};
use crate::net::http_client::{Body, HttpClientError, Request};
use crate::net::{HttpClient, shown, without_user};
use crate::options::problem::Code;
use crate::options::{Duration, HttpClientOptions, Joined, Problem, Spanned};

/// An address that cannot be asked.
const BAD_URL: Code = Code("TW0755");

/// Largest answer that is read.
const MOST: usize = 64 << 20;

/// Tells the server how soon it will be asked again.
const REFRESH_INTERVAL: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Targets that an HTTP server lists.
pub type HttpSdConfig = Joined<HttpSd, HttpClientOptions>;

/// Where to ask. The keys of HTTP clients, such as `basic_auth` and `tls_config`, stand beside these.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSd {
    /// The address of the list. The label `__meta_url` has it as it is written, but without user and password.
    pub url: Spanned<String>,
    /// How often to ask, and how long to wait for an answer. Default: `1m`.
    #[serde(default = "refresh_interval")]
    pub refresh_interval: Spanned<Duration>,
}

fn refresh_interval() -> Spanned<Duration> {
    Spanned::unknown(Duration(std::time::Duration::from_secs(60)))
}

/// What is wrong beyond the shape.
pub fn problems(config: &HttpSdConfig, problems: &mut Vec<Problem>) {
    if let Err(words) = url(&config.url) {
        let problem = Problem::new(BAD_URL, config.url.span, format!("`{}` {words}", config.url.value));
        problems.push(problem.help("write an address such as `https://inventory.example/targets`"));
    }
    refresh::problems(&config.refresh_interval, problems);
    problems.extend(config.shared.problems(config.url.span));
}

fn url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("is no address: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        "http" | "https" => Err("names no host".into()),
        scheme => Err(format!("is an address of `{scheme}`, not of http or https")),
    }
}

/// Why an entry cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum HttpSdError {
    /// The address.
    #[error("`{0}` {1}")]
    Url(String, String),
    /// The client.
    #[error(transparent)]
    Client(#[from] HttpClientError),
}

/// An `http_sd_configs` entry, ready to run.
pub struct Http {
    /// As it is written, which is how Prometheus shows it, but without a user: labels go everywhere.
    origin: String,
    url: Url,
    client: HttpClient,
    refresh_interval: std::time::Duration,
}

impl Http {
    /// Prepares it. Files of credentials and certificates may come later.
    pub fn new(config: &HttpSdConfig) -> Result<Self, HttpSdError> {
        let written = &config.url.value;
        let url = url(written).map_err(|words| HttpSdError::Url(written.clone(), words))?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        let origin = if has_user { without_user(&url).into() } else { written.clone() };
        let client = HttpClient::patient(&config.shared)?;
        Ok(Self { origin, url, client, refresh_interval: config.refresh_interval.0 })
    }

    /// One question; in words why it brought no list.
    async fn ask(&self, body: &mut Body) -> Result<Vec<TargetGroup>, String> {
        let seconds = HeaderValue::from_str(&self.refresh_interval.as_secs_f64().to_string());
        let mut request = Request::get(self.url.clone()).accept(HeaderValue::from_static("application/json"));
        request.headers.extend(seconds.into_iter().map(|seconds| (REFRESH_INTERVAL, seconds)));
        request.timeout = self.refresh_interval;
        request.most_answer = MOST;
        let answer = self.client.fetch(request, MOST, body).await.map_err(|error| error.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("the server answers {}{}", answer.status, advice(answer.status)));
        }
        let kind = answer.headers.get(CONTENT_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()));
        let kind = kind.as_deref().unwrap_or_default().trim();
        if !is_json(kind) {
            return Err(format!("the answer's content type is `{kind}`, not application/json"));
        }
        let groups = document::json(&body.text);
        let groups = groups.map_err(|words| format!("the answer is not a list of target groups: {words}"))?;
        Ok(groups.with_origin("__meta_url", &self.origin))
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => ": give `basic_auth`, `authorization` or `oauth2`",
        403 => ": these credentials are not allowed to read the list",
        404 => ": `url` is not where the list is",
        _ => "",
    }
}

/// JSON, with no character set but UTF-8.
fn is_json(kind: &str) -> bool {
    const VALID: &str = "the pattern is valid";
    static JSON: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"^(?i:application/json(;\s*charset=("utf-8"|utf-8))?)$"#).expect(VALID));
    JSON.is_match(kind)
}

impl Discover for Http {
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            let mut ticks = refresh::ticks(self.refresh_interval);
            let mut body = Body::default();
            let asking = async {
                loop {
                    ticks.tick().await;
                    match self.ask(&mut body).await {
                        Ok(groups) => {
                            found.replace(groups);
                            found.works();
                        }
                        Err(words) => {
                            found.failed(&format!("{}: {words}; the targets stay as they were", shown(&self.url)))
                        }
                    }
                }
            };
            shutdown.run_until_cancelled(asking).await.unwrap_or(());
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
