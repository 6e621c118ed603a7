//! Files with keys, passwords and certificates that `alerting` names in options such as `routing_key_file`. They are read
//! when something is sent, so that they can change and may come after the agent: one that is not there is a warning.

use std::path::Path;

use super::codes;
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::{Problem, whole_file};

/// Mappings whose keys are anybody's words.
const FREE: [&str; 5] = ["details", "headers", "fields", "labels", "annotations"];

/// Largest of them.
const MOST: u64 = 1 << 20;

/// Warns of the files that cannot be read now.
pub fn missing(node: &Node, warnings: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| missing(item, warnings)),
        Value::Map(entries) => {
            for Entry { key, node, .. } in entries.iter().filter(|entry| !FREE.contains(&&*entry.key)) {
                match &node.value {
                    Value::Scalar(scalar) if key.ends_with("_file") => warnings.extend(unread(key, &scalar.text, node)),
                    _ => missing(node, warnings),
                }
            }
        }
    }
}

fn unread(key: &str, path: &str, node: &Node) -> Option<Problem> {
    // What is put in later is not known here.
    if node.is_null() || path.contains("${") {
        return None;
    }
    let why = whole_file::bytes(Path::new(path), MOST).err()?;
    let message = format!("`{path}`, the file of `{key}`, cannot be read now: {why}");
    let help = "write it, or mount it, before something has to be sent; relative paths begin at the working directory";
    Some(Problem::new(codes::KEY_FILE, node.span, message).help(help))
}
