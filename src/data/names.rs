//! Paths of fields that the graph reads, each interned once as a small number, so that hot code compares
//! numbers where configuration says words.

use std::sync::{Arc, PoisonError, RwLock};

/// An interned path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(pub u16);

/// A path into attributes: the top-level key (unescaped), then the keys of nested objects.
pub type Path = Arc<[Box<str>]>;

/// The interned paths of a process. It only grows: what a number means never changes, also across reloads.
#[derive(Debug, Default)]
pub struct Names(RwLock<Vec<Path>>);

/// More different paths than a configuration could plausibly name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the configurations loaded so far name more than 65,535 different attribute paths; restart the agent")]
pub struct TooManyNames;

impl Names {
    /// The number of `path`, given on first sight.
    pub fn intern(&self, path: &[&str]) -> Result<NameId, TooManyNames> {
        let mut paths = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = paths.iter().position(|p| p.iter().map(AsRef::as_ref).eq(path.iter().copied()));
        let index = known.unwrap_or(paths.len());
        let id = u16::try_from(index).map_err(|_| TooManyNames)?;
        if known.is_none() {
            paths.push(path.iter().map(|&segment| segment.into()).collect());
        }
        Ok(NameId(id))
    }

    /// The number of `path` if anything has asked for it.
    pub fn find(&self, path: &[&str]) -> Option<NameId> {
        let paths = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let index = paths.iter().position(|p| p.iter().map(AsRef::as_ref).eq(path.iter().copied()))?;
        u16::try_from(index).ok().map(NameId)
    }

    /// The path behind a number that [`Names::intern`] gave out.
    pub fn path(&self, id: NameId) -> Path {
        self.0.read().unwrap_or_else(PoisonError::into_inner)[usize::from(id.0)].clone()
    }
}

/// What a graph wants located in a record's JSON object. Everything else rides along as untouched bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Paths that something reads or edits.
    pub paths: Vec<NameId>,
    /// Top-level keys that a sink must see because it writes fields of that name itself: the key, and
    /// any that begins with it and a dot.
    pub reserved: Vec<&'static str>,
    /// Whether something reads the severity.
    pub severity: bool,
}

impl Interest {
    /// Adds what `other` wants.
    pub fn merge(&mut self, other: &Self) {
        self.paths.extend(other.paths.iter().filter(|id| !self.paths.contains(id)).copied().collect::<Vec<_>>());
        self.reserved
            .extend(other.reserved.iter().filter(|key| !self.reserved.contains(key)).copied().collect::<Vec<_>>());
        self.severity |= other.severity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_a_dot_is_not_a_nested_path() {
        let names = Names::default();
        let dotted = names.intern(&["a.b"]).expect("room");
        let nested = names.intern(&["a", "b"]).expect("room");
        assert_ne!(dotted, nested);
        assert_eq!(names.intern(&["a.b"]), Ok(dotted));
        assert_eq!(names.path(nested).len(), 2);
    }
}
