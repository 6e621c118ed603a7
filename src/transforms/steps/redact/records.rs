//! Log records: what of each is searched, and what becomes of it where something is found.

use super::json::{Hit, Replacement, Within, hits, write, write_text};
use super::search::{Finder, Scratch};
use crate::data::{Attribute, Cut, Field, FieldEdit, LogBatch, LogView, Slice, Value};
use crate::formats::json::text::{unescaped_eq, write_double, write_int};
use crate::formats::json::walk::{kind, members};
use crate::transforms::steps::edit::Workbench;
use crate::transforms::steps::target::Target;

/// What one worker searches and remembers.
#[derive(Clone)]
pub struct Search {
    finder: Finder,
    with: Vec<Replacement>,
    /// Where each replacement stands among the fresh bytes, as text and as JSON, once it was needed.
    slices: Vec<[Option<Slice>; 2]>,
    scratch: Scratch,
    hits: Vec<Hit>,
    /// An object with its edits, or a number.
    text: Vec<u8>,
    work: Vec<(u32, Work)>,
    /// Attributes of sources that hold nothing: where they lie, and how many. The records of one stream
    /// share theirs.
    clean: Vec<(usize, usize)>,
    /// Keys of the record that were replaced.
    keys: u32,
}

/// What is to be done to a record.
#[derive(Clone, Copy)]
enum Work {
    Body(Slice),
    Cut(Cut),
    Field { at: usize, value: Slice, first: u8 },
    Object(Slice),
    Attribute { at: usize, attribute: Attribute },
}

impl Search {
    /// Searches with `finder`; what it finds is replaced as `with` says, by the number of its pattern.
    pub fn new(finder: Finder, with: Vec<Replacement>) -> Self {
        Self {
            finder,
            slices: vec![[None; 2]; with.len()],
            with,
            scratch: Scratch::default(),
            hits: Vec::new(),
            text: Vec::new(),
            work: Vec::new(),
            clean: Vec::new(),
            keys: 0,
        }
    }

