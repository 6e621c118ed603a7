//! The end of the way: it accepts every request of gRPC and counts spans, on the core that is not measured.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};

use super::requests;

/// What has arrived.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Requests.
    pub requests: u64,
    /// Bytes of their messages.
    pub bytes: u64,
    /// Spans.
    pub spans: u64,
    /// Requests that cannot be read.
    pub broken: u64,
}

#[derive(Default)]
struct Counts([AtomicU64; 4]);

impl Counts {
    fn add(&self, add: [u64; 4]) {
        for (count, add) in self.0.iter().zip(add) {
            count.fetch_add(add, Ordering::Relaxed);
        }
    }

    fn received(&self) -> Received {
        let [requests, bytes, spans, broken] = [0, 1, 2, 3].map(|at: usize| self.0[at].load(Ordering::Relaxed));
        Received { requests, bytes, spans, broken }
    }
}

/// Serves until the process is killed: gRPC, and the summary to a GET.
pub fn serve(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let counts = Arc::new(Counts::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let counts = counts.clone();
            let service = hyper::service::service_fn(move |request| answer(counts.clone(), request));
            let mut server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            server.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(8 << 20);
            server.http2().max_frame_size(256 << 10);
            // A sender that goes away ends its connection, and nothing else.
            tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await.is_ok() });
        }
    })
}

async fn answer(
    counts: Arc<Counts>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Box<dyn Error + Send + Sync>> {
    if request.method() == Method::GET {
        let text = serde_json::to_vec(&counts.received())?;
        return Ok(Response::new(Full::from(text).boxed()));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let spans = body.get(5..).and_then(requests::count);
    counts.add([1, body.len() as u64, spans.unwrap_or(0), u64::from(spans.is_none())]);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    // An empty message.
    let message = Full::from(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(message.boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}
