//! How a component that connects elsewhere proves the other side and itself: `tls: { ca_file, … }`.

use std::fmt;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Visitor};

/// Name of the newtype by which a deserializer recognises a truth value that turns the check of certificates off
/// where it is true, which is a warning.
pub const UNCHECKED_IF_TRUE: &str = "$tailwater::UncheckedIfTrue";

/// The same, off where it is false.
pub const UNCHECKED_IF_FALSE: &str = "$tailwater::UncheckedIfFalse";

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
    #[serde(deserialize_with = "unchecked_if_false")]
    pub verify: bool,
}

impl Default for ClientTls {
    fn default() -> Self {
        Self { ca_file: None, cert_file: None, key_file: None, verify: true }
    }
}

/// Reads `insecure_skip_verify`.
pub(super) fn unchecked_if_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_newtype_struct(UNCHECKED_IF_TRUE, Truth)
}

/// Reads `verify`.
fn unchecked_if_false<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_newtype_struct(UNCHECKED_IF_FALSE, Truth)
}

struct Truth;

impl<'de> Visitor<'de> for Truth {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        bool::deserialize(deserializer)
    }
}
