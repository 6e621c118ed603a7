//! The bench on which steps edit a batch: one place for the bytes that a step makes, and the edits that
//! must hold together.
//!
//! A step reads first and writes then. The bytes it makes are gathered in one buffer, which becomes one
//! chunk of the batch. What a field names is always its value now: where an edit changes a located
//! member inside another located one, the record's object is written anew and scanned again at the end of
//! the step, so that every later read, edit and sink sees one truth.

use super::insert::{insert, wrap};
use crate::data::names::{Interest, Path};
use crate::data::overlay::Overlay;
use crate::data::{Chunk, JsonKind, LogBatch, LogView, NameId, Names, Slice, Value};
use crate::expression::ValueRef;
use crate::formats::json::text::{escape, unescape, write_double, write_int};
use crate::formats::json::{MemberWriter, Scanner, strict};

/// What a worker's steps share.
#[derive(Clone, Debug)]
pub struct Workbench {
    /// Locates what the graph reads.
    pub scanner: Scanner,
    /// The bytes that the running step makes.
    pub fresh: Vec<u8>,
    /// Records that the running step could not read.
    pub unread: Vec<u32>,
    /// The chunk that `fresh` will be.
    chunk: u32,
    writer: MemberWriter,
    rebuilds: Vec<(u32, Rebuild)>,
    entangled: Vec<NameId>,
    errors: Vec<(&'static str, u64)>,
}

/// Why an object is written anew.
#[derive(Clone, Debug)]
enum Rebuild {
    /// An edit touched a member inside another located one.
    Rescan,
    /// A value goes where its object has no member yet.
    Insert(Path, Slice),
    /// The members of the object that this names join it.
    Merge(Slice),
    /// It is this one now: the edited object without its secrets.
    Redacted(Slice),
}

/// A value ready to be written: as a member of an object, and as an attribute outside of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewValue {
    /// What it is in JSON.
    pub kind: JsonKind,
    /// As JSON text.
    pub json: Slice,
    /// As a value of its own.
    pub value: Value,
}

impl Workbench {
    /// A bench for records in which `interest` is located.
    pub fn new(names: &Names, interest: &Interest) -> Self {
        let paths: Vec<_> = interest.paths.iter().map(|&id| (id, names.path(id))).collect();
        let inside = |a: &Path, b: &Path| a.len() != b.len() && a.iter().zip(b.iter()).all(|(a, b)| a == b);
        let entangled = paths.iter().filter(|(_, path)| paths.iter().any(|(_, other)| inside(path, other)));
        let reserved = |path: &Path| path.len() > 1 && interest.reserved.iter().any(|key| path[0].starts_with(key));
        let reserved = paths.iter().filter(|(_, path)| reserved(path));
        Self {
            scanner: Scanner::new(names, interest),
            fresh: Vec::new(),
            unread: Vec::new(),
            chunk: 0,
            writer: MemberWriter::default(),
            rebuilds: Vec::new(),
            entangled: entangled.chain(reserved).map(|&(id, _)| id).collect(),
            errors: Vec::new(),
        }
    }

    /// Begins a step on `batch`: from now to [`Workbench::finish`] nobody else adds chunks to it.
    pub fn begin(&mut self, batch: &LogBatch) {
        self.fresh.clear();
        self.unread.clear();
        self.chunk = u32::try_from(batch.chunks().len()).expect("a batch has far fewer than 2^32 chunks");
    }

    /// The fresh bytes from `start` on.
    pub fn slice(&self, start: usize) -> Slice {
        const SMALL: &str = "a batch makes far fewer than 2^32 bytes";
        let from = u32::try_from(start).expect(SMALL);
        Slice::new(self.chunk, from, u32::try_from(self.fresh.len() - start).expect(SMALL))
    }

    /// A copy of `bytes` among the fresh ones.
    pub fn copy(&mut self, bytes: &[u8]) -> Slice {
        let start = self.fresh.len();
        self.fresh.extend_from_slice(bytes);
        self.slice(start)
    }

    /// `text` as a JSON string with quotes, and raw where it stands the same in between.
    fn text(&mut self, text: &[u8]) -> NewValue {
        let start = self.fresh.len();
        self.fresh.push(b'"');
        escape(text, &mut self.fresh);
        self.fresh.push(b'"');
        let json = self.slice(start);
        let inner = json.sub(1, json.len - 1);
        let same = &self.fresh[start + 1..self.fresh.len() - 1] == text;
        let raw = if same { inner } else { self.copy(text) };
        NewValue { kind: JsonKind::String, json, value: Value::Text(raw) }
    }

