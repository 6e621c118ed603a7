//! Secrets: never written inline, never shown, and read again when their file changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::whole_file::{self, Unread};

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
    let text = whole_file::text(path, MAX_FILE).map_err(|error| match error {
        Unread::Failed(error) => error,
        other => std::io::Error::other(other.to_string()),
    })?;
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
