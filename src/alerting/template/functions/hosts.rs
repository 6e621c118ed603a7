//! Hosts and ports, as Go's package `net` takes them apart.

use std::net::IpAddr;

/// The host of `host:port` or `[host]:port`; what is none of both as it is.
pub(super) fn strip_port(text: &str) -> &str {
    split(text).map_or(text, |(host, _)| host)
}

/// The first part of the host's name, with its port; an address as it is.
pub(super) fn strip_domain(text: &str) -> String {
    let (host, port) = split(text).unwrap_or((text, ""));
    let address = host.split_once('%').map_or(host, |(address, zone)| if zone.is_empty() { host } else { address });
    let zoned = address.len() < host.len();
    if address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6() || !zoned) {
        return text.to_owned();
    }
    let host = host.split('.').next().unwrap_or_default();
    match port {
        "" => host.to_owned(),
        port if host.contains(':') => format!("[{host}]:{port}"),
        port => format!("{host}:{port}"),
    }
}

/// Host and port: `host:port` with one colon, or `[host]:port`; no other brackets.
fn split(text: &str) -> Option<(&str, &str)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once("]:").filter(|(_, port)| !port.contains(':'))?,
        None => text.rsplit_once(':').filter(|(host, _)| !host.contains(':'))?,
    };
    (!host.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}
