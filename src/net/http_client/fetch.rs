//! Scrapes: a body is read into a buffer that the next scrape of the target uses again, bounded on the wire
//! and after gzip.

use std::sync::Arc;

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout};

use super::{ClientError, HttpClient, Request, next};
use crate::data::{Budget, Permit};
use crate::formats::inflate::Inflater;

/// Where bodies are read into. Its buffers keep their capacity, so that a body of the size of the last one
/// needs no memory of its own.
#[derive(Debug, Default)]
pub struct Body {
    /// The body without its compression. After an error it holds nothing of use.
    pub text: Vec<u8>,
    wire: Vec<u8>,
    inflater: Option<Inflater>,
    /// Whose memory it takes, where that is counted.
    budget: Option<Arc<Budget>>,
    permit: Option<Permit>,
}

/// A body is taken to be this long before it is known.
const ASSUMED: u64 = 64 << 10;

/// How much larger a body is taken to be than what is sent of it.
const ASSUMED_RATIO: u64 = 8;

/// Room for more is not waited for: the share of a small agent would have to be empty.
const MOST_AWAITED: u64 = 4 << 20;

impl Body {
    /// One that waits for room in a budget before it is read, and pays for what it holds until
    /// [`Body::release`].
    pub fn within(budget: Arc<Budget>) -> Self {
        Self { budget: Some(budget), ..Self::default() }
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.wire.capacity()
    }

    /// Pays for nothing any more.
    pub fn release(&mut self) {
        self.permit = None;
    }

    /// Where what is sent goes.
    fn sent(&mut self, gzip: bool) -> &mut Vec<u8> {
        if gzip { &mut self.wire } else { &mut self.text }
    }

    /// Waits for room, for a body that is sent in so many bytes, if that is known.
    async fn wait_for_room(&mut self, length: Option<usize>, gzip: bool) {
        let Some(budget) = &self.budget else { return };
        let sent = length.map_or(ASSUMED, |length| length as u64);
        let expected = if gzip { sent.saturating_mul(1 + ASSUMED_RATIO) } else { sent };
        // What it holds from before is let go first: whoever waits holds nothing.
        self.permit = None;
        self.permit = Some(budget.acquire(expected.min(MOST_AWAITED)).await);
    }

    /// Pays for what it holds now, if that is more than it pays for.
    fn pay_more(&mut self) {
        let bytes = self.bytes() as u64;
        if let Some(permit) = self.permit.as_mut().filter(|permit| bytes > permit.bytes()) {
            permit.resize(bytes);
        }
    }

    /// It is whole: pays for what it holds.
    fn pay(&mut self) {
        let bytes = self.bytes() as u64;
        if let Some(permit) = &mut self.permit {
            permit.resize(bytes);
        }
    }
}

/// The head of an answer whose body was read.
#[derive(Debug)]
pub struct Fetched {
    /// The status. The body is read only where it is 2xx.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// Bytes of the body as they were sent.
    pub wire_bytes: usize,
}

impl HttpClient {
    /// Sends a request, which offers gzip unless it says what it accepts, and reads the answer's body into `body`: at most
    /// [`Request::most_answer`] bytes on the wire and `most_text` bytes without compression. Where `body` has to wait
    /// for room, it waits for as long as the request may take once more.
    pub async fn fetch(&self, request: Request, most_text: usize, body: &mut Body) -> Result<Fetched, ClientError> {
        body.text.clear();
        body.wire.clear();
        let began = Instant::now();
        let late = || ClientError::Timeout(request.timeout);
        let mut asked = request.clone();
        asked.headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        let opened = timeout(request.timeout, self.open(&asked)).await.map_err(|_| late())??;
        let (head, mut incoming) = opened.into_parts();
        if !head.status.is_success() {
            return Ok(Fetched { status: head.status, headers: head.headers, wire_bytes: 0 });
        }
        let gzip = is_gzip(&head.headers)?;
        let most = if gzip { request.most_answer } else { request.most_answer.min(most_text) };
        let length = incoming.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if length.is_some_and(|length| length > most) {
            return Err(ClientError::TooLarge(most));
        }
        // The agent's own shortage is not the server's delay: the request's clock stands still meanwhile.
        let left = request.timeout.saturating_sub(began.elapsed());
        let room = timeout(request.timeout, body.wait_for_room(length, gzip)).await;
        room.map_err(|_| ClientError::NoMemory(request.timeout))?;
        let reading = read(&mut incoming, length, gzip, most, most_text, body);
        let wire_bytes = timeout(left, reading).await.map_err(|_| late())??;
        Ok(Fetched { status: head.status, headers: head.headers, wire_bytes })
    }
}

/// Reads a body whole, and inflates it; returns its bytes as they were sent.
async fn read(
    incoming: &mut Incoming,
    length: Option<usize>,
    gzip: bool,
    most: usize,
    most_text: usize,
    body: &mut Body,
) -> Result<usize, ClientError> {
    body.sent(gzip).reserve(length.unwrap_or_default());
    let mut capacity = 0;
    while let Some(part) = next(incoming).await? {
        let into = body.sent(gzip);
        if into.len() + part.len() > most {
            return Err(ClientError::TooLarge(most));
        }
        into.extend_from_slice(&part);
        if std::mem::replace(&mut capacity, into.capacity()) != capacity {
            body.pay_more();
        }
    }
    let wire_bytes = body.sent(gzip).len();
    if gzip {
        body.inflater.get_or_insert_default().gzip(&body.wire, &mut body.text, most_text)?;
    }
    body.pay();
    Ok(wire_bytes)
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ClientError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes().to_ascii_lowercase().trim_ascii() {
        b"gzip" | b"x-gzip" => Ok(true),
        b"identity" | b"" => Ok(false),
        _ => Err(ClientError::Encoding(String::from_utf8_lossy(encoding.as_bytes()).into_owned())),
    }
}
