//! The resources of a request: replaced, and given attributes where these replace none. What is added stands behind the
//! bytes that came, which stay as they are.

use std::borrow::Cow;

use crate::data::traces::{ResourceSpans, TraceBatch};
use crate::data::{Chunk, Slice};
use crate::formats::protobuf::{Fields, push_bytes, push_varint};
use crate::options::Identity;

/// Attributes, encoded once.
#[derive(Clone, Debug, Default)]
pub struct ResourceAttributes(Vec<Encoded>);

#[derive(Clone, Debug)]
struct Encoded {
    key: Box<str>,
    /// The field `attributes` of a `Resource`.
    field: Box<[u8]>,
}

impl ResourceAttributes {
    /// Texts by their keys.
    pub fn new<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let encode = |(key, text): (&str, &str)| {
            let (mut value, mut pair, mut field) = (Vec::new(), Vec::new(), Vec::new());
            push_bytes(1, text.as_bytes(), &mut value);
            push_bytes(1, key.as_bytes(), &mut pair);
            push_bytes(2, &value, &mut pair);
            push_bytes(1, &pair, &mut field);
            Encoded { key: key.into(), field: field.into() }
        };
        Self(attributes.into_iter().map(encode).collect())
    }

    /// An identity by OpenTelemetry's names, and its labels.
    pub fn of_identity(identity: &Identity) -> Self {
        let named = [("k8s.cluster.name", identity.cluster.as_deref()), ("k8s.node.name", identity.node.as_deref())];
        let named = named.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Self::new(named.chain(identity.external_labels.iter().map(|(key, value)| (&**key, &**value))))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|one| size_of::<Encoded>() + one.key.len() + one.field.len()).sum()
    }

    /// Appends to `more` those that neither the message `resource` nor what is in `more` already has.
    pub fn missing(&self, resource: &[u8], more: &mut Vec<u8>) {
        for one in &self.0 {
            if !has(resource, &one.key) && !has(more, &one.key) {
                more.extend_from_slice(&one.field);
            }
        }
    }

    /// Adds to each resource of a batch those that it has not. Spans stay where they are.
    pub fn add(&self, batch: &mut TraceBatch) {
        if !self.is_empty() {
            extend(batch, |resource, more| self.missing(resource, more));
        }
    }
}

/// Adds to each resource of a batch the fields that `add` appends for its message. Spans stay where they are.
pub fn extend(batch: &mut TraceBatch, mut add: impl FnMut(&[u8], &mut Vec<u8>)) {
    let chunk = batch.next_chunk();
    let (mut written, mut edited, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for (place, entry) in batch.index().resources.iter().enumerate() {
        let resource = batch.bytes(entry.resource);
        more.clear();
        add(resource, &mut more);
        if !more.is_empty() {
            let whole = [resource, &more].concat();
            edited.push((place, replaced(batch, entry, &whole, chunk, &mut written)));
        }
    }
    if edited.is_empty() {
        return;
    }
    let index = batch.edit(Chunk::from_vec(written));
    for (place, new) in edited {
        let scopes = index.resources[place].scopes.clone();
        index.resources[place] = ResourceSpans { scopes, ..new };
    }
}

/// A `Resource` with the fields that `add` appends for it.
pub fn extended(resource: &[u8], add: impl FnOnce(&[u8], &mut Vec<u8>)) -> Cow<'_, [u8]> {
    let mut more = Vec::new();
    add(resource, &mut more);
    if more.is_empty() { Cow::Borrowed(resource) } else { Cow::Owned([resource, &more].concat()) }
}

/// The entry with another resource, written to the end of the chunk that is being made.
pub fn replaced(
    batch: &TraceBatch,
    entry: &ResourceSpans,
    resource: &[u8],
    chunk: u32,
    written: &mut Vec<u8>,
) -> ResourceSpans {
    let start = written.len();
    written.push(1 << 3 | 2);
    push_varint(resource.len() as u64, written);
    let message = written.len();
    written.extend_from_slice(resource);
    let end = written.len();
    let others = |side: Slice, written: &mut Vec<u8>| {
        let mut fields = Fields::of(batch.bytes(side));
        loop {
            let before = fields.rest();
            // The index has read it.
            let Ok(Some((number, _))) = fields.field() else { break };
            if number != 1 {
                written.extend_from_slice(&before[..before.len() - fields.rest().len()]);
            }
        }
    };
    others(entry.head, written);
    let head = written.len();
    others(entry.tail, written);
    let slice = |from: usize, to: usize| match to - from {
        0 => Slice::EMPTY,
        length => Slice::new(chunk, from as u32, length as u32),
    };
    ResourceSpans {
        resource: slice(message, end),
        head: slice(start, head),
        tail: slice(head, written.len()),
        scopes: entry.scopes.clone(),
    }
}

/// Whether a `Resource` has an attribute.
fn has(resource: &[u8], key: &str) -> bool {
    let pairs = Fields::of(resource).flatten().filter(|(number, _)| *number == 1);
    let mut keys = pairs.filter_map(|(_, pair)| {
        let pair = pair.bytes().ok()?;
        Fields::of(pair).flatten().find(|(number, _)| *number == 1)?.1.bytes().ok()
    });
    keys.any(|known| known == key.as_bytes())
}
