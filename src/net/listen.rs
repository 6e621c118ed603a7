//! Taking a port, with errors that name it and say what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why a port could not be taken, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for `{section}`: {error}; {}", advice(error, section))]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// The configuration's section or component that asked.
    pub section: &'static str,
    /// What the system said.
    pub error: io::Error,
}

fn advice(error: &io::Error, section: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process, perhaps another agent, has the port: stop it, or give `{section}.listen` another")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("no interface of this machine has that address: give `{section}.listen` one that has, or 0.0.0.0")
        }
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need a privilege: give `{section}.listen` a higher one")
        }
        _ => format!("give `{section}.listen` an address that this machine can listen on"),
    }
}

/// Takes the port for `section`.
pub async fn bind(address: SocketAddr, section: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|error| BindError { address, section, error })
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
    }
}
