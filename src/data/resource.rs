//! What a batch is about: the resource (a container, a process) and the instrumentation scope.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

/// Attributes of the origin of a batch, with every encoding of them that a sink has asked for.
///
/// A resource is made once per origin and shared by all its batches; what a sink would write for it is
/// encoded once per sink and then spliced.
#[derive(Debug, Default)]
pub struct Resource {
    attributes: Vec<(Box<str>, ResourceValue)>,
    schema_url: Box<str>,
    encodings: RwLock<Vec<(EncodingId, Bytes)>>,
}

/// A value of a resource attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum ResourceValue {
    /// Text.
    Text(Box<str>),
    /// A signed integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// One valid JSON value, for lists and maps.
    Json(Box<str>),
}

impl From<&str> for ResourceValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for ResourceValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// Names one way of encoding resources: a sink takes one when it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingId(u64);

impl EncodingId {
    /// An id that no other encoder has.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Encodings kept per resource. Reloads bring new sinks with new ids; the oldest go.
const KEPT_ENCODINGS: usize = 8;

impl Resource {
    /// A resource with these attributes; of two with one key the last wins.
    pub fn new(attributes: impl IntoIterator<Item = (Box<str>, ResourceValue)>) -> Self {
        let mut resource = Self::default();
        for (key, value) in attributes {
            resource.set(key, value);
        }
        resource
    }

    /// The same with the URL of the schema that its attributes follow.
    #[must_use]
    pub fn with_schema_url(self, schema_url: &str) -> Self {
        Self { schema_url: schema_url.into(), encodings: RwLock::default(), ..self }
    }

    /// The URL of the schema that its attributes follow; empty for none.
    pub fn schema_url(&self) -> &str {
        &self.schema_url
    }

    fn set(&mut self, key: Box<str>, value: ResourceValue) {
        match self.attributes.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((key, value)),
        }
    }

    /// A copy with some attributes set and the encodings forgotten.
    pub fn with(&self, attributes: impl IntoIterator<Item = (Box<str>, ResourceValue)>) -> Self {
        let mut copy = Self {
            attributes: self.attributes.clone(),
            schema_url: self.schema_url.clone(),
            encodings: RwLock::default(),
        };
        for (key, value) in attributes {
            copy.set(key, value);
        }
        copy
    }

    /// The attributes in the order in which they were set.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&str, &ResourceValue)> {
        self.attributes.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// The value of one attribute.
    pub fn get(&self, key: &str) -> Option<&ResourceValue> {
        self.attributes.iter().find(|(k, _)| **k == *key).map(|(_, value)| value)
    }

    /// What `encode` writes for this resource, made once per `id`.
    pub fn encoded(&self, id: EncodingId, encode: impl FnOnce(&Self, &mut Vec<u8>)) -> Bytes {
        let known = |encodings: &[(EncodingId, Bytes)]| {
            encodings.iter().find(|(i, _)| *i == id).map(|(_, bytes)| bytes.clone())
        };
        if let Some(bytes) = known(&self.encodings.read().unwrap_or_else(PoisonError::into_inner)) {
            return bytes;
        }
        let mut out = Vec::new();
        encode(self, &mut out);
        let mut encodings = self.encodings.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = known(&encodings) {
            return bytes;
        }
        if encodings.len() == KEPT_ENCODINGS {
            encodings.remove(0);
        }
        let bytes = Bytes::from(out);
        encodings.push((id, bytes.clone()));
        bytes
    }
}

/// The instrumentation scope: name and version of the library that emitted the records; both empty for
/// logs read from files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// Name of the scope.
    pub name: Box<str>,
    /// Version of the scope.
    pub version: Box<str>,
    /// Attributes of the scope.
    pub attributes: Vec<(Box<str>, ResourceValue)>,
    /// The URL of the schema that its records follow; empty for none.
    pub schema_url: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_made_once_per_sink() {
        let resource = Resource::new([("k8s.pod.name".into(), "web-1".into())]);
        let (one, other) = (EncodingId::unique(), EncodingId::unique());
        let mut made = 0;
        for id in [one, other, one, other] {
            resource.encoded(id, |resource, out| {
                made += 1;
                out.extend(resource.attributes().flat_map(|(key, _)| key.bytes()));
            });
        }
        assert_eq!(made, 2);
    }
}
