//! The step `redact`: replaces secrets wherever they stand in a record, however they are escaped.
//!
//! First every record is read: where a fast pass over its bytes suspects nothing, nothing more happens.
//! Where something is found, only the secrets' own bytes are replaced: by a cut in the object, or by a new
//! value of a located member. Only where edits or located members lie around a secret in each other, or a
//! key holds one, is the object written anew.

pub mod digits;
pub mod json;
pub mod pattern;
pub mod search;
pub mod spans;

use schemars::JsonSchema;
use serde::de::Error as _;

use self::json::{Hit, Replacement, Within, hits, write, write_text};
use self::pattern::Pattern;
use self::search::{Finder, Scratch};
use super::edit::Workbench;
use super::fields::Fields;
use super::spans::{OfTexts, SpanStep};
use super::step::{Step, StepKind, StepPlan};
use super::target::{Place, Target};
use crate::data::names::Interest;
use crate::data::{Attribute, Cut, Field, FieldEdit, LogBatch, LogView, Names, Signal, Slice, Value};
use crate::expression::check::regex;
use crate::expression::option::{BAD_EXPRESSION, CompileError};
use crate::expression::{ExpressionError, Subject};
use crate::formats::json::text::{unescaped_eq, write_double, write_int};
use crate::formats::json::walk::{kind, members};
use crate::options::{Problem, Spanned};

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "redact",
    summary: "Replaces secrets such as card numbers and e-mail addresses by a fixed text.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        if options.patterns.is_empty() && options.regexes.is_empty() {
            let words =
                "`redact` is not told what to look for: write `patterns: [card_number, email, jwt]` or `regexes: […]`";
            return Err(erased_serde::Error::custom(words));
        }
        Ok(Box::new(options))
    },
    schema: |generator| Options::json_schema(generator),
};

/// Secrets are found also where JSON escapes them (`\u0040` for `@`). A number that is a secret becomes a
/// text. A line without a secret costs about one fast pass over its bytes.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The fields that are searched, with everything inside them: `attributes["user"]`, `body`. Default: the
    /// body and all attributes, every string, number and key at any depth, every occurrence of a key that is
    /// given twice; of a span its name, its status message, and all attributes of it, its events and its links.
    #[serde(default)]
    fields: Option<Fields>,
    /// What is searched, by name. At least one pattern or expression is needed.
    #[serde(default)]
    patterns: Vec<Pattern>,
    /// Regular expressions for what else is searched, in the syntax of <https://docs.rs/regex#syntax>. Each is
    /// searched in every text, which costs more than the patterns. With a group `(?<secret>…)` only what that
    /// group captures is replaced. Limit: an expression must not compile to more than 1 MiB.
    #[serde(default)]
    regexes: Vec<Spanned<String>>,
    /// What is written instead. Default: `[REDACTED:email]` and so on with the pattern's name, `[REDACTED]`
    /// for an expression. Where several keys of a record held secrets, a number behind it tells them apart.
    #[serde(default)]
    replacement: Option<Spanned<String>>,
}

impl Options {
    fn finder(&self) -> Result<Finder, ExpressionError> {
        let compile = |text: &Spanned<String>| {
            let error = |message| ExpressionError { from: 0, to: text.value.len(), message, help: None };
            regex(&text.value).map_err(|why| error(format!("the expression is wrong: {why}")))
        };
        let regexes = self.regexes.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Finder::new(self.patterns.clone(), regexes))
    }

    fn replacements(&self) -> Vec<Replacement> {
        let text = |named: String| self.replacement.as_ref().map_or(named, |text| text.value.clone());
        let patterns = self.patterns.iter().map(|pattern| text(format!("[REDACTED:{}]", pattern.name())));
        let regexes = self.regexes.iter().map(|_| text("[REDACTED]".to_owned()));
        patterns.chain(regexes).map(|text| Replacement::new(&text)).collect()
    }
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        let mut problems: Vec<_> = self.fields.iter().flat_map(|fields| fields.problems(subject)).collect();
        for text in &self.regexes {
            let problem =
                |message: &str| Problem::new(BAD_EXPRESSION, text.span, message.to_owned()).within(0, text.value.len());
            match regex(&text.value) {
                Err(why) => problems.push(
                    problem(&format!("the expression is wrong: {why}"))
                        .help("the syntax is that of https://docs.rs/regex#syntax"),
                ),
                Ok(regex) if regex.is_match(b"") => problems.push(
                    problem("the expression matches the empty text").help("write `+` instead of `*`, or anchor it"),
                ),
                Ok(_) => {}
            }
        }
        problems
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Traces)
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        let redactor = self.finder().map(|finder| spans::Redactor::new(finder, self.replacements()));
        Some(redactor.map_err(CompileError::from).and_then(|redactor| OfTexts::boxed(self.fields.as_ref(), redactor)))
    }

    fn edits_resource(&self) -> bool {
        self.fields.as_ref().is_some_and(Fields::name_a_resource)
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        let places = self.fields.as_ref().map(|fields| fields.places(subject, names)).transpose()?;
        let with = self.replacements();
        let search = Search {
            finder: self.finder()?,
            slices: vec![[None; 2]; with.len()],
            with,
            scratch: Scratch::default(),
            hits: Vec::new(),
            text: Vec::new(),
            work: Vec::new(),
            clean: Vec::new(),
            keys: 0,
        };
        Ok(Box::new(Prepared { places, search }))
    }
}

#[derive(Clone)]
struct Prepared {
    places: Option<Vec<Place>>,
    search: Search,
}

/// What one worker searches and remembers.
#[derive(Clone)]
struct Search {
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

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        self.places.iter().flatten().for_each(|place| place.interest(interest));
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        let search = &mut self.search;
        match &self.places {
            None => search.step(batch, records, bench, |search, view, record, bench| {
                search.body(view, record, bench);
                search.object(view, record, bench);
                search.attributes(view, record, bench);
            }),
            Some(places) => {
                for place in places {
                    search.step(batch, records, bench, |search, view, record, bench| match place {
                        Place::Attribute(target) => search.target(target, view, record, bench),
                        _ => search.body(view, record, bench),
                    });
                }
            }
        }
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

impl Search {
    /// Reads every record, then edits those in which something was found.
    fn step(
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

    fn body(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
        if let Some(body) = self.redacted_text(view.body(), bench) {
            self.work.push((record, Work::Body(body)));
        }
    }

    fn object(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
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

    fn attributes(&mut self, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
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
    fn target(&mut self, target: &Target, view: &LogView<'_>, record: u32, bench: &mut Workbench) {
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

#[cfg(test)]
mod tests;
