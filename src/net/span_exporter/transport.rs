//! The crate's requests by the agent's own client, sent again where the specification allows it
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>).

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap};
use opentelemetry_http::{Bytes, HttpError};
use tokio::time::sleep;
use url::Url;

use crate::formats::protobuf::Fields;
use crate::net::HttpClient;
use crate::net::http_client::{Answer, Payload, Request};

/// How often a request is sent at most.
const ATTEMPTS: u32 = 4;

/// Pause before the second attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Most bytes of an answer.
const MOST_ANSWER: usize = 64 << 10;

/// Bytes of an answer that the log quotes.
const QUOTED: usize = 300;

#[derive(Debug)]
pub(super) struct Transport {
    client: HttpClient,
    timeout: Duration,
    last: Mutex<Last>,
}

/// What the last answer said.
#[derive(Debug, Default)]
struct Last {
    rejected: u64,
    words: String,
}

impl Transport {
    pub fn new(client: HttpClient, timeout: Duration) -> Self {
        Self { client, timeout, last: Mutex::default() }
    }

    /// Spans of the last request that the receiver refused.
    pub fn rejected(&self) -> u64 {
        self.last().rejected
    }

    /// What was wrong with the last request, in words.
    pub fn words(&self) -> String {
        self.last().words.clone()
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = Request {
            method: head.method,
            url: Url::parse(&head.uri.to_string())?,
            // What the crate adds comes from the environment, which is not the agent's configuration.
            headers: HeaderMap::new(),
            content_type: head.headers.get(CONTENT_TYPE).cloned(),
            content_encoding: None,
            body: Payload::from(body),
            timeout: self.timeout,
            most_answer: MOST_ANSWER,
        };
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let answer = self.client.send(request.clone()).await;
            let (again, asked) = match &answer {
                Ok(answer) => (matches!(answer.status.as_u16(), 429 | 502..=504), answer.retry_after),
                Err(_) => (true, None),
            };
            if !again || attempt == ATTEMPTS {
                return self.answered(answer?);
            }
            sleep(asked.unwrap_or(pause.mul_f64(0.5 + fastrand::f64())).min(LONGEST_PAUSE)).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    fn answered(&self, answer: Answer) -> Result<http::Response<Bytes>, HttpError> {
        let Answer { status, body, .. } = answer;
        *self.last() = if status.is_success() {
            partial_success(&body)
        } else {
            let said = String::from_utf8_lossy(&body[..body.len().min(QUOTED)]).trim().to_owned();
            Last { rejected: 0, words: format!("answered {status} {said}") }
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        Ok(response)
    }
}

impl opentelemetry_http::HttpClient for Transport {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: http::Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            *self.last() = Last::default();
            self.send(request).await.inspect_err(|error| self.last().words = error.to_string())
        })
    }
}

/// What an `ExportTraceServiceResponse` says of spans that were refused.
fn partial_success(response: &[u8]) -> Last {
    let mut last = Last::default();
    let partial = Fields::of(response).flatten().filter(|(number, _)| *number == 1);
    for (number, value) in partial.filter_map(|(_, value)| value.bytes().ok()).flat_map(Fields::of).flatten() {
        match number {
            1 => last.rejected = value.varint().unwrap_or(0),
            2 => last.words = value.bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned(),
            _ => {}
        }
    }
    last
}
