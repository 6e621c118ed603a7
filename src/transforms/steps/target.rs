//! What a step can write: an attribute, the body or the severity.

use super::edit::{NewValue, Workbench, attributes};
use crate::data::logs::Payload;
use crate::data::names::Interest;
use crate::data::overlay::Overlay;
use crate::data::{Attribute, Field, FieldEdit, JsonKind, LogBatch, NameId, Severity, Slice, Value};
use crate::expression::compile::AttributePath;
use crate::expression::{Operand, ValueRef, logs};

/// An attribute to be written or deleted.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its path.
    pub path: AttributePath,
}

/// A target on a batch: its key is among the bench's fresh bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Its path.
    pub path: &'a AttributePath,
    /// Its last key as JSON text.
    pub key: Slice,
    /// Its first key, raw.
    pub first: Slice,
    entangled: bool,
}

impl Target {
    /// Binds the target to the batch that the bench is on.
    pub fn bind(&self, bench: &mut Workbench) -> Bound<'_> {
        let (last, raw) = bench.key(self.path.keys.last().map_or("", AsRef::as_ref));
        let first = if self.path.keys.len() == 1 { raw } else { bench.key(&self.path.keys[0]).1 };
        Bound { path: &self.path, key: last, first, entangled: bench.is_entangled(self.path.id) }
    }

    /// Adds the path: what is edited must be located.
    pub fn interest(&self, interest: &mut Interest) {
        interest.merge(&Interest { paths: vec![self.path.id], ..Interest::default() });
    }
}

fn is(field: &Field, name: NameId) -> bool {
    field.name == Some(name) && field.edit != FieldEdit::Deleted
}

fn delete_field(field: &mut Field) {
    field.edit = FieldEdit::Deleted;
}

impl Bound<'_> {
    /// Where the attribute stands outside the object. Its key may be one that this very step has made.
    fn attribute(&self, overlay: &Overlay, payload: Payload<'_>, bench: &Workbench, index: usize) -> Option<usize> {
        let key = self.path.keys[0].as_bytes();
        attributes(overlay, payload, index).iter().rposition(|attribute| bench.bytes(attribute.key, payload) == key)
    }

    /// Writes a value: over every occurrence of the key, or as a new attribute.
    pub fn set(&self, overlay: &mut Overlay, payload: Payload<'_>, bench: &mut Workbench, record: u32, new: &NewValue) {
        let index = record as usize;
        let mut found = false;
        for field in overlay.fields_mut(index).iter_mut().filter(|field| is(field, self.path.id)) {
            if found {
                delete_field(field);
                continue;
            }
            found = true;
            (field.kind, field.value) = (new.kind, new.json);
            if field.edit == FieldEdit::Original {
                field.edit = FieldEdit::Replaced;
            }
        }
        if found {
            if self.entangled {
                bench.rescan(record);
            }
            return;
        }
        let source = payload.source.attributes(&payload.source.records[index]);
        let rest = &self.path.keys[1..];
        let known = self.attribute(overlay, payload, bench, index);
        let has_object = overlay.states[index].has_object();
        match (known, rest) {
            (Some(at), []) => overlay.attributes_mut(index, source)[at].value = new.value,
            (Some(at), keys) => {
                // Inside something that is no object there is no place for the value.
                let Value::Json(old) = attributes(overlay, payload, index)[at].value else { return };
                let text = bench.bytes(old, payload).to_vec();
                if text.starts_with(b"{") {
                    let json = bench.nest(&text, keys, new.json, payload);
                    overlay.attributes_mut(index, source)[at].value = Value::Json(json);
                }
            }
            (None, []) if has_object => {
                let field = Field {
                    name: Some(self.path.id),
                    kind: new.kind,
                    edit: FieldEdit::Added,
                    nested: false,
                    key: self.key,
                    value: new.json,
                    member: (0, 0),
                };
                overlay.push_field(index, field);
                if self.entangled {
                    bench.rescan(record);
                }
            }
            (None, [_, ..]) if has_object => bench.insert(record, self.path.keys.clone(), new.json),
            (None, []) => overlay.push_attribute(index, source, Attribute { key: self.first, value: new.value }),
            (None, keys) => {
                let value = Value::Json(bench.nest(&[], keys, new.json, payload));
                overlay.push_attribute(index, source, Attribute { key: self.first, value });
            }
        }
    }

    /// Deletes every occurrence of the key.
    pub fn delete(&self, overlay: &mut Overlay, payload: Payload<'_>, bench: &mut Workbench, record: u32) {
        let index = record as usize;
        let mut found = false;
        for field in overlay.fields_mut(index).iter_mut().filter(|field| is(field, self.path.id)) {
            delete_field(field);
            found = true;
        }
        if found && self.entangled {
            bench.rescan(record);
        }
        let source = payload.source.attributes(&payload.source.records[index]);
        match &self.path.keys[1..] {
            [] => {
                while let Some(at) = self.attribute(overlay, payload, bench, index) {
                    overlay.remove_attribute(index, source, at);
                }
            }
            keys => {
                let Some(at) = self.attribute(overlay, payload, bench, index) else { return };
                let Value::Json(old) = attributes(overlay, payload, index)[at].value else { return };
                let start = bench.fresh.len();
                let text = bench.bytes(old, payload).to_vec();
                super::insert::remove(&text, keys, &mut bench.fresh);
                let value = Value::Json(bench.slice(start));
                overlay.attributes_mut(index, source)[at].value = value;
            }
        }
    }

    /// Renames the attribute to `to`, which is another key of the same object; returns whether it was
    /// there. What was called so before is gone.
    pub fn rename(
        &self,
        to: &Bound<'_>,
        overlay: &mut Overlay,
        payload: Payload<'_>,
        bench: &mut Workbench,
        record: u32,
    ) -> bool {
        let index = record as usize;
        let Some(last) = overlay.fields_mut(index).iter().rposition(|field| is(field, self.path.id)) else {
            return self.rename_outside(to, overlay, payload, bench, record);
        };
        if overlay.fields_mut(index)[last].kind == JsonKind::Null {
            return false;
        }
        to.delete(overlay, payload, bench, record);
        for (at, field) in overlay.fields_mut(index).iter_mut().enumerate() {
            if at == last {
                (field.name, field.key) = (Some(to.path.id), to.key);
                if field.edit == FieldEdit::Original {
                    field.edit = FieldEdit::Replaced;
                }
            } else if is(field, self.path.id) {
                delete_field(field);
            }
        }
        if self.entangled || to.entangled {
            bench.rescan(record);
        }
        true
    }

    fn rename_outside(
        &self,
        to: &Bound<'_>,
        overlay: &mut Overlay,
        payload: Payload<'_>,
        bench: &mut Workbench,
        record: u32,
    ) -> bool {
        let index = record as usize;
        if self.path.keys.len() > 1 || self.attribute(overlay, payload, bench, index).is_none() {
            return false;
        }
        to.delete(overlay, payload, bench, record);
        let Some(at) = self.attribute(overlay, payload, bench, index) else { return false };
        let source = payload.source.attributes(&payload.source.records[index]);
        overlay.attributes_mut(index, source)[at].key = to.first;
        true
    }
}

