//! tonic with messages that stay bytes: the calls of the load, and the yardstick, a forwarder that does nothing else.

use std::error::Error;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use super::requests;

const EXPORT: PathAndQuery = PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");

/// What both sides of the forwarder give HTTP/2: as much as the agent gives it.
const WINDOWS: (u32, u32) = (1 << 20, 2 << 20);
const FRAME: u32 = 256 << 10;
const MOST_MESSAGE: usize = 64 << 20;

#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A client whose calls wait until the server is there.
#[derive(Clone)]
struct Client(Grpc<Channel>);

impl Client {
    fn new(to: &str) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::new(format!("http://{to}"))?;
        let endpoint = endpoint.initial_stream_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1);
        Ok(Self(Grpc::new(endpoint.connect_lazy())))
    }

    async fn export(&mut self, message: Bytes) -> Result<Response<Bytes>, Status> {
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        self.0.unary(Request::new(message), EXPORT, Raw).await
    }
}

/// Sends requests to `to` for so long, `in_flight` at a time on each of so many connections, and prints how many were
/// answered with OK and how many were not.
pub fn load(to: &str, seconds: u64, connections: usize, in_flight: usize, seed: u64) -> Result<(), Box<dyn Error>> {
    let requests: &[Bytes] = requests::make(seed).leak();
    let until = Instant::now() + Duration::from_secs(seconds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut sent, mut failed) = (0_u64, 0_u64);
    runtime.block_on(async {
        let mut senders = tokio::task::JoinSet::new();
        for connection in 0..connections {
            let client = Client::new(to)?;
            for place in 0..in_flight {
                let mut client = client.clone();
                let turns = requests.iter().cycle().skip(connection * in_flight + place);
                senders.spawn(async move {
                    let (mut sent, mut failed) = (0, 0);
                    for request in turns {
                        if Instant::now() > until {
                            break;
                        }
                        match client.export(request.clone()).await {
                            Ok(_) => sent += 1,
                            Err(_) => failed += 1,
                        }
                    }
                    (sent, failed)
                });
            }
        }
        while let Some(done) = senders.join_next().await {
            let (more, less) = done?;
            sent += more;
            failed += less;
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    println!("{sent} {failed}");
    Ok(())
}

/// Forwards every request to `to` and answers with the answer, until the process is killed.
pub fn forward(listen: SocketAddr, to: &str) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let forwarder = Forwarder(Client::new(to)?);
        let server = Server::builder()
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .max_frame_size(FRAME);
        Ok(server.serve(listen, forwarder).await?)
    })
}

#[derive(Clone)]
struct Forwarder(Client);

impl tower_service::Service<http::Request<Body>> for Forwarder {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let forward = Forward(self.0.clone());
        Box::pin(async move {
            let mut server = tonic::server::Grpc::new(Raw).max_decoding_message_size(MOST_MESSAGE);
            Ok(server.unary(forward, request).await)
        })
    }
}

struct Forward(Client);

impl tonic::server::UnaryService<Bytes> for Forward {
    type Response = Bytes;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let mut client = self.0.clone();
        Box::pin(async move { Ok(Response::new(client.export(request.into_inner()).await?.into_inner())) })
    }
}
