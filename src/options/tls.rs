//! How a component that connects elsewhere proves the other side and itself: `tls: { ca_file, … }`.

use std::path::PathBuf;

/// TLS of an outgoing connection. Only used where the address begins with `https://`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// A PEM file with the certificates of the authorities to trust, instead of the system's. Default: the
    /// system's. Read again when it changes, as are the other two files.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the certificate that this agent shows, and its chain. Needs `key_file`.
    pub cert_file: Option<PathBuf>,
    /// A PEM file with the private key of `cert_file`.
    pub key_file: Option<PathBuf>,
    /// Whether the server's certificate is checked. Default: `true`. With `false` anybody on the way can
    /// read and change what is sent: only for a test.
    pub verify: bool,
}

impl Default for ClientTls {
    fn default() -> Self {
        Self { ca_file: None, cert_file: None, key_file: None, verify: true }
    }
}
