//! Scrapes: a body is read into a buffer that the next scrape of the target uses again, bounded on the wire
//! and after gzip.

use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use hyper::body::Body as _;

use super::{ClientError, HttpClient, Request, next};
use crate::formats::inflate::Inflater;

/// Where bodies are read into. Its buffers keep their capacity, so that a body of the size of the last one
/// needs no memory of its own.
#[derive(Debug, Default)]
pub struct Body {
    /// The body without its compression. After an error it holds nothing of use.
    pub text: Vec<u8>,
    wire: Vec<u8>,
    inflater: Option<Inflater>,
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
    /// [`Request::most_answer`] bytes on the wire and `most_text` bytes without compression.
    pub async fn fetch(&self, request: Request, most_text: usize, body: &mut Body) -> Result<Fetched, ClientError> {
        match tokio::time::timeout(request.timeout, self.read_into(&request, most_text, body)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(ClientError::Timeout(request.timeout)),
        }
    }

    async fn read_into(&self, request: &Request, most_text: usize, body: &mut Body) -> Result<Fetched, ClientError> {
        body.text.clear();
        body.wire.clear();
        let mut asked = request.clone();
        asked.headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
        let (head, mut incoming) = self.open(&asked).await?.into_parts();
        if !head.status.is_success() {
            return Ok(Fetched { status: head.status, headers: head.headers, wire_bytes: 0 });
        }
        let gzip = is_gzip(&head.headers)?;
        let most = if gzip { request.most_answer } else { request.most_answer.min(most_text) };
        let into = if gzip { &mut body.wire } else { &mut body.text };
        let length = incoming.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if length.is_some_and(|length| length > most) {
            return Err(ClientError::TooLarge(most));
        }
        into.reserve(length.unwrap_or_default());
        while let Some(part) = next(&mut incoming).await? {
            if into.len() + part.len() > most {
                return Err(ClientError::TooLarge(most));
            }
            into.extend_from_slice(&part);
        }
        let wire_bytes = into.len();
        if gzip {
            body.inflater.get_or_insert_default().gzip(&body.wire, &mut body.text, most_text)?;
        }
        Ok(Fetched { status: head.status, headers: head.headers, wire_bytes })
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ClientError> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match encoding.as_bytes().to_ascii_lowercase().trim_ascii() {
        b"gzip" | b"x-gzip" => Ok(true),
        b"identity" | b"" => Ok(false),
        _ => Err(ClientError::Encoding(String::from_utf8_lossy(encoding.as_bytes()).into_owned())),
    }
}