    /// `text` as a JSON string with quotes: what a key is.
    pub fn key(&mut self, text: &str) -> (Slice, Slice) {
        match self.text(text.as_bytes()) {
            NewValue { json, value: Value::Text(raw), .. } => (json, raw),
            NewValue { json, .. } => (json, Slice::EMPTY),
        }
    }

    /// Makes a value ready to be written; `None` for a missing one.
    pub fn value(&mut self, value: ValueRef<'_>) -> Option<NewValue> {
        let start = self.fresh.len();
        let (kind, value) = match value {
            ValueRef::Missing | ValueRef::Encoded(_) => return None,
            ValueRef::Text(text) => return Some(self.text(text)),
            ValueRef::Escaped(inner) => {
                self.fresh.push(b'"');
                self.fresh.extend_from_slice(inner);
                self.fresh.push(b'"');
                let json = self.slice(start);
                let raw = match memchr::memchr(b'\\', inner) {
                    None => json.sub(1, json.len - 1),
                    Some(_) => {
                        let start = self.fresh.len();
                        unescape(inner, &mut self.fresh);
                        self.slice(start)
                    }
                };
                return Some(NewValue { kind: JsonKind::String, json, value: Value::Text(raw) });
            }
            ValueRef::Int(int) => {
                write_int(int, &mut self.fresh);
                (JsonKind::Number, Value::Int(int))
            }
            ValueRef::Double(double) => {
                write_double(double, &mut self.fresh);
                let kind = if double.is_finite() { JsonKind::Number } else { JsonKind::String };
                (kind, Value::Double(double))
            }
            ValueRef::Bool(value) => {
                self.fresh.extend_from_slice(if value { b"true" } else { b"false" });
                (JsonKind::Bool, Value::Bool(value))
            }
            ValueRef::Number(text) if !strict::is_number(text) => return Some(self.text(text)),
            ValueRef::Number(text) => {
                let json = self.copy(text);
                let number = std::str::from_utf8(text).ok();
                let int = number.and_then(|text| text.parse().ok()).map(Value::Int);
                (JsonKind::Number, int.unwrap_or(Value::Json(json)))
            }
            ValueRef::Json(text) => {
                let kind = if text.starts_with(b"[") { JsonKind::Array } else { JsonKind::Object };
                (kind, Value::Json(self.copy(text)))
            }
            ValueRef::Id(id) => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                let text: Vec<u8> = id.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect();
                return Some(self.text(&text));
            }
            ValueRef::Time(time) => {
                let mut text = Vec::new();
                time.write_rfc3339(&mut text);
                return Some(self.text(&text));
            }
        };
        Some(NewValue { kind, json: self.slice(start), value })
    }

    /// Whether another path that the graph reads lies on this path or inside it.
    pub fn is_entangled(&self, path: NameId) -> bool {
        self.entangled.contains(&path)
    }

    /// The record's object is to be written anew: a located member changed inside another.
    pub fn rescan(&mut self, record: u32) {
        self.rebuilds.push((record, Rebuild::Rescan));
    }

    /// The value is to be written where the record's object has no member yet.
    pub fn insert(&mut self, record: u32, path: Path, json: Slice) {
        self.rebuilds.push((record, Rebuild::Insert(path, json)));
    }

    /// The members of the object that `body` names are to join those of the record, whose body empties.
    pub fn merge(&mut self, record: u32, body: Slice) {
        self.rebuilds.push((record, Rebuild::Merge(body)));
    }

    /// The record's object is `object` from now on, which is the edited one without its secrets.
    pub fn replace(&mut self, record: u32, object: Slice) {
        self.rebuilds.push((record, Rebuild::Redacted(object)));
    }

    /// Appends the record's object as edited.
    pub fn write_object(&mut self, view: &LogView<'_>, out: &mut Vec<u8>) {
        self.writer.write_object(view, out);
    }

    /// `value` (JSON text) inside objects for `keys`, or set at `keys` inside the object `old`.
    pub fn nest(
        &mut self,
        old: &[u8],
        keys: &[Box<str>],
        json: Slice,
        payload: crate::data::logs::Payload<'_>,
    ) -> Slice {
        let value = if json.chunk == self.chunk {
            self.fresh[json.start as usize..(json.start + json.len) as usize].to_vec()
        } else {
            payload.bytes(json).to_vec()
        };
        let start = self.fresh.len();
        match old {
            [] => wrap(keys, &value, &mut self.fresh),
            old => insert(old, keys, &value, &mut self.fresh),
        }
        self.slice(start)
    }

    /// Ends the step: its fresh bytes become the batch's, and objects are written anew where that was
    /// asked for.
    pub fn finish(&mut self, batch: &mut LogBatch) {
        if !self.fresh.is_empty() {
            let capacity = self.fresh.len();
            let fresh = std::mem::replace(&mut self.fresh, Vec::with_capacity(capacity));
            batch.add_chunk(Chunk::from_vec(fresh));
        }
        if !self.rebuilds.is_empty() {
            self.rebuild(batch);
        }
    }

    fn rebuild(&mut self, batch: &mut LogBatch) {
        let mut rebuilds = std::mem::take(&mut self.rebuilds);
        rebuilds.sort_by_key(|(record, _)| *record);
        self.begin(batch);
        let mut objects: Vec<(u32, Slice, bool)> = Vec::new();
        for same in rebuilds.chunk_by(|a, b| a.0 == b.0) {
            let record = same[0].0;
            let view = batch.view(record as usize);
            if !view.state.is_some_and(crate::data::RecordState::has_object) {
                continue;
            }
            let mut object = Vec::new();
            self.writer.write_object(&view, &mut object);
            let mut merged = false;
            for (_, rebuild) in same {
                match rebuild {
                    Rebuild::Rescan => {}
                    Rebuild::Insert(path, value) => {
                        let mut next = Vec::new();
                        insert(&object, path, batch.bytes(*value), &mut next);
                        object = next;
                    }
                    Rebuild::Merge(body) => {
                        let text = batch.bytes(*body).trim_ascii();
                        let empty = |object: &[u8]| object[1..object.len() - 1].trim_ascii().is_empty();
                        if empty(&object) {
                            object = text.to_vec();
                        } else if !empty(text) {
                            object.pop();
                            object.push(b',');
                            object.extend_from_slice(&text[1..]);
                        }
                        merged = true;
                    }
                    Rebuild::Redacted(redacted) => object = batch.bytes(*redacted).to_vec(),
                }
            }
            objects.push((record, self.copy(&object), merged));
        }
        batch.add_chunk(Chunk::from_vec(std::mem::take(&mut self.fresh)));
        let (overlay, payload) = batch.edit();
        for (record, object, merged) in objects {
            let index = record as usize;
            let before = overlay.states[index].severity;
            // Edits of a spliceable object leave a spliceable object; were it not so, the record would
            // keep the object that it has.
            let scanned = self.scanner.parse_into(object, payload.bytes(object), overlay, index);
            if merged && scanned.is_ok() {
                overlay.states[index].body = Slice::EMPTY;
            } else {
                overlay.states[index].severity = before;
            }
        }
    }

    /// Counts records that a step failed on.
    pub fn failed(&mut self, words: &'static str, records: u64) {
        if records > 0 {
            self.errors.push((words, records));
        }
    }

    /// What failed since the last call.
    pub fn take_errors(&mut self) -> impl Iterator<Item = (&'static str, u64)> {
        self.errors.drain(..)
    }

    /// Takes the unread records out of the batch, where that is what happens to them.
    pub fn drop_unread(&mut self, batch: &mut LogBatch, drop: bool) {
        for record in self.unread.drain(..).filter(|_| drop) {
            batch.selection.remove(record as usize);
        }
    }

    /// The bytes of a slice that may be fresh.
    pub fn bytes<'a>(&'a self, slice: Slice, payload: crate::data::logs::Payload<'a>) -> &'a [u8] {
        if slice.chunk == self.chunk && !slice.is_empty() {
            &self.fresh[slice.start as usize..(slice.start + slice.len) as usize]
        } else {
            payload.bytes(slice)
        }
    }
}

/// The attributes outside the object that are in force for record `index`.
pub fn attributes<'a>(
    overlay: &'a Overlay,
    payload: crate::data::logs::Payload<'a>,
    index: usize,
) -> &'a [crate::data::Attribute] {
    let source = payload.source.attributes(&payload.source.records[index]);
    overlay.attributes(&overlay.states[index]).unwrap_or(source)
}
