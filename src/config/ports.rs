//! No two parts of an agent can listen on one port: what is sure to fail at start is told before.

use std::net::{IpAddr, SocketAddr};

use super::codes;
use crate::options::{Problem, Span, Spanned};

/// The ports that are taken so far.
#[derive(Default)]
pub(super) struct Ports {
    taken: Vec<(Box<str>, SocketAddr)>,
}

impl Ports {
    /// `who`, written at `key`, listens on these addresses; tells which of them somebody has already.
    pub(super) fn take(&mut self, who: &str, key: Span, listeners: Vec<Spanned<SocketAddr>>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Spanned { span, value: address } in listeners {
            if let Some((other, at)) = self.taken.iter().find(|(_, taken)| collide(*taken, address)) {
                let message = format!("`{who}` cannot listen on {address}: `{other}` listens on {at}");
                let problem = Problem::new(codes::PORT_TAKEN, span, message);
                problems.push(problem.help("give each a port of its own, with `listen`").at_least(key));
            }
            self.taken.push((who.into(), address));
        }
        problems
    }
}

/// Whether the second of two listeners would not get its address. Port 0 takes a free one; `[::]` has the ports of IPv4 too,
/// as Linux has it unless it is told otherwise.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let of_all = |all: IpAddr, ip: IpAddr| all.is_unspecified() && (all.is_ipv6() || ip.is_ipv4());
    let (ip, other_ip) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (ip == other_ip || of_all(ip, other_ip) || of_all(other_ip, ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_where_one_address_has_it_of_the_other() {
        for (one, other, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "10.0.0.1:1", false),
            ("127.0.0.1:1", "0.0.0.0:1", true),
            ("127.0.0.1:1", "[::]:1", true),
            ("[::1]:1", "[::]:1", true),
            ("[::1]:1", "0.0.0.0:1", false),
            ("0.0.0.0:1", "[::]:1", true),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let (one, other) = (one.parse().expect("an address"), other.parse().expect("an address"));
            assert_eq!((collide(one, other), collide(other, one)), (expected, expected), "{one} {other}");
        }
    }
}
