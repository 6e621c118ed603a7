//! Floor 2: listening and connecting, with TLS, for every component that talks to a network.

pub mod http_server;
pub mod listen;
