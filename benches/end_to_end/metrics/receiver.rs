//! A receiver of remote write, 1.0 and 2.0, that accepts everything and counts, by path: each sender writes to a path of
//! its own. It runs in a process of its own, pinned to the core that the senders do not use, and reads of a message no
//! more than what it counts.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What one sender has sent.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies as they were sent.
    pub bytes: u64,
    /// Samples, staleness markers included.
    pub samples: u64,
    /// Series seen so far.
    pub series: u64,
    /// Samples that were not newer than one of their series: doubled, or out of order.
    pub late: u64,
}

#[derive(Debug, Default)]
struct Sender {
    received: Received,
    /// Newest sample of each series, by the hash of its labels.
    newest: HashMap<u64, i64>,
}

type Shared = Arc<Mutex<BTreeMap<String, Sender>>>;

/// Serves until the process is killed.
pub fn serve(address: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let router = Router::new()
            .route("/bench/summary", get(async |State(senders): State<Shared>| axum::Json(summary(&senders))))
            .fallback(accept)
            .with_state(Shared::default());
        axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
    })
}

fn lock(senders: &Shared) -> MutexGuard<'_, BTreeMap<String, Sender>> {
    senders.lock().unwrap_or_else(PoisonError::into_inner)
}

fn summary(senders: &Shared) -> BTreeMap<String, Received> {
    lock(senders).iter().map(|(path, sender)| (path.clone(), sender.received)).collect()
}

async fn accept(State(senders): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 30).await else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(message) = snap::raw::Decoder::new().decompress_vec(&body) else {
        return (StatusCode::BAD_REQUEST, "not snappy").into_response();
    };
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_v2 = kind.contains("io.prometheus.write.v2");
    let mut senders = lock(&senders);
    let sender = senders.entry(parts.uri.path().trim_start_matches('/').to_owned()).or_default();
    let before = sender.received.samples;
    let read = if is_v2 { sender.read_v2(&message) } else { sender.read_v1(&message) };
    if read.is_none() {
        return (StatusCode::BAD_REQUEST, "not a message of remote write").into_response();
    }
    let received = &mut sender.received;
    received.requests += 1;
    received.bytes += body.len() as u64;
    received.series = sender.newest.len() as u64;
    let mut headers = HeaderMap::new();
    if is_v2 {
        let samples = HeaderValue::from(received.samples - before);
        headers.insert("x-prometheus-remote-write-samples-written", samples);
        headers.insert("x-prometheus-remote-write-histograms-written", HeaderValue::from(0));
        headers.insert("x-prometheus-remote-write-exemplars-written", HeaderValue::from(0));
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

impl Sender {
    fn read_v1(&mut self, message: &[u8]) -> Option<()> {
        for field in Fields(message) {
            let (1, Value::Bytes(series)) = field? else { continue };
            let mut labels = 0;
            for field in Fields(series) {
                match field? {
                    (1, Value::Bytes(label)) => labels = xxh3_64_with_seed(label, labels),
                    (2, Value::Bytes(sample)) => self.count(labels, sample)?,
                    _ => {}
                }
            }
        }
        Some(())
    }

    fn read_v2(&mut self, message: &[u8]) -> Option<()> {
        let mut symbols = Vec::new();
        for field in Fields(message) {
            if let (4, Value::Bytes(symbol)) = field? {
                symbols.push(xxh3_64_with_seed(symbol, 0));
            }
        }
        for field in Fields(message) {
            let (5, Value::Bytes(series)) = field? else { continue };
            let mut labels = 0_u64;
            for field in Fields(series) {
                match field? {
                    (1, Value::Bytes(mut references)) => {
                        while !references.is_empty() {
                            let symbol = *symbols.get(usize::try_from(varint(&mut references)?).ok()?)?;
                            labels = xxh3_64_with_seed(&symbol.to_le_bytes(), labels);
                        }
                    }
                    (2, Value::Bytes(sample)) => self.count(labels, sample)?,
                    _ => {}
                }
            }
        }
        Some(())
    }

    fn count(&mut self, labels: u64, sample: &[u8]) -> Option<()> {
        let mut time = 0;
        for field in Fields(sample) {
            if let (2, Value::Number(millis)) = field? {
                time = millis as i64;
            }
        }
        self.received.samples += 1;
        let newest = self.newest.entry(labels).or_insert(i64::MIN);
        self.received.late += u64::from(time <= *newest);
        *newest = time.max(*newest);
        Some(())
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message in protobuf's encoding; `None` where it is broken.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => Value::Bytes(self.0.split_off(..8)?),
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Value::Bytes(self.0.split_off(..length)?)
            }
            5 => Value::Bytes(self.0.split_off(..4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.split_off_first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
