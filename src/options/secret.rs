//! Secrets: never written inline, never shown, and read again when their file changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::whole_file;

/// Largest file of a secret.
const MAX_FILE: u64 = 1 << 20;

/// Name of the newtype by which a deserializer recognises [`Secret`]: one that interpolates answers with
/// a sequence of the path of the file it came from (empty for the environment) and the value, and refuses
/// a value written inline, unless that is in a [`Verbatim`](super::Verbatim).
pub const SECRET: &str = "$tailwater::Secret";

/// What a secret looks like in every part of a configuration but a [`Verbatim`](super::Verbatim).
pub(super) const SECRET_PATTERN: &str = r"^\$\{(file|env):[^}]+\}$";

/// A secret value. Cloning shares it, so that [`Secret::reread`] is seen by every holder.
#[derive(Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    file: Option<PathBuf>,
    value: RwLock<Arc<str>>,
    /// When the file was read last.
    read: Mutex<Instant>,
    is_frozen: AtomicBool,
}

impl Inner {
    fn new(file: Option<PathBuf>, value: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            file,
            value: RwLock::new(value),
            read: Mutex::new(Instant::now()),
            is_frozen: AtomicBool::new(false),
        })
    }
}

impl Secret {
    /// A secret from the environment, or from a test.
    pub fn from_value(value: impl Into<Arc<str>>) -> Self {
        Self(Inner::new(None, value.into()))
    }

    /// A secret read from a file, a trailing newline left out.
    pub fn from_file(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        let value = read(&path)?;
        Ok(Self(Inner::new(Some(path), value)))
    }

    /// The secret itself. Take it as late as possible and keep it nowhere.
    pub fn expose(&self) -> Arc<str> {
        self.0.value.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file that it comes from.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Its file is read no more, by no holder: whoever goes on with it is to go on with this one.
    pub fn freeze(&self) {
        self.0.is_frozen.store(true, Ordering::Relaxed);
    }

    /// Whether it comes from a file that was not read for this long: [`Secret::reread`] is due.
    pub fn is_older(&self, age: Duration) -> bool {
        let read = *self.0.read.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.file.is_some() && !self.0.is_frozen.load(Ordering::Relaxed) && read.elapsed() >= age
    }

    /// Reads the file again, if it comes from one. Returns whether the secret changed. Does I/O: call it
    /// where blocking is allowed.
    pub fn reread(&self) -> std::io::Result<bool> {
        let Some(path) = self.0.file.as_ref().filter(|_| !self.0.is_frozen.load(Ordering::Relaxed)) else {
            return Ok(false);
        };
        *self.0.read.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let fresh = read(path)?;
        let mut value = self.0.value.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *value != fresh;
        *value = fresh;
        Ok(changed)
    }
}

fn read(path: &Path) -> std::io::Result<Arc<str>> {
    let text = whole_file::text(path, MAX_FILE)?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).into())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.file() == other.file() && self.expose() == other.expose()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET, Visit)
    }
}

/// Name of the newtype by which a deserializer recognises [`SecretAddress`]: it answers as for [`SECRET`] where
/// a user or a reference stands in the address, and takes any other address as it is.
pub const SECRET_ADDRESS: &str = "$tailwater::SecretAddress";

/// An address that is a secret where it holds a user and a password: `http://user:password@host`.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretAddress(pub Secret);

impl std::ops::Deref for SecretAddress {
    type Target = Secret;

    fn deref(&self) -> &Secret {
        &self.0
    }
}

impl<'de> Deserialize<'de> for SecretAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET_ADDRESS, Visit).map(Self)
    }
}

impl schemars::JsonSchema for SecretAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretAddress".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// Name of the newtype by which a deserializer recognises [`TokenAddress`]: it answers as for [`SECRET_ADDRESS`], also where
/// the path or the query [holds a token](holds_token), and shows of any other no more than its host.
pub const TOKEN_ADDRESS: &str = "$tailwater::TokenAddress";

/// An address that lets in whoever knows it, such as a webhook's: a secret where a token stands in it, and elsewhere nobody
/// knows.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenAddress(pub Secret);

impl std::ops::Deref for TokenAddress {
    type Target = Secret;

    fn deref(&self) -> &Secret {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TokenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TOKEN_ADDRESS, Visit).map(Self)
    }
}

impl schemars::JsonSchema for TokenAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TokenAddress".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        SecretAddress::json_schema(generator)
    }
}

/// Letters and digits in one piece from which on nobody would have chosen them as a name.
const LEAST_TOKEN: usize = 16;

/// Whether what stands behind the host of an address is clearly a secret: a UUID, or a long piece of letters and digits.
pub fn holds_token(address: &str) -> bool {
    let behind = address.split_once("://").map_or(address, |(_, rest)| rest);
    let Some(from) = behind.find(['/', '?']) else { return false };
    let is_mixed = |piece: &str| {
        let has = |is: fn(&u8) -> bool| piece.bytes().any(|byte| is(&byte));
        has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    };
    behind[from..].split(['/', '?', '&', '=', '#']).any(|part| {
        let is_uuid = part.len() == 36 && part.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        let mut pieces = part.split(|letter: char| !letter.is_ascii_alphanumeric());
        is_uuid || pieces.any(|piece| piece.len() >= LEAST_TOKEN && is_mixed(piece))
    })
}

/// Reads a secret from whatever a deserializer answers with.
struct Visit;

impl<'de> Visitor<'de> for Visit {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret: \"${file:/path}\" or \"${env:NAME}\"")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from_value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Secret, A::Error> {
        let missing = || A::Error::custom("a deserializer that interpolates gives file and value");
        let file: String = seq.next_element()?.ok_or_else(missing)?;
        let value: String = seq.next_element()?.ok_or_else(missing)?;
        let file = (!file.is_empty()).then(|| PathBuf::from(file));
        Ok(Secret(Inner::new(file, value.into())))
    }
}

impl schemars::JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A secret: `${file:/path}` or `${env:NAME}`. Written inline it is an error.",
            "pattern": SECRET_PATTERN
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_behind_the_host_is_told_from_words() {
        for address in [
            "https://hooks.example.com/services/T00000000/B00000000/X0X0X0X0X0X0X0X0X0X0X0X0",
            "https://hc-ping.com/1c3f5d7e-8a9b-4c0d-9e1f-2a3b4c5d6e7f",
            "https://api.example.com/v1/heartbeats/abcdef0123456789ab",
            "https://example.com/hook?key=a1b2c3d4e5f6a7b8c9",
        ] {
            assert!(holds_token(address), "{address}");
        }
        for address in [
            "http://alerts.example.com",
            "http://10.0.0.1:8080/hook",
            "http://ip-10-0-0-1a2b3c4d5e6f7a8b9c:8080/alerts",
            "https://example.com/webhooks/alertmanager-prod-eu-1/notifications",
            "https://example.com/internationalization",
        ] {
            assert!(!holds_token(address), "{address}");
        }
    }

    #[test]
    fn a_frozen_secret_stays_what_it_is() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "one\n").expect("written");
        let secret = Secret::from_file(file.path()).expect("read");
        let clone = secret.clone();
        std::fs::write(file.path(), "two").expect("written");
        assert!(secret.reread().expect("read") && &*clone.expose() == "two");
        secret.freeze();
        std::fs::write(file.path(), "three").expect("written");
        assert!(!clone.reread().expect("frozen") && !clone.is_older(Duration::ZERO));
        assert_eq!(&*secret.expose(), "two");
    }
}
