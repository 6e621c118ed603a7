//! A stand-in for Elasticsearch that accepts everything and counts: which records arrived, when, how often, and
//! in how many requests. It runs in a process of its own, pinned to the core that the agent does not use.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::process::own_thread_cpu;
use crate::reference::numbers;

/// What has arrived.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Bulk requests.
    pub requests: u64,
    /// Bytes of their bodies after decompression.
    pub bytes: u64,
    /// Documents in them.
    pub documents: u64,
    /// Documents with a record's number.
    pub numbered: u64,
    /// Numbers seen before.
    pub doubled: u64,
    /// Documents with the member that the `set` step adds.
    pub with_env: u64,
    /// E-mail addresses left in documents.
    pub emails: u64,
}

/// Cost of compressing the bodies kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Compressed {
    /// Bytes compressed.
    pub bytes: u64,
    /// Bytes they became.
    pub compressed: u64,
    /// Processor time, in nanoseconds.
    pub cpu_ns: u64,
}

#[derive(Debug, Default)]
struct Counted {
    summary: Summary,
    /// Unix time in nanoseconds at which the record of this number was first accepted; 0 for not yet.
    arrived: Vec<u64>,
    /// Bodies kept to be compressed later, up to a limit.
    sample: Vec<Bytes>,
    sample_room: usize,
}

type Shared = Arc<Mutex<Counted>>;

/// Serves until the process is killed. Keeps up to `sample` bytes of bodies.
pub fn serve(address: SocketAddr, sample: usize) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let counted = Shared::new(Mutex::new(Counted { sample_room: sample, ..Counted::default() }));
        let router = Router::new()
            .route(
                "/bench/summary",
                get(async |State(counted): State<Shared>| axum::Json(lock(&counted).summary.clone())),
            )
            .route("/bench/arrived", get(arrived))
            .route("/bench/compress", get(compress))
            .fallback(elasticsearch)
            .with_state(counted);
        axum::serve(tokio::net::TcpListener::bind(address).await?, router).await
    })
}

fn lock(counted: &Shared) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn arrived(State(counted): State<Shared>) -> Vec<u8> {
    lock(&counted).arrived.iter().flat_map(|nanos| nanos.to_le_bytes()).collect()
}

/// Level 1 over the kept bodies, one by one as the agent would.
async fn compress(State(counted): State<Shared>) -> Result<axum::Json<Compressed>, (StatusCode, String)> {
    let sample = lock(&counted).sample.clone();
    let run = || -> io::Result<Compressed> {
        let (mut bytes, mut compressed, before) = (0, 0, own_thread_cpu()?);
        let mut out = Vec::with_capacity(16 << 20);
        for body in &sample {
            out.clear();
            let mut encoder = GzEncoder::new(&mut out, Compression::new(1));
            encoder.write_all(body)?;
            encoder.finish()?;
            (bytes, compressed) = (bytes + body.len() as u64, compressed + out.len() as u64);
        }
        Ok(Compressed { bytes, compressed, cpu_ns: (own_thread_cpu()? - before).as_nanos() as u64 })
    };
    run().map(axum::Json).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn elasticsearch(
    State(counted): State<Shared>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let json = [(CONTENT_TYPE.as_str(), "application/json"), ("x-elastic-product", "Elasticsearch")];
    let path = parts.uri.path();
    let Ok(body) = to_bytes(body, 1 << 30).await else { return StatusCode::BAD_REQUEST.into_response() };
    if path.ends_with("/_bulk") {
        return match accept(&counted, &parts.headers, body) {
            Ok(documents) => (json, bulk_answer(documents, query.get("filter_path"))).into_response(),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        };
    }
    let answer: &str = match path {
        "/" => {
            r#"{"name":"n1","cluster_name":"bench","version":{"number":"8.19.5","build_flavor":"default"},"tagline":"You Know, for Search"}"#
        }
        _ if path.starts_with("/_index_template") && parts.method == "GET" => {
            return (StatusCode::NOT_FOUND, json, r#"{"error":"no template","status":404}"#).into_response();
        }
        _ if path.ends_with("/_mget") => r#"{"docs":[]}"#,
        _ if path.contains("/_settings") => "{}",
        _ => r#"{"acknowledged":true}"#,
    };
    (json, Body::from(answer.to_owned())).into_response()
}

fn accept(counted: &Shared, headers: &HeaderMap, body: Bytes) -> io::Result<usize> {
    let body = if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::with_capacity(body.len() * 5);
        MultiGzDecoder::new(&body[..]).read_to_end(&mut plain)?;
        Bytes::from(plain)
    } else {
        body
    };
    let lines = memchr::memchr_iter(b'\n', &body).count();
    if !lines.is_multiple_of(2) || body.last() != Some(&b'\n') {
        return Err(io::Error::other("a bulk body is pairs of lines"));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let mut counted = lock(counted);
    let counted = &mut *counted;
    counted.summary.requests += 1;
    counted.summary.bytes += body.len() as u64;
    counted.summary.documents += lines as u64 / 2;
    counted.summary.with_env += memchr::memmem::find_iter(&body, br#""env":"prod""#).count() as u64;
    counted.summary.emails += memchr::memmem::find_iter(&body, b"@example.com").count() as u64;
    for number in numbers(&body) {
        if counted.arrived.len() <= number {
            counted.arrived.resize((number + 1).next_power_of_two(), 0);
        }
        counted.summary.numbered += 1;
        match &mut counted.arrived[number] {
            nanos @ 0 => *nanos = now,
            _ => counted.summary.doubled += 1,
        }
    }
    if body.len() <= counted.sample_room {
        counted.sample_room -= body.len();
        counted.sample.push(body);
    }
    Ok(lines / 2)
}

/// As large as the real server's answer would be under the same `filter_path`.
fn bulk_answer(documents: usize, filter: Option<&String>) -> Vec<u8> {
    const FULL: &str = r#"{"create":{"_index":"logs","_id":"AAAAAAAAAAAAAAAAAAAAAA","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":1000000,"_primary_term":1,"status":201}}"#;
    const STATUS: &str = r#"{"create":{"status":201}}"#;
    let (head, item) = match filter {
        None => (r#"{"errors":false,"took":30,"items":["#, FULL),
        Some(filter) if filter.contains("_id") || filter.ends_with("items") => (r#"{"errors":false,"items":["#, FULL),
        Some(filter) if filter.contains("items") => (r#"{"errors":false,"items":["#, STATUS),
        Some(_) => return br#"{"errors":false}"#.to_vec(),
    };
    let mut answer = Vec::with_capacity(head.len() + documents * (item.len() + 1) + 2);
    answer.extend_from_slice(head.as_bytes());
    for index in 0..documents {
        if index > 0 {
            answer.push(b',');
        }
        answer.extend_from_slice(item.as_bytes());
    }
    answer.extend_from_slice(b"]}");
    answer
}
