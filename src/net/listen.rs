//! Taking a port, with errors that name it and say what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why a port could not be taken, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for `{owner}`: {error}; {}", advice(error, owner))]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// The configuration's section or component that asked.
    pub owner: Box<str>,
    /// What the system said.
    pub error: io::Error,
}

fn advice(error: &io::Error, owner: &str) -> String {
    // A component's name has a slash; a section's options are known by a path.
    let option = if owner.contains('/') { format!("`listen` of `{owner}`") } else { format!("`{owner}.listen`") };
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process, perhaps another agent, has the port: stop it, or give {option} another")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("no interface of this machine has that address: give {option} one that has, or 0.0.0.0")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege: give {option} a higher one")
        }
        _ => format!("give {option} an address that this machine can listen on"),
    }
}

/// Takes the port for `owner`, a section or a component by the name that it has in the configuration.
pub async fn bind(address: SocketAddr, owner: &str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|error| BindError { address, owner: owner.into(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_what_to_do() {
        let taken = bind(([127, 0, 0, 1], 0).into(), "admin").await.expect("a free port");
        let address = taken.local_addr().expect("bound");
        let error = bind(address, "health").await.expect_err("the port is taken").to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("give `health.listen` another"), "{error}");
        let error = bind(address, "prometheus_exposition/own").await.expect_err("the port is taken").to_string();
        assert!(error.contains("give `listen` of `prometheus_exposition/own` another"), "{error}");
    }
}
