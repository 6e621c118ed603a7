//! A file of another program that one key of the configuration stands for: it is read as if it were written there, with
//! its own places in what is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes;
use super::document::{self, Document};
use super::error::SourceFile;
use crate::formats::yaml::{self, Node, Value};
use crate::options::Problem;

/// The root key of rules, the key in it that names a file of Alertmanager's, and the key under which that is read.
const ALERTING: &str = "alerting";
const FILE: &str = "alertmanager_config";
const BLOCK: &str = "alertmanager";

/// Reads the file that `alerting.alertmanager_config` names, if there is such a key, puts it in its place and returns its
/// path.
pub fn alertmanager(
    document: &mut Document,
    files: &mut Vec<SourceFile>,
    problems: &mut Vec<Problem>,
) -> Option<PathBuf> {
    let entry = document.single.iter_mut().find(|entry| &*entry.key == ALERTING)?;
    let Value::Map(entries) = &entry.node.value else { return None };
    let at = entries.iter().position(|entry| &*entry.key == FILE)?;
    let Value::Scalar(scalar) = &entries[at].node.value else { return None };
    let path = PathBuf::from(&*scalar.text);
    let node = match read(&path, files) {
        Ok(node) => node,
        Err(Unread::File(why)) => {
            let message = format!("`{}` cannot be read: {why}", path.display());
            let help = "name Alertmanager's configuration file";
            problems.push(Problem::new(codes::UNREADABLE, entries[at].node.span, message).help(help));
            return None;
        }
        Err(Unread::Yaml(wrong)) => {
            problems.extend(wrong);
            return None;
        }
    };
    let mut entries = entries.clone();
    entries[at].key = BLOCK.into();
    entries[at].node = node;
    entry.node = Arc::new(Node { span: entry.node.span, value: Value::Map(entries) });
    Some(path)
}

enum Unread {
    File(String),
    Yaml(Vec<Problem>),
}

fn read(path: &Path, files: &mut Vec<SourceFile>) -> Result<Arc<Node>, Unread> {
    let text = document::text(path).map_err(Unread::File)?;
    let number = files.len() as u32 + 1;
    let root = yaml::parse(number, &text).map_err(Unread::Yaml);
    files.push(SourceFile { path: path.to_owned(), text });
    root?.ok_or_else(|| Unread::File("it holds nothing".into()))
}
