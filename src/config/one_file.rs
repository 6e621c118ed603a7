//! One YAML file that is no configuration: a list of rules, or what another program is configured with. Read
//! and complained of as configurations are.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::codes;
use super::de::{Context, Notes};
use super::document;
use super::error::{Errors, SourceFile};
use crate::formats::yaml::{self, Node};
use crate::options::{Problem, Span};

/// A file, read.
pub struct OneFile {
    files: Vec<SourceFile>,
    root: Arc<Node>,
}

impl OneFile {
    /// Reads a file. One with nothing in it is an error.
    pub fn read(path: &Path) -> Result<Self, Errors> {
        let mut problems = Vec::new();
        let files = if path.is_dir() {
            let message = format!("`{}` is a folder", path.display());
            problems.push(Problem::new(codes::UNREADABLE, Span::UNKNOWN, message).help("name a file"));
            Vec::new()
        } else {
            document::read(&[path.to_owned()], &mut problems)
        };
        let root = match files.first().map(|file| yaml::parse(1, &file.text)) {
            Some(Ok(Some(root))) => Some(root),
            Some(Ok(None)) => {
                let message = format!("`{}` holds nothing", path.display());
                problems.push(Problem::new(codes::UNREADABLE, Span::UNKNOWN, message));
                None
            }
            Some(Err(wrong)) => {
                problems.extend(wrong);
                None
            }
            None => None,
        };
        match root {
            Some(root) if problems.is_empty() => Ok(Self { files, root }),
            _ => Err(Errors::locate(problems, &files, &Notes::default())),
        }
    }

    /// What is in it.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// What is in it, as options of this type.
    pub fn typed<T: DeserializeOwned>(&self) -> Result<T, Errors> {
        let environment = |name: &str| std::env::var(name).ok();
        let context = Context::new(&environment);
        let value = context.typed::<T>(&self.root, None);
        let notes = context.into_notes();
        value.ok_or_else(|| Errors::locate(notes.problems.clone(), &self.files, &notes))
    }

    /// Looks up places in it.
    pub fn locate(&self, problems: Vec<Problem>) -> Errors {
        Errors::locate(problems, &self.files, &Notes::default())
    }

    /// The line of a place, from 1.
    pub fn line(&self, span: Span) -> usize {
        let text = self.files.first().map(|file| file.text.as_bytes()).unwrap_or_default();
        memchr::memchr_iter(b'\n', &text[..(span.start as usize).min(text.len())]).count() + 1
    }
}
