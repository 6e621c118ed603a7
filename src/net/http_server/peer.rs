//! Who is at the other end of a connection, and whether that is whoever sends.

use std::net::{IpAddr, SocketAddr};

use http::Request;

/// The other end of the connection that a request came by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

/// Headers of whoever passes on what others sent (RFC 7239, RFC 9110).
const PASSED_ON: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

/// The address of whoever sends a request; `None` where somebody says that it only passes it on, and for the host itself,
/// which anyone on it may be.
pub fn direct_sender<B>(request: &Request<B>) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>()?.0.ip().to_canonical();
    let passed_on = PASSED_ON.iter().any(|header| request.headers().contains_key(*header));
    (!passed_on && !peer.is_loopback()).then_some(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sends_directly_from_elsewhere_has_an_address() {
        let sender = |peer: &str, header: Option<&str>| {
            let mut request = Request::new(());
            request.extensions_mut().insert(Peer(peer.parse().expect("an address")));
            if let Some(header) = header {
                request.headers_mut().insert(
                    http::header::HeaderName::from_bytes(header.as_bytes()).expect("a name"),
                    "10.0.0.9".parse().expect("a value"),
                );
            }
            direct_sender(&request).map(|ip| ip.to_string())
        };
        assert_eq!(sender("10.0.0.1:80", None).as_deref(), Some("10.0.0.1"));
        assert_eq!(sender("[::ffff:10.0.0.1]:80", Some("x-other")).as_deref(), Some("10.0.0.1"));
        assert_eq!(sender("[fd00::7]:80", None).as_deref(), Some("fd00::7"));
        for loopback in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(sender(loopback, None), None, "{loopback}");
        }
        for header in ["Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"] {
            assert_eq!(sender("10.0.0.1:80", Some(header)), None, "{header}");
        }
        assert_eq!(direct_sender(&Request::new(())), None);
    }
}
