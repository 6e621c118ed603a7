//! Floor 2: listening and connecting, with TLS, for every component that talks to a network. One TLS stack
//! (rustls with ring), one HTTP client shape.

mod connect;
pub mod dns;
pub mod grpc;
mod hidden;
pub mod http_client;
pub mod http_server;
pub mod listen;
pub mod proxy;
mod shown;
pub mod span_exporter;
pub mod tls;

pub use hidden::Hidden;
pub use http_client::{Answer, ClientError, Endpoints, HttpClient};
pub use shown::{shown, without_user};
