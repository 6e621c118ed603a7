//! The configuration as the admin API shows it, with every secret masked, and as reload compares it, by
//! hash.

use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::Xxh3;

use super::de::Notes;
use super::document::{Document, GROUPS};
use super::mask;
use super::scalar::{self, Resolved};
use crate::formats::yaml::{Entry, Node, Scalar, Value};

/// The merged document with its fragments inserted.
pub struct Tree<'a> {
    /// The document.
    pub document: &'a Document,
    /// Its components, fragments inserted.
    pub expanded: &'a [Vec<Entry>; 3],
}

impl Tree<'_> {
    /// The whole, without tests, as written but for secrets.
    pub fn masked(&self, notes: &Notes) -> Json {
        let mut root = Map::new();
        for entry in &self.document.single {
            root.insert(entry.key.to_string(), masked(&entry.node, notes));
        }
        for (group, entries) in GROUPS.iter().zip(self.expanded) {
            let entries = entries.iter().map(|entry| (entry.key.to_string(), masked(&entry.node, notes)));
            root.insert((*group).into(), Json::Object(entries.collect()));
        }
        Json::Object(root)
    }

    /// Hash of the whole, without tests.
    pub fn hash(&self, notes: &Notes) -> u64 {
        let parts = self.expanded.iter().flatten().chain(&self.document.single);
        let mut hashes: Vec<u64> = parts.map(|entry| hash(&entry.key, &entry.node, notes)).collect();
        hashes.sort_unstable();
        let mut state = Xxh3::new();
        hashes.iter().for_each(|hash| state.update(&hash.to_le_bytes()));
        state.digest()
    }
}

/// Hash of one entry: of what its options become, so that comments, order of keys and quotes do not count.
/// A secret counts by where it comes from: its value may change while the component runs.
pub fn hash(key: &str, node: &Node, notes: &Notes) -> u64 {
    let mut state = Xxh3::new();
    text(&mut state, key);
    feed(&mut state, node, notes);
    state.digest()
}

fn text(state: &mut Xxh3, text: &str) {
    state.update(&(text.len() as u64).to_le_bytes());
    state.update(text.as_bytes());
}

fn feed(state: &mut Xxh3, node: &Node, notes: &Notes) {
    match &node.value {
        Value::Scalar(scalar) => {
            let secret = notes.secrets.contains(&node.span);
            let value = notes.interpolated.get(&node.span).filter(|_| !secret);
            state.update(&[0]);
            text(state, value.map_or(&*scalar.text, |done| &done.text));
        }
        Value::List(items) => {
            state.update(&[1]);
            state.update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| feed(state, item, notes));
        }
        Value::Map(entries) => {
            state.update(&[2]);
            state.update(&(entries.len() as u64).to_le_bytes());
            let mut hashes: Vec<u64> = entries.iter().map(|entry| hash(&entry.key, &entry.node, notes)).collect();
            hashes.sort_unstable();
            hashes.iter().for_each(|hash| state.update(&hash.to_le_bytes()));
        }
    }
}

fn masked(node: &Node, notes: &Notes) -> Json {
    match &node.value {
        Value::Scalar(_) if notes.secrets.contains(&node.span) => "***".into(),
        Value::Scalar(scalar) if notes.addresses.contains(&node.span) => host_of(&scalar.text),
        Value::Scalar(Scalar { text, plain: true }) => match scalar::resolve(text) {
            Resolved::Null => Json::Null,
            Resolved::Bool(value) => value.into(),
            Resolved::Unsigned(number) => number.into(),
            Resolved::Signed(number) => number.into(),
            Resolved::Float(number) => number.into(),
            Resolved::Text => without_logins(text),
        },
        Value::Scalar(scalar) => without_logins(&scalar.text),
        Value::List(items) => items.iter().map(|item| masked(item, notes)).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.to_string(), masked(&entry.node, notes))).collect())
        }
    }
}

/// Addresses with a user in them are no secrets to options that take them as text, and are masked all the same.
fn without_logins(text: &str) -> Json {
    let mut text = text.to_owned();
    mask::logins(&mut text);
    text.into()
}

/// An address without what stands behind its host.
fn host_of(address: &str) -> Json {
    let host = address.find("://").map_or(0, |scheme| scheme + 3);
    match address[host..].find(['/', '?', '#']).map(|end| address.split_at(host + end)) {
        Some((shown, rest)) if rest != "/" => format!("{shown}/***").into(),
        _ => without_logins(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_in_addresses_are_masked_wherever_they_stand() {
        let written = "a: http://u:p@h/x\nb: [\"https://t@h\", 5, 'http://h']";
        let root = crate::formats::yaml::parse(1, written).expect("YAML").expect("something");
        let shown = serde_json::json!({ "a": "http://***@h/x", "b": ["https://*@h", 5, "http://h"] });
        assert_eq!(masked(&root, &Notes::default()), shown);
    }

    #[test]
    fn of_an_address_that_lets_in_only_the_host_is_shown() {
        for (address, shown) in [
            ("https://h:8443/hook/a?b=c", "https://h:8443/***"),
            ("http://h?key=a", "http://h/***"),
            ("http://h/", "http://h/"),
            ("http://h", "http://h"),
        ] {
            assert_eq!(host_of(address), shown);
        }
    }
}
