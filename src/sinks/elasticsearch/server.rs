//! The cluster as the sink talks to it: addresses, credentials, and what went wrong in words.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use url::Url;

use super::options::Options;
use crate::delivery::sender::{Attempted, StatusClass};
use crate::formats::elasticsearch::answer::whole_error;
use crate::net::http_client::{HttpClientError, Request};
use crate::net::{Answer, ClientError, Endpoints, HttpClient, shown};
use crate::options::{HttpClientOptions, Secret, Spanned};

/// How often the files of secrets are looked at for a change.
const REREAD_EVERY: Duration = Duration::from_secs(10);

/// The cluster.
#[derive(Debug)]
pub(super) struct Server {
    client: HttpClient,
    endpoints: Endpoints,
    headers: HeaderMap,
    credentials: Option<Credentials>,
    timeout: Duration,
    reread: Mutex<Option<Instant>>,
}

#[derive(Debug)]
enum Credentials {
    ApiKey(Secret),
    Basic { user: String, password: Secret },
}

/// What is asked of the cluster, whatever endpoint it goes to.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub method: Method,
    /// Segments of the path, not escaped.
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, &'a str)],
    pub content_type: Option<&'static str>,
    pub gzip: bool,
    pub body: Bytes,
    pub most_answer: usize,
}

impl<'a> Call<'a> {
    /// A call without a body.
    pub fn get(path: &'a [&'a str]) -> Self {
        Self {
            method: Method::GET,
            path,
            query: &[],
            content_type: None,
            gzip: false,
            body: Bytes::new(),
            most_answer: 16 << 20,
        }
    }

    /// The same call with a JSON body.
    pub fn json(self, method: Method, body: Vec<u8>) -> Self {
        Self { method, content_type: Some("application/json"), body: body.into(), ..self }
    }
}

/// A call that brought no usable answer.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What the sender is to do.
    pub attempted: Attempted,
    /// Whether the server may have done what was asked.
    pub outcome_unknown: bool,
}

impl Server {
    pub fn new(options: &Options) -> Result<Self, HttpClientError> {
        let credentials = match (&options.api_key, &options.basic) {
            (Some(key), _) => Some(Credentials::ApiKey(key.value.clone())),
            (None, Some(basic)) => {
                Some(Credentials::Basic { user: basic.user.clone(), password: basic.password.clone() })
            }
            (None, None) => None,
        };
        let headers = options.headers.iter().filter_map(|(name, value)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?))
        });
        let talk = HttpClientOptions {
            tls_config: Some(Spanned::unknown((&options.tls).into())),
            // A redirected body would be sent as another request.
            follow_redirects: false,
            ..HttpClientOptions::default()
        };
        Ok(Self {
            client: HttpClient::new(&talk)?,
            endpoints: Endpoints::new(options.urls()),
            headers: headers.collect(),
            credentials,
            timeout: options.timeout.0,
            reread: Mutex::new(None),
        })
    }

    /// Asks one endpoint. Any status is an answer; the address it came from is for messages.
    pub async fn call(&self, call: Call<'_>) -> Result<(Answer, &Url), Trouble> {
        self.reread_if_due().await;
        let (index, endpoint) = self.endpoints.pick();
        let headers = self
            .headers()
            .map_err(|reason| Trouble { attempted: Attempted::Blocked { reason }, outcome_unknown: false })?;
        let request = Request {
            method: call.method,
            url: address(endpoint, call.path, call.query),
            headers,
            content_type: call.content_type.map(HeaderValue::from_static),
            content_encoding: call.gzip.then(|| HeaderValue::from_static("gzip")),
            body: call.body.into(),
            timeout: self.timeout,
            most_answer: call.most_answer,
        };
        match self.client.send(request).await {
            Ok(answer) => {
                // A proxy that cannot reach its server answers for it.
                if matches!(answer.status.as_u16(), 502..=504) {
                    self.endpoints.failed(index);
                } else {
                    self.endpoints.works(index);
                }
                Ok((answer, endpoint))
            }
            Err(error) => {
                self.endpoints.failed(index);
                Err(unanswered(endpoint, &error))
            }
        }
    }

    /// What an answer that is not 2xx means for the sender. Credentials are read again after a 401 or 403.
    pub async fn trouble(&self, answer: &Answer, endpoint: &Url) -> Trouble {
        let status = answer.status.as_u16();
        let reason = format!(
            "elasticsearch at {} answered {status}: {}{}",
            shown(endpoint),
            whole_error(&answer.body).words(status),
            self.hint(status)
        );
        let class = StatusClass::of(status);
        if matches!(status, 401 | 403) {
            self.reread().await;
        }
        let attempted = match class {
            StatusClass::Blocked => Attempted::Blocked { reason },
            _ => Attempted::Retry { reason, after: answer.retry_after, progress: false },
        };
        Trouble { attempted, outcome_unknown: status == 408 || status >= 500 }
    }

    fn hint(&self, status: u16) -> &'static str {
        match (status, &self.credentials) {
            (401, None) => "; give `api_key` or `basic`",
            (401, Some(Credentials::ApiKey(_))) => "; check `api_key`",
            (401, Some(Credentials::Basic { .. })) => "; check `basic.user` and `basic.password`",
            (403, _) => "; check the privileges of these credentials and blocks of the index",
            (404, _) => "; check `endpoints`, and that the index exists or may be created",
            (407, _) => "; the proxy on the way wants credentials",
            (300..=399, _) => "; `endpoints` must name the server itself",
            _ => "",
        }
    }

    fn headers(&self) -> Result<HeaderMap, String> {
        let mut headers = self.headers.clone();
        let value = match &self.credentials {
            None => return Ok(headers),
            Some(Credentials::ApiKey(key)) => format!("ApiKey {}", key.expose()),
            Some(Credentials::Basic { user, password }) => {
                let pair = format!("{user}:{}", password.expose());
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
            }
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| "the credentials hold a character that no header can carry; check the secret's file")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(headers)
    }

    async fn reread_if_due(&self) {
        let due = {
            let mut last = self.reread.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last.is_none_or(|last| last.elapsed() >= REREAD_EVERY);
            if due {
                *last = Some(Instant::now());
            }
            due
        };
        if due {
            self.reread().await;
        }
    }

    /// Reads credentials again; the client does the same for certificates.
    async fn reread(&self) {
        let Some(Credentials::ApiKey(secret) | Credentials::Basic { password: secret, .. }) = &self.credentials else {
            return;
        };
        let secret = secret.clone();
        // A file that is gone for a moment, as during a swap, leaves the secret as it was.
        let _ = tokio::task::spawn_blocking(move || secret.reread()).await;
    }
}

fn unanswered(endpoint: &Url, error: &ClientError) -> Trouble {
    let reason = format!("elasticsearch at {}: {error}", shown(endpoint));
    Trouble {
        attempted: Attempted::Retry { reason, after: None, progress: false },
        outcome_unknown: error.outcome_unknown(),
    }
}

fn address(endpoint: &Url, path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = endpoint.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_a_prefix_and_escape_names() {
        let endpoint: Url = "https://proxy/es/".parse().expect("valid");
        let url = address(&endpoint, &["logs-a-b", "_bulk"], &[("filter_path", "errors,items.*.status")]);
        assert_eq!(url.as_str(), "https://proxy/es/logs-a-b/_bulk?filter_path=errors%2Citems.*.status");
        let plain: Url = "http://127.0.0.1:9200".parse().expect("valid");
        assert_eq!(address(&plain, &["a%b", "_bulk"], &[]).as_str(), "http://127.0.0.1:9200/a%25b/_bulk");
    }
}
