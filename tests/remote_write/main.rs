//! Prometheus remote write: the messages as others read and write them, the sink before servers that answer in
//! every way, and the receiver before clients that send anything.

#[path = "../support/http.rs"]
mod http;
#[path = "../support/remote_write_proto.rs"]
mod remote_write_proto;

mod messages;
mod samples;
