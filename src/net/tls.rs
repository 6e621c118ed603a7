//! The process's one TLS provider, and the client settings that options ask for.

use std::path::{Path, PathBuf};
use std::sync::Once;

use xxhash_rust::xxh3::xxh3_64;

use crate::options::ClientTls;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("tls: cannot read {path}: {error}; check the path and the agent's permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file holds no usable PEM.
    #[error("tls: {path} is not usable PEM: {error}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        error: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("tls: `cert_file` and `key_file` go together; give both or neither")]
    HalfIdentity,
}

/// Makes ring the provider of cryptography for the process. Every connection of the agent uses it; called
/// by whoever opens one, it takes effect once.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody was faster, with the only provider that is linked.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Applies `tls` to a client under construction.
pub(super) fn configure(
    mut builder: reqwest::ClientBuilder,
    tls: &ClientTls,
) -> Result<reqwest::ClientBuilder, TlsError> {
    install_provider();
    if let Some(path) = &tls.ca_file {
        let pem = read(path)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(path, &error))?;
        if certificates.is_empty() {
            return Err(TlsError::Pem { path: path.clone(), error: "it holds no certificate".into() });
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(certificate), Some(key)) => {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|error| unusable(key, &error))?);
        }
        (None, None) => {}
        _ => return Err(TlsError::HalfIdentity),
    }
    if !tls.verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// A hash of what the files hold, by which a change is seen.
pub(super) fn content(tls: &ClientTls) -> u64 {
    let files = [&tls.ca_file, &tls.cert_file, &tls.key_file].into_iter().flatten();
    let hashes: Vec<u8> =
        files.flat_map(|path| xxh3_64(&std::fs::read(path).unwrap_or_default()).to_le_bytes()).collect();
    xxh3_64(&hashes)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

fn unusable(path: &Path, error: &reqwest::Error) -> TlsError {
    use std::error::Error;
    let error = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    TlsError::Pem { path: path.to_owned(), error }
}