    /// Reads every record, then edits those in which something was found.
    pub(super) fn step(
        &mut self,
        batch: &mut LogBatch,
        records: &[u32],
        bench: &mut Workbench,
        read: impl Fn(&mut Self, &LogView<'_>, u32, &mut Workbench),
    ) {
        bench.begin(batch);
        self.slices.fill([None; 2]);
        self.clean.clear();
        for &record in records {
            self.keys = 0;
            read(self, &batch.view(record as usize), record, bench);
        }
        if !self.work.is_empty() {
            self.edit(batch, bench);
        }
        bench.finish(batch);
    }

    fn edit(&mut self, batch: &mut LogBatch, bench: &mut Workbench) {
        let (overlay, payload) = batch.edit();
        for (record, work) in self.work.drain(..) {
            let index = record as usize;
            match work {
                Work::Body(body) => overlay.states[index].body = body,
                Work::Cut(cut) => overlay.push_cut(index, cut),
                Work::Object(object) => bench.replace(record, object),
                Work::Attribute { at, attribute } => {
                    let source = payload.source.attributes(&payload.source.records[index]);
                    overlay.attributes_mut(index, source)[at] = attribute;
                }
                Work::Field { at, value, first } => {
                    let field = &mut overlay.fields_mut(index)[at];
                    (field.value, field.kind) = (value, kind(first));
                    if field.edit == FieldEdit::Original {
                        field.edit = FieldEdit::Replaced;
                    }
                }
            }
        }
    }

    /// `text`, which is no JSON, without its secrets; nothing where it has none.
    fn redacted_text(&mut self, text: &[u8], bench: &mut Workbench) -> Option<Slice> {
        if !self.finder.suspects(text) {
            return None;
        }
        let spans = self.finder.search(text, false, &mut self.scratch);
        let start = bench.fresh.len();
        (!spans.is_empty()).then(|| {
            write_text(text, spans, &self.with, &mut bench.fresh);
            bench.slice(start)
        })
    }

    /// The JSON value `json` without its secrets; nothing where it has none.
    fn redacted_json(&mut self, json: &[u8], bench: &mut Workbench) -> Option<Slice> {
        self.hits.clear();
        if self.finder.suspects(json) {
            hits(&self.finder, json, &mut self.scratch, &mut self.hits);
        }
        let start = bench.fresh.len();
        (!self.hits.is_empty()).then(|| {
            write(json, 0, &self.hits, &self.with, &mut self.keys, &mut bench.fresh);
            bench.slice(start)
        })
    }

    pub(super) fn body(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        if let Some(body) = self.redacted_text(view.body(), bench) {
            self.work.push((record, Work::Body(body)));
        }
    }

    pub(super) fn object(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        let (object, fields) = (view.object(), view.fields());
        if object.is_empty() {
            return;
        }
        if !view.cuts().is_empty() || fields.iter().any(|field| field.edit != FieldEdit::Original) {
            return self.edited_object(view, record, bench);
        }
        self.hits.clear();
        if self.finder.suspects(object) {
            hits(&self.finder, object, &mut self.scratch, &mut self.hits);
        }
        let anew = |hit: &Hit| hit.within == Within::Key || home(fields, hit).is_err();
        if self.hits.iter().any(anew) {
            self.rewrite(object, record, bench);
            return;
        }
        let mut at = 0;
        while let Some(hit) = self.hits.get(at) {
            let home = home(fields, hit).ok().flatten();
            let Some(field) = home else {
                let cut = Cut { from: hit.span.from as u32, to: hit.span.to as u32, with: self.slice(at, bench) };
                self.work.push((record, Work::Cut(cut)));
                at += 1;
                continue;
            };
            let value = view.bytes(fields[field].value);
            let end = fields[field].member.1 as usize;
            let inside = self.hits[at..].iter().take_while(|hit| hit.span.to <= end).count();
            let start = bench.fresh.len();
            let hits = &self.hits[at..at + inside];
            write(value, end - value.len(), hits, &self.with, &mut self.keys, &mut bench.fresh);
            let work = Work::Field { at: field, first: bench.fresh[start], value: bench.slice(start) };
            self.work.push((record, work));
            at += inside;
        }
    }

    /// The bytes that stand for hit number `at`: made once a batch.
    fn slice(&mut self, at: usize, bench: &mut Workbench) -> Slice {
        let Hit { span, within } = self.hits[at];
        let (by, json) = (usize::from(span.by), within == Within::Number);
        let with = &self.with[by];
        *self.slices[by][usize::from(json)]
            .get_or_insert_with(|| bench.copy(if json { &with.json } else { &with.inner }))
    }

    /// An object that edits have changed is searched as a sink would write it.
    fn edited_object(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        let suspects = |slice: Slice| self.finder.suspects(view.bytes(slice));
        let edited =
            |field: &Field| field.edit != FieldEdit::Original && (suspects(field.key) || suspects(field.value));
        if !self.finder.suspects(view.object()) && !view.fields().iter().any(edited) {
            return;
        }
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        bench.write_object(view, &mut text);
        self.hits.clear();
        hits(&self.finder, &text, &mut self.scratch, &mut self.hits);
        if !self.hits.is_empty() {
            self.rewrite(&text, record, bench);
        }
        self.text = text;
    }

    fn rewrite(&mut self, object: &[u8], record: u32, bench: &mut Workbench) {
        let start = bench.fresh.len();
        write(object, 0, &self.hits, &self.with, &mut self.keys, &mut bench.fresh);
        self.work.push((record, Work::Object(bench.slice(start))));
    }

    pub(super) fn attributes(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        /// A container has two streams; more different ranges than this are searched again.
        const MOST_CLEAN: usize = 4;
        let attributes = view.attributes();
        let place = (attributes.as_ptr().addr(), attributes.len());
        if attributes.is_empty() || self.clean.contains(&place) {
            return;
        }
        let before = self.work.len();
        for (at, &attribute) in attributes.iter().enumerate() {
            let key = self.redacted_text(view.bytes(attribute.key), bench);
            let key = key.map(|mut key| {
                self.keys += 1;
                if self.keys > 1 {
                    let start = key.start as usize;
                    bench.fresh.push(b'-');
                    write_int(i64::from(self.keys), &mut bench.fresh);
                    key = bench.slice(start);
                }
                key
            });
            let value = self.value(attribute.value, view, bench);
            if key.is_some() || value.is_some() {
                let attribute =
                    Attribute { key: key.unwrap_or(attribute.key), value: value.unwrap_or(attribute.value) };
                self.work.push((record, Work::Attribute { at, attribute }));
            }
        }
        if before == self.work.len() && self.clean.len() < MOST_CLEAN {
            self.clean.push(place);
        }
    }

    /// The value of an attribute outside the object without its secrets; nothing where it has none.
    fn value(&mut self, value: Value, view: &LogView<'_>, bench: &mut Workbench) -> Option<Value> {
        let mut number = std::mem::take(&mut self.text);
        number.clear();
        match value {
            Value::Int(int) => write_int(int, &mut number),
            Value::Double(double) => write_double(double, &mut number),
            _ => {}
        }
        let found = match value {
            Value::Text(text) => self.redacted_text(view.bytes(text), bench).map(Value::Text),
            Value::Bytes(bytes) => self.redacted_text(view.bytes(bytes), bench).map(Value::Bytes),
            Value::Json(json) => self.redacted_json(view.bytes(json), bench).map(Value::Json),
            Value::Bool(_) => None,
            Value::Int(_) | Value::Double(_) => self.redacted_json(&number, bench).map(Value::Json),
        };
        self.text = number;
        found
    }

    /// One attribute: every occurrence of the key, in the object and outside.
    pub(super) fn target(&mut self, target: &Target, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        for (at, field) in view.fields().iter().enumerate() {
            if field.name != Some(target.path.id) || field.edit == FieldEdit::Deleted {
                continue;
            }
            if let Some(value) = self.redacted_json(view.bytes(field.value), bench) {
                let first = bench.fresh[value.start as usize];
                self.work.push((record, Work::Field { at, value, first }));
                if bench.is_entangled(target.path.id) {
                    bench.rescan(record);
                }
            }
        }
        let keys = &target.path.keys;
        for (at, &attribute) in view.attributes().iter().enumerate() {
            if view.bytes(attribute.key) != keys[0].as_bytes() {
                continue;
            }
            let value = match (&keys[1..], attribute.value) {
                ([], value) => self.value(value, view, bench),
                (rest, Value::Json(json)) => {
                    let (json, start) = (view.bytes(json), bench.fresh.len());
                    let found = self.finder.suspects(json) && self.write_at(json, rest, bench);
                    found.then(|| Value::Json(bench.slice(start)))
                }
                _ => None,
            };
            if let Some(value) = value {
                self.work.push((record, Work::Attribute { at, attribute: Attribute { value, ..attribute } }));
            }
        }
    }

    /// Appends `json` with what is at `keys` redacted; returns whether there was anything.
    fn write_at(&mut self, json: &[u8], keys: &[Box<str>], bench: &mut Workbench) -> bool {
        let Some((key, rest)) = keys.split_first() else {
            let found = self.redacted_json(json, bench).is_some();
            if !found {
                bench.fresh.extend_from_slice(json);
            }
            return found;
        };
        let (mut at, mut found) = (0, false);
        if json.starts_with(b"{") {
            for member in members(json, 0) {
                if unescaped_eq(&json[member.key.start + 1..member.key.end - 1], key.as_bytes()) {
                    bench.fresh.extend_from_slice(&json[at..member.value.start]);
                    found |= self.write_at(&json[member.value.clone()], rest, bench);
                    at = member.value.end;
                }
            }
        }
        bench.fresh.extend_from_slice(&json[at..]);
        found
    }
}

/// The located member in whose value a hit stands, if any. An error where the members around it lie in
/// each other, or the hit is not in the value.
fn home(fields: &[Field], hit: &Hit) -> Result<Option<usize>, ()> {
    let holds = |field: &Field, from, to| field.member.0 as usize <= from && to <= field.member.1 as usize;
    let mut around = (0..).zip(fields).filter(|(_, field)| holds(field, hit.span.from, hit.span.to));
    let Some((at, field)) = around.next() else { return Ok(None) };
    let within = field.member.1 as usize - field.value.len as usize <= hit.span.from;
    let alone =
        fields.iter().filter(|other| holds(field, other.member.0 as usize, other.member.1 as usize)).count() == 1;
    if within && alone && around.next().is_none() { Ok(Some(at)) } else { Err(()) }
}
