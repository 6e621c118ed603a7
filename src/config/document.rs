//! Files and folders, read and merged into one document by its root keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::SourceFile;
use super::{codes, fault};
use crate::formats::yaml::{self, Entry, Node, Value};
use crate::options::{Problem, Span, whole_file};

/// Largest file that is read.
const MAX_FILE: u64 = 4 << 20;

/// The root keys that hold components by name.
pub const GROUPS: [&str; 3] = ["sources", "transforms", "sinks"];

/// The other root keys that `config` itself reads.
pub const OWN: [&str; 6] = ["data_dir", "identity", "drain_timeout", "fragments", "tests", "alerting"];

/// All files as one.
#[derive(Debug, Default)]
pub struct Document {
    /// Root keys that hold one value each.
    pub single: Vec<Entry>,
    /// Components, in the order of [`GROUPS`].
    pub groups: [Vec<Entry>; 3],
    /// `fragments`.
    pub fragments: Vec<Entry>,
    /// `tests`, of all files.
    pub tests: Vec<Arc<Node>>,
}

impl Document {
    /// The value of a root key that stands once.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.single.iter().find(|entry| &*entry.key == key)
    }
}

/// Finds and reads the files that `paths` name: a file, or every `*.yaml` and `*.yml` of a folder in the
/// order of their names.
pub fn read(paths: &[PathBuf], problems: &mut Vec<Problem>) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = Vec::new();
    for path in paths {
        let found = if path.is_dir() { in_folder(path) } else { Ok(vec![path.clone()]) };
        match found {
            Ok(found) if found.is_empty() => {
                let message = format!("`{}` holds no file that ends in .yaml or .yml", path.display());
                problems.push(Problem::new(codes::NO_FILES, Span::UNKNOWN, message));
            }
            Ok(found) => {
                for path in found {
                    if files.iter().any(|known| known.path == path) {
                        continue;
                    }
                    match text(&path) {
                        Ok(text) => files.push(SourceFile { path, text }),
                        Err(why) => problems.push(unreadable(&path, &why)),
                    }
                }
            }
            Err(error) => problems.push(unreadable(path, &error.to_string())),
        }
    }
    files
}

fn unreadable(path: &Path, why: &str) -> Problem {
    let message = format!("`{}` cannot be read: {why}", path.display());
    Problem::new(codes::UNREADABLE, Span::UNKNOWN, message).help("name a file or a folder with --config")
}

/// The files of a folder. Names that start with a dot are left out: in a mounted ConfigMap they hold the
/// same files once more.
pub fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file, unless it is none, too large or not UTF-8.
pub fn text(path: &Path) -> Result<String, String> {
    whole_file::text(path, MAX_FILE).map_err(|error| error.to_string())
}

/// Parses the files and merges them. `sections` are the root keys that parts of the agent own.
pub fn merge(files: &[SourceFile], sections: &[&'static str], problems: &mut Vec<Problem>) -> Document {
    let mut document = Document::default();
    let mut roots = Vec::new();
    for (number, file) in (1..).zip(files) {
        match yaml::parse(number, &file.text) {
            Ok(Some(root)) => roots.push(root),
            Ok(None) => {}
            Err(wrong) => problems.extend(wrong),
        }
    }
    if !problems.is_empty() {
        return document;
    }
    for root in roots {
        let Value::Map(entries) = &root.value else {
            let message = format!("a configuration is a mapping, this is {}", root.kind());
            problems.push(Problem::new(codes::WRONG_TYPE, root.span, message));
            continue;
        };
        for entry in entries {
            document.take(entry, files, sections, problems);
        }
    }
    document
}

impl Document {
    fn take(&mut self, entry: &Entry, files: &[SourceFile], sections: &[&'static str], problems: &mut Vec<Problem>) {
        let key = &*entry.key;
        if let Some(group) = GROUPS.iter().position(|group| *group == key) {
            return collect(&mut self.groups[group], entry, files, problems);
        }
        match key {
            "fragments" => collect(&mut self.fragments, entry, files, problems),
            "tests" => match &entry.node.value {
                Value::List(items) => self.tests.extend(items.iter().cloned()),
                _ if entry.node.is_null() => {}
                _ => {
                    let message = format!("expected a list of tests, found {}", entry.node.kind());
                    problems.push(Problem::new(codes::WRONG_TYPE, entry.node.span, message));
                }
            },
            _ if OWN.contains(&key) || sections.contains(&key) => match self.get(key) {
                Some(first) => problems.push(in_two_files(key, first, entry, files)),
                None => self.single.push(entry.clone()),
            },
            _ => {
                let known: Vec<&str> = GROUPS.iter().chain(&OWN).chain(sections).copied().collect();
                let message = format!("unknown key `{key}`");
                let problem = Problem::new(codes::UNKNOWN_KEY, entry.key_span, message);
                problems.push(problem.help(fault::instead(key, &known, "root keys")));
            }
        }
    }
}

fn collect(into: &mut Vec<Entry>, group: &Entry, files: &[SourceFile], problems: &mut Vec<Problem>) {
    match &group.node.value {
        Value::Map(entries) => {
            for entry in entries {
                match into.iter().find(|known| known.key == entry.key) {
                    Some(first) => problems.push(in_two_files(&entry.key, first, entry, files)),
                    None => into.push(entry.clone()),
                }
            }
        }
        _ if group.node.is_null() => {}
        _ => {
            let message = format!("expected a mapping, found {}", group.node.kind());
            problems.push(Problem::new(codes::WRONG_TYPE, group.node.span, message));
        }
    }
}

fn in_two_files(key: &str, first: &Entry, second: &Entry, files: &[SourceFile]) -> Problem {
    let path = |entry: &Entry| {
        let file = (entry.key_span.file as usize).checked_sub(1).and_then(|file| files.get(file));
        file.map(|file| file.path.display().to_string()).unwrap_or_default()
    };
    let message = format!("`{key}` is in two files: {} and {}", path(first), path(second));
    Problem::new(codes::TWO_FILES, second.key_span, message).help("keep it in one of them")
}
