//! Which members of an object would stand in the place of a field of ours.

use super::super::json::text::{unescaped_eq, unescaped_prefix};

/// Keys to locate for the `otel` layout: what sources say about a record is under `attributes` too.
pub(super) const OTEL: &[&str] = &["log"];

/// Keys to locate for the `ecs` layout: they and all that begin with one of them and a dot are ours.
pub(super) const ECS: &[&str] = &["@timestamp", "message", "log", "kubernetes", "container", "host", "data_stream"];

/// What sources write under `attributes`: these keys and all below them.
const OF_SOURCES: &[&str] = &["log.iostream", "log.file", "log.record"];

/// The content of a key that is given as JSON text with its quotes.
pub(in crate::formats) fn content(key: &[u8]) -> &[u8] {
    key.get(1..key.len().saturating_sub(1)).unwrap_or_default()
}

/// Whether a key is one of ours under `ecs`.
pub(super) fn is_ecs(key: &[u8]) -> bool {
    let possible = matches!(key.first(), Some(b'@' | b'm' | b'l' | b'k' | b'c' | b'h' | b'd' | b'\\'));
    possible && ECS.iter().any(|name| is_or_below(key, name))
}

/// Whether a key that is not escaped is one of ours under `ecs`.
pub(super) fn is_ecs_raw(key: &[u8]) -> bool {
    ECS.iter().any(|name| key.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'.'))
}

/// Whether a member under `attributes` would be read as something that a source said: by its own key or,
/// if it is `log` itself, by a key inside its value.
pub(in crate::formats) fn shadows_source<'a>(key: &[u8], value: impl FnOnce() -> &'a [u8]) -> bool {
    if !matches!(key.first(), Some(b'l' | b'\\')) {
        return false;
    }
    if OF_SOURCES.iter().any(|name| is_or_below(key, name)) {
        return true;
    }
    unescaped_eq(key, b"log") && {
        let value = value();
        // Cheaper than a walk, and never wrong in the dangerous direction: an escape may hide any name.
        let may_name = |name: &[u8]| memchr::memmem::find(value, name).is_some();
        value.first() == Some(&b'{')
            && (may_name(b"iostream") || may_name(b"file") || may_name(b"record") || may_name(b"\\"))
    }
}

/// Whether a key, escaped or not, is this name or begins with it and a dot.
pub(super) fn is_or_below(key: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    let same = key.iter().zip(name).take_while(|(a, b)| a == b).count();
    match key.get(same) {
        None => same == name.len(),
        Some(b'.') if same == name.len() => true,
        // None of the names holds a backslash, so this begins an escape.
        Some(b'\\') => {
            unescaped_prefix(key, name).is_some_and(|rest| rest.is_empty() || unescaped_prefix(rest, b".").is_some())
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_recognised_however_it_is_escaped() {
        for ours in ["log", "log.x", r"l\u006fg", r"log\u002ex", r"\u006cog.x", "host", "@timestamp", "data_stream.a"] {
            assert!(is_ecs(ours.as_bytes()), "{ours}");
        }
        for other in ["", "lo", "logs", r"log\u0073", "level", "hos", "messages", r"log\\", "xlog"] {
            assert!(!is_ecs(other.as_bytes()), "{other}");
        }
    }
}
