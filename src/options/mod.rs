//! Floor 0: what options are made of. Every value that a configuration writes with a unit, a secret or a
//! place has its type here, with its JSON Schema, so that components only declare fields.

pub mod answer_within;
pub mod each;
pub mod http_client;
pub mod http_server;
pub mod identity;
pub mod joined;
pub mod listen;
pub mod problem;
pub mod prometheus;
pub mod prometheus_duration;
pub mod secret;
pub mod section;
pub mod senders;
pub mod size;
pub mod spanned;
pub mod suggest;
pub mod tls;
pub mod verbatim;
pub mod whole_file;

pub use each::Each;
pub use http_client::{HttpClientOptions, TlsConfig};
pub use http_server::HttpServerOptions;
pub use identity::{Identity, Role};
pub use joined::Joined;
pub use listen::Listen;
pub use problem::{Code, Problem, Span};
pub use prometheus::{PrometheusDuration, PrometheusSize};
pub use secret::{Secret, SecretAddress, TokenAddress};
pub use section::Section;
pub use senders::SendersPods;
pub use size::{ByteSize, Duration, Percent};
pub use spanned::Spanned;
pub use tls::ClientTls;
pub use verbatim::Verbatim;
