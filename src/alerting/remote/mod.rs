//! Queries that read further back than the agent's own samples go, evaluated by somebody who has more: any server with
//! Prometheus's HTTP API v1 (`GET /api/v1/query`).

mod answer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;
use url::Url;

use super::elsewhere::{Answers, Questions};
use crate::net::http_client::{HttpClient, Request};
use crate::options::http_client::HttpClientOptions;
use crate::options::{self, Joined, SecretAddress, Spanned};
use crate::promql::{EvalError, Evaluation, Limits, Query};
use crate::series::SelectError;

/// Where queries are evaluated that read further back than the agent's own samples go.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteOwn {
    /// Address of a server with Prometheus's HTTP API, without `/api/v1/query`. Required.
    pub url: Spanned<SecretAddress>,
    /// How long an answer may take. Nobody but the group of the rule waits for it. Default: `10s`.
    #[serde(default = "timeout")]
    pub timeout: options::Duration,
}

/// Those, and how the server is talked to.
pub type RemoteOptions = Joined<RemoteOwn, HttpClientOptions>;

fn timeout() -> options::Duration {
    options::Duration(Duration::from_secs(10))
}

/// Longest answer that is read.
const MOST_BYTES: u64 = 64 << 20;

/// Queries under way at one time.
const AT_ONCE: usize = 4;

/// A server that evaluates queries.
#[derive(Debug)]
pub struct Remote {
    client: HttpClient,
    url: Url,
    timeout: Duration,
    under_way: Semaphore,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} did not evaluate the query: {why}")]
pub struct RemoteError {
    /// Who was asked.
    pub url: String,
    /// What it said, or what failed.
    pub why: String,
}

/// What asking for one query came to.
enum Asked {
    /// The server answered, if only that it cannot.
    Answered(Result<Evaluation, RemoteError>),
    /// It did not.
    Silent(RemoteError),
}

impl Remote {
    /// A client of the server.
    ///
    /// # Errors
    /// Where the options make no client.
    pub fn new(options: &RemoteOptions) -> Result<Self, String> {
        let client = HttpClient::new(&options.shared).map_err(|error| error.to_string())?;
        let mut url = Url::parse(&options.url.expose()).map_err(|error| format!("`remote.url`: {error}"))?;
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { client, url, timeout: options.timeout.0, under_way: Semaphore::new(AT_ONCE) })
    }

    /// Asks what a group has to know, a few queries at a time. Once the server does not answer one of them, it is not asked
    /// for the others: they would each take as long.
    pub async fn answer(self: Arc<Self>, questions: &Questions) -> Answers {
        let silent: Arc<OnceLock<RemoteError>> = Arc::default();
        let (at, limits) = (questions.at.0, &questions.limits);
        let asked = stream::iter(questions.queries.clone()).map(|query| {
            let (remote, silent, limits) = (self.clone(), silent.clone(), limits.clone());
            async move {
                let answer = match remote.evaluate(&query, at, &limits, &silent).await {
                    Asked::Answered(answer) => answer,
                    Asked::Silent(why) => Err(silent.get_or_init(|| why).clone()),
                };
                let answer = answer.map_err(|error| EvalError::Samples(SelectError(error.to_string())));
                (query.text().into(), answer)
            }
        });
        asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await.into_iter().collect()
    }

    async fn evaluate(&self, query: &Query, at: i64, limits: &Limits, silent: &OnceLock<RemoteError>) -> Asked {
        let failed = |why: String| RemoteError { url: self.url.host_str().unwrap_or_default().to_owned(), why };
        // It is never closed.
        let _under_way = self.under_way.acquire().await;
        if let Some(why) = silent.get() {
            return Asked::Silent(why.clone());
        }
        let mut url = self.url.clone();
        let time = format!("{}.{:03}", at.div_euclid(1000), at.rem_euclid(1000));
        url.query_pairs_mut().append_pair("query", query.text()).append_pair("time", &time);
        let most_answer = usize::try_from(MOST_BYTES.min(limits.bytes)).unwrap_or(usize::MAX);
        let request = Request { timeout: self.timeout, most_answer, ..Request::get(url) };
        let answered = match self.client.send(request).await {
            Ok(answered) => answered,
            Err(error) => return Asked::Silent(failed(error.to_string())),
        };
        let (status, limits) = (answered.status, limits.clone());
        // An answer may be large.
        let read = tokio::task::spawn_blocking(move || answer::read(&answered.body, at, &limits)).await;
        let read = read.unwrap_or_else(|error| Err(error.to_string()));
        Asked::Answered(
            read.map_err(|why| failed(if status.is_success() { why } else { format!("status {status}: {why}") })),
        )
    }
}

#[cfg(test)]
mod tests;
