//! Answers that count by their status. Whoever tells somebody something is answered by the head: what the body does behind it
//! takes nothing back, so that nothing is told again because an answer was long, slow or broke off.

use std::time::Duration;

use bytes::BytesMut;
use http::header::{HeaderMap, RETRY_AFTER};
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{Answer, ClientError, HttpClient, Request, retry_after, words};

/// How long the body of an answer is waited for that is known by its status.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// An answer of which more may come.
pub(super) struct Incomplete {
    head: Parts,
    incoming: Incoming,
    body: BytesMut,
    trailers: HeaderMap,
}

impl Incomplete {
    pub fn of(response: http::Response<Incoming>) -> Self {
        let (head, incoming) = response.into_parts();
        Self { head, incoming, body: BytesMut::new(), trailers: HeaderMap::new() }
    }

    /// Reads the rest. What came before an error stays: of a body that is too long as much as is allowed.
    pub async fn complete(&mut self, most: usize) -> Result<(), ClientError> {
        while let Some(frame) = self.incoming.frame().await {
            match frame.map_err(|error| ClientError::Broken(words(&error)))?.into_data() {
                Ok(part) => {
                    let free = most - self.body.len();
                    self.body.extend_from_slice(&part[..part.len().min(free)]);
                    if part.len() > free {
                        return Err(ClientError::TooLarge(most));
                    }
                }
                Err(last) => self.trailers.extend(last.into_trailers().unwrap_or_default()),
            }
        }
        Ok(())
    }

    /// The answer with what came.
    pub fn so_far(self) -> Answer {
        let Parts { status, headers, .. } = self.head;
        let retry_after = headers.get(RETRY_AFTER).and_then(retry_after);
        Answer { status, headers, retry_after, body: self.body.freeze(), trailers: self.trailers }
    }
}

impl HttpClient {
    /// Sends a request whose answer counts by its status: of a body that is too long, breaks off or does not come soon, there
    /// is what came. Where `is_read`, an answer of success is an error without its whole body.
    ///
    /// # Errors
    /// Where there is no status within [`Request::timeout`], and as `is_read` says.
    pub async fn tell(&self, request: &Request, is_read: bool) -> Result<Answer, ClientError> {
        let end = Instant::now() + request.timeout;
        let late = |_| ClientError::Timeout(request.timeout);
        let mut answer = Incomplete::of(timeout_at(end, self.open(request)).await.map_err(late)??);
        if is_read && answer.head.status.is_success() {
            timeout_at(end, answer.complete(request.most_answer)).await.map_err(late)??;
        } else {
            let soon = end.min(Instant::now() + BODY_PATIENCE);
            // Read for what is quoted of it, and so that its connection can be used again.
            let _ = timeout_at(soon, answer.complete(request.most_answer)).await;
        }
        Ok(answer.so_far())
    }
}
