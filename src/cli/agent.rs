//! Asking a running agent: what the verbs have in common that talk to its section `admin`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::{HeaderValue, Method, StatusCode};
use url::Url;

use super::run::Failed;
use crate::net::http_client::{HttpClient, Request};
use crate::options::http_client::Authorization;
use crate::options::{HttpClientOptions, Spanned};

/// Which agent is asked.
#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    /// Where the agent's section `admin` listens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7780")]
    pub admin: Url,
    /// A file with the token that `admin.token` asks for
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Longest time to wait for the agent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of an answer: far more targets than one agent has.
const MOST_BYTES: usize = 256 << 20;

impl AgentArgs {
    /// Asks for a path with parameters; returns the answer of a success.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<u8>, Failed> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.success(self.ask(Request::get(url))?)
    }

    /// Sends JSON to a path, or nothing; returns the status and the answer.
    pub fn send(&self, method: Method, path: &str, json: Option<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), Failed> {
        let mut request = Request { method, ..Request::get(self.url(path)?) };
        if let Some(json) = json {
            request.content_type = Some(HeaderValue::from_static("application/json"));
            request.body = json.into();
        }
        self.ask(request)
    }

    /// The answer of a success; anything else is a failure.
    pub fn success(&self, (status, body): (StatusCode, Vec<u8>)) -> Result<Vec<u8>, Failed> {
        match status.as_u16() {
            200 => Ok(body),
            401 => Err(self.failed("the agent asks for a token: give its file with --token-file")),
            _ => {
                // Words, or words in JSON.
                let words = String::from_utf8_lossy(&body).into_owned();
                let words = serde_json::from_str(&words).unwrap_or(words);
                Err(self.failed(format!("the agent answers {status}: {}", words.trim())))
            }
        }
    }

    /// A failure of this agent.
    pub fn failed(&self, why: impl std::fmt::Display) -> Failed {
        Failed::Process(format!("{}: {why}", self.admin))
    }

    fn url(&self, path: &str) -> Result<Url, Failed> {
        self.admin.join(path).map_err(|error| self.failed(error))
    }

    fn ask(&self, request: Request) -> Result<(StatusCode, Vec<u8>), Failed> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failed::Process(format!("cannot start the runtime: {error}")))?;
        let credentials = |path: &PathBuf| {
            Spanned::unknown(Authorization {
                credentials_file: Some(Spanned::unknown(path.clone())),
                ..Default::default()
            })
        };
        let options = HttpClientOptions {
            authorization: self.token_file.as_ref().map(credentials),
            ..HttpClientOptions::default()
        };
        let client = HttpClient::new(&options).map_err(|error| self.failed(error))?;
        let request = Request { timeout: PATIENCE, most_answer: MOST_BYTES, ..request };
        let answer = runtime.block_on(client.send(request)).map_err(|error| {
            self.failed(format!("{error}; is the agent running, and does its section `admin` listen there?"))
        })?;
        Ok((answer.status, answer.body.to_vec()))
    }
}