/// Where a value goes.
#[derive(Clone, Debug)]
pub enum Place {
    /// To an attribute.
    Attribute(Target),
    /// To the body.
    Body,
    /// To the severity, as a number.
    SeverityNumber,
    /// To the severity, by name.
    SeverityText,
}

impl Place {
    /// The place that a checked target names.
    pub fn of(operand: Operand) -> Option<Self> {
        match operand {
            Operand::Attribute(path) => Some(Self::Attribute(Target { path })),
            Operand::Field(logs::BODY) => Some(Self::Body),
            Operand::Field(logs::SEVERITY_NUMBER) => Some(Self::SeverityNumber),
            Operand::Field(logs::SEVERITY_TEXT) => Some(Self::SeverityText),
            Operand::Field(_) | Operand::Event(_) | Operand::Resource(_) | Operand::Literal(_) => None,
        }
    }

    /// Adds what must be located to write there. A severity that is set need not be read first.
    pub fn interest(&self, interest: &mut Interest) {
        if let Self::Attribute(target) = self {
            target.interest(interest);
        }
    }
}

/// A value on its way to a [`Place`]; an attribute's is a [`NewValue`].
#[derive(Clone, Copy, Debug)]
pub enum Incoming {
    /// For an attribute.
    Attribute(NewValue),
    /// For the body.
    Body(Slice),
    /// For the severity.
    Severity(Severity),
}

impl Place {
    /// Makes a value ready for this place; `None` where it is missing or does not fit.
    pub fn ready(&self, value: ValueRef<'_>, bench: &mut Workbench) -> Option<Incoming> {
        match self {
            Self::Attribute(_) => bench.value(value).map(Incoming::Attribute),
            Self::Body => bench.value(value).map(|new| match new.value {
                Value::Text(text) => Incoming::Body(text),
                _ => Incoming::Body(new.json),
            }),
            Self::SeverityNumber => {
                let number = match value {
                    ValueRef::Int(int) => Some(int),
                    ValueRef::Number(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
                    _ => None,
                };
                let number = number.and_then(|n| u8::try_from(n).ok()).filter(|n| (1..=24).contains(n));
                number.map(|n| Incoming::Severity(Severity(n)))
            }
            Self::SeverityText => {
                let mut buffer = Vec::new();
                Severity::from_text(value.text(&mut buffer)?).map(Incoming::Severity)
            }
        }
    }

    /// Writes the values to their records.
    pub fn write(&self, batch: &mut LogBatch, bench: &mut Workbench, values: impl Iterator<Item = (u32, Incoming)>) {
        let bound = if let Self::Attribute(target) = self { Some(target.bind(bench)) } else { None };
        let (overlay, payload) = batch.edit();
        for (record, value) in values {
            let state = &mut overlay.states[record as usize];
            match (value, &bound) {
                (Incoming::Attribute(new), Some(bound)) => bound.set(overlay, payload, bench, record, &new),
                (Incoming::Attribute(_), None) => {}
                (Incoming::Body(body), _) => state.body = body,
                (Incoming::Severity(severity), _) => state.severity = severity,
            }
        }
    }
}
