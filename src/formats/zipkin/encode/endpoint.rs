//! The endpoints of a span, from attributes. The other side is found by the ranking of the specification; what an
//! endpoint says exactly as an attribute did is no tag any more.

use std::io::Write;
use std::net::IpAddr;

use super::super::{kind, names};
use super::tags::{Tag, attribute, take};
use super::{value, write_name, write_text};
use crate::formats::json::text;

/// One side of a connection.
#[derive(Default)]
pub(super) struct Endpoint<'a> {
    service: &'a [u8],
    ipv4: Option<IpAddr>,
    ipv6: Option<IpAddr>,
    port: u16,
}

/// Attributes that name the other side, the best first, each with that of its port. The specification has them for
/// clients and producers, of whom alone all of them name the other side.
const REMOTE: [(&str, &str); 12] = [
    (names::PEER_SERVICE, ""),
    ("server.address", "server.port"),
    ("net.peer.name", "net.peer.port"),
    (names::PEER_ADDRESS, names::PEER_PORT),
    ("server.socket.domain", "server.socket.port"),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", "net.sock.peer.port"),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", "peer.port"),
    ("peer.address", "peer.port"),
    // Of the Collector's translator, which has not followed when the conventions changed.
    ("net.peer.ip", "net.peer.port"),
    ("db.name", ""),
];

/// Those that name the other side whatever kind a span is of.
const PEER: [(&str, &str); 4] = [
    (names::PEER_SERVICE, ""),
    (names::PEER_ADDRESS, names::PEER_PORT),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("net.peer.ip", "net.peer.port"),
];

/// Those of a span's own side.
const LOCAL: [(&str, &str); 3] = [
    (names::LOCAL_ADDRESS, names::LOCAL_PORT),
    ("net.sock.host.addr", "net.sock.host.port"),
    ("net.host.ip", "net.host.port"),
];

/// The side of the service itself.
pub(super) fn local<'s>(service: &'s [u8], tags: &mut [Tag<'_>]) -> Endpoint<'s> {
    let service = if service.is_empty() { names::UNKNOWN_SERVICE.as_bytes() } else { service };
    let mut endpoint = Endpoint { service, ..Endpoint::default() };
    endpoint.add_address(&LOCAL, tags);
    endpoint.add_ipv6(names::LOCAL_IPV6, tags);
    endpoint.add_port(names::LOCAL_PORT, tags);
    endpoint.take_said([names::LOCAL_ADDRESS, names::LOCAL_IPV6], names::LOCAL_PORT, tags);
    endpoint
}

/// The other side.
pub(super) fn remote<'a>(kind: u64, tags: &mut [Tag<'a>]) -> Endpoint<'a> {
    let ranking: &[_] = if matches!(kind, kind::CLIENT | kind::PRODUCER) { &REMOTE } else { &PEER };
    let mut endpoint = Endpoint::default();
    let best = ranking.iter().find_map(|(name, port)| Some((*name, *port, text_of(name, tags)?)));
    match best {
        Some((names::PEER_SERVICE, _, text)) => {
            endpoint.service = text;
            take(names::PEER_SERVICE, tags);
        }
        Some((_, _, text)) if address(text).is_none() => endpoint.service = text,
        Some((name, port, _)) => endpoint.add_address(&[(name, port)], tags),
        None => {}
    }
    // Where the best of them is a name, the connection's own address completes it.
    endpoint.add_address(&PEER[1..], tags);
    endpoint.add_ipv6(names::PEER_IPV6, tags);
    if let Some((_, port, _)) = best {
        endpoint.add_port(port, tags);
    }
    endpoint.add_port(names::PEER_PORT, tags);
    endpoint.take_said([names::PEER_ADDRESS, names::PEER_IPV6], names::PEER_PORT, tags);
    endpoint
}

fn text_of<'a>(name: &str, tags: &[Tag<'a>]) -> Option<&'a [u8]> {
    attribute(name, tags).and_then(value::as_text)
}

fn address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Endpoint<'_> {
    /// Adds the first of these that is an address, with its port, where there is no address yet.
    fn add_address(&mut self, names: &[(&str, &str)], tags: &[Tag<'_>]) {
        if self.ipv4.is_some() || self.ipv6.is_some() {
            return;
        }
        let found = names.iter().find_map(|(name, port)| Some((port, text_of(name, tags).and_then(address)?)));
        if let Some((port, ip)) = found {
            *(if ip.is_ipv4() { &mut self.ipv4 } else { &mut self.ipv6 }) = Some(ip);
            self.add_port(port, tags);
        }
    }

    /// Adds the address of IPv6 that had no room beside one of IPv4.
    fn add_ipv6(&mut self, name: &str, tags: &[Tag<'_>]) {
        if let (Some(_), None, Some(ip)) = (self.ipv4, self.ipv6, text_of(name, tags).and_then(address))
            && ip.is_ipv6()
        {
            self.ipv6 = Some(ip);
        }
    }

    /// Adds the port of an attribute where there is none yet.
    fn add_port(&mut self, name: &str, tags: &[Tag<'_>]) {
        if self.port == 0
            && let Some(port) = attribute(name, tags).and_then(value::as_port)
        {
            self.port = port;
        }
    }

    /// Leaves out the attributes that reading the endpoint would give again.
    fn take_said(&self, addresses: [&str; 2], port: &str, tags: &mut [Tag<'_>]) {
        for name in addresses {
            let said = text_of(name, tags).and_then(address);
            if said.is_some() && (said == self.ipv4 || said == self.ipv6) {
                take(name, tags);
            }
        }
        if self.port != 0 && attribute(port, tags).and_then(value::as_port) == Some(self.port) {
            take(port, tags);
        }
    }

    /// Appends it as a member, unless it says nothing.
    pub fn write(&self, name: &str, out: &mut Vec<u8>) {
        let Self { service, ipv4, ipv6, port } = self;
        if service.is_empty() && ipv4.is_none() && ipv6.is_none() && *port == 0 {
            return;
        }
        write_name(name, out);
        let start = out.len();
        write_text("serviceName", service, out);
        for (name, ip) in [("ipv4", ipv4), ("ipv6", ipv6)] {
            if let Some(ip) = ip {
                write_name(name, out);
                // Writing into a vector cannot fail.
                let _ = write!(out, "\"{ip}\"");
            }
        }
        if *port != 0 {
            write_name("port", out);
            text::write_uint(u64::from(*port), out);
        }
        // The first member wrote the comma that the object begins at.
        out[start] = b'{';
        out.push(b'}');
    }
}
