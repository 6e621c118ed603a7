//! Log records in a segment: the bytes of the selected records in one run, and behind them what names those
//! bytes. Nothing is parsed again: objects, located fields and edits come back as they were, so that a sink
//! writes the same document and the same id.
//!
//! ```text
//! resource     varint  0: it follows and gets the next number; else a number
//!                      varint count × { key text, value }, schema URL text *
//! scope        the same: name text, version text, schema URL text *, varint count × { key text, value } *
//! payload      text    the bytes that slices name
//! generations  varint count × { id u64, birth u64 }
//! attributes   varint count × attribute
//! rare         varint count × { trace id 16, span id 8, flags varint, observed u64, event name slice?, uid slice?,
//!              severity text slice? *, typed body slice? *, dropped attributes varint * }
//! edited       u8      whether each record is followed by its state
//! records      varint count × record
//!
//! slice        varint length, and unless that is 0 the difference of its start to the end of the slice before
//! slice?       u8 0, or 1 and a slice
//! attribute    key slice, u8 type (0 text, 1 JSON, 2 bytes: slice; 3 integer, 4 double: u64; 5 false, 6 true)
//! value        u8 type (0 text, 1 JSON: text; 3, 4: u64; 5, 6)
//! record       time (difference to the record before), body slice, attributes (first, count), generation of
//!              the start and of the end, severity u8, start (difference to the end before), end (difference to
//!              the start), rare (0: none, else index + 1)
//! state        time (difference to the record's), severity u8, body slice, object slice, fields, cuts, attributes
//! fields       varint count × { name, u8 kind + 8 × edit + 64 × nested, key slice, value slice, from, to }
//! name         varint 0: none; 1: a path follows (varint count × text) and gets the next number; else number + 1
//! cuts         varint count × { from, to, slice }
//! attributes   varint 0: those of the record; else count + 1 and so many attributes
//!
//! * only in a record that says that it is detailed: lines of files have none of these
//! ```

use std::sync::Arc;

use super::Damaged;
use super::definitions::{
    Remembered, put_attributes, put_number, put_resource, read_attributes, read_resource, recent, remember,
};
use super::numbers::{Input, Slices, UNDEFINED, defined, put, put_difference, put_text};
use super::window::Window;
use crate::data::logs::{LogRecords, RareFields};
use crate::data::{
    Attribute, Chunk, Cut, Field, FieldEdit, Generation, JsonKind, LogBatch, LogBuilder, LogRecord, LogView, NameId,
    Names, Overlay, RecordState, Resource, Scope, Severity, Slice, UnixNanos, Value,
};

/// What the segment being written has defined, found by address: whoever is remembered is held.
#[derive(Debug, Default)]
pub struct Encoder {
    resources: Remembered<Resource>,
    scopes: Remembered<Scope>,
    paths: Vec<NameId>,
}

/// Whether a batch has what only pushed records have.
pub fn is_detailed(batch: &LogBatch) -> bool {
    let of_rare =
        |rare: &RareFields| rare.severity_text.is_some() || rare.typed_body.is_some() || rare.dropped_attributes > 0;
    let Scope { attributes, schema_url, .. } = &*batch.scope;
    let named = !schema_url.is_empty() || !attributes.is_empty() || !batch.resource.schema_url().is_empty();
    named || batch.source().rare.iter().any(of_rare)
}

impl Encoder {
    /// Forgets everything: a new segment.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the selected records of a batch, `detailed` as [`is_detailed`] says; returns whether that defined something.
    pub fn encode(&mut self, batch: &LogBatch, names: &Names, detailed: bool, out: &mut Vec<u8>) -> bool {
        let defined = self.defined();
        // In a copy of their own the records name bytes of one chunk alone.
        let batch = batch.detached();
        put_resource(&batch.resource, &mut self.resources, detailed, out);
        if !self.scopes.put(&batch.scope, out) {
            let Scope { name, version, attributes, schema_url } = &*batch.scope;
            put_text(out, name.as_bytes());
            put_text(out, version.as_bytes());
            if detailed {
                put_text(out, schema_url.as_bytes());
                put_attributes(attributes.iter().map(|(key, value)| (&**key, value)), out);
            }
        }
        let source = batch.source();
        put_text(out, batch.chunks().first().map_or(&[], Chunk::as_slice));
        put(out, source.generations.len() as u64);
        for generation in &source.generations {
            out.extend_from_slice(&generation.id.to_le_bytes());
            out.extend_from_slice(&generation.birth.0.to_le_bytes());
        }
        let mut slices = Slices::default();
        put(out, source.attributes.len() as u64);
        source.attributes.iter().for_each(|attribute| put_attribute(attribute, &mut slices, out));
        put(out, source.rare.len() as u64);
        source.rare.iter().for_each(|rare| put_rare(rare, detailed, &mut slices, out));
        out.push(u8::from(batch.overlay().is_some()));
        put(out, source.records.len() as u64);
        let mut before = Before::default();
        for view in batch.iter() {
            before.put(view.record, &mut slices, out);
            if view.state.is_some() {
                self.put_state(&view, names, &mut slices, out);
            }
        }
        self.defined() > defined
    }

    fn defined(&self) -> u64 {
        self.resources.defined + self.scopes.defined + self.paths.len() as u64
    }

    fn put_state(&mut self, view: &LogView<'_>, names: &Names, slices: &mut Slices, out: &mut Vec<u8>) {
        put_difference(out, view.record.time.0, view.time().0);
        out.push(view.severity().0);
        let Some(state) = view.state else { return };
        slices.put(out, state.body);
        slices.put(out, state.object);
        put(out, view.fields().len() as u64);
        for field in view.fields() {
            self.put_name(field.name, names, out);
            out.push(kind_number(field.kind) | edit_number(field.edit) << 3 | u8::from(field.nested) << 6);
            slices.put(out, field.key);
            slices.put(out, field.value);
            put(out, u64::from(field.member.0));
            put_difference(out, u64::from(field.member.0), u64::from(field.member.1));
        }
        put(out, view.cuts().len() as u64);
        for cut in view.cuts() {
            put(out, u64::from(cut.from));
            put_difference(out, u64::from(cut.from), u64::from(cut.to));
            slices.put(out, cut.with);
        }
        match view.batch.overlay().and_then(|overlay| overlay.attributes(state)) {
            None => put(out, 0),
            Some(attributes) => {
                put(out, attributes.len() as u64 + 1);
                attributes.iter().for_each(|attribute| put_attribute(attribute, slices, out));
            }
        }
    }

    fn put_name(&mut self, name: Option<NameId>, names: &Names, out: &mut Vec<u8>) {
        let Some(name) = name else { return put(out, 0) };
        if let Some(index) = self.paths.iter().position(|known| *known == name) {
            return put(out, index as u64 + 2);
        }
        self.paths.push(name);
        put(out, 1);
        let path = names.path(name);
        put(out, path.len() as u64);
        path.iter().for_each(|segment| put_text(out, segment.as_bytes()));
    }
}

/// What numbers of a record are written against.
#[derive(Debug, Default)]
struct Before {
    time: u64,
    end: u64,
}

impl Before {
    fn put(&mut self, record: &LogRecord, slices: &mut Slices, out: &mut Vec<u8>) {
        put_difference(out, self.time, record.time.0);
        slices.put(out, record.body);
        put(out, u64::from(record.attributes_start));
        put(out, u64::from(record.attributes_len));
        put(out, u64::from(record.start_generation));
        put(out, u64::from(record.end_generation));
        out.push(record.severity.0);
        put_difference(out, self.end, record.start);
        put_difference(out, record.start, record.end);
        put(out, record.rare.wrapping_add(1).into());
        (self.time, self.end) = (record.time.0, record.end);
    }
}

/// What the segment being read has defined.
#[derive(Debug)]
pub struct Decoder {
    resources: Window<Arc<Resource>>,
    scopes: Window<Arc<Scope>>,
    /// `None` for a path that nothing in this process names.
    paths: Vec<Option<NameId>>,
}

impl Decoder {
    /// A decoder of a segment.
    pub fn new() -> Self {
        Self { resources: recent(), scopes: recent(), paths: Vec::new() }
    }

    /// Forgets everything: a new segment.
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Reads a batch out of `chunk`, which `input` reads; its slices name bytes of that chunk.
    pub fn decode(
        &mut self,
        input: &mut Input<'_>,
        chunk: &Chunk,
        names: &Names,
        detailed: bool,
    ) -> Result<LogBatch, Damaged> {
        let resource = read_resource(input, &mut self.resources, detailed)?;
        let scope = match input.number()? {
            0 => {
                let (name, version) = (input.text()?.into(), input.text()?.into());
                let mut scope = Scope { name, version, ..Scope::default() };
                if detailed {
                    scope.schema_url = input.text()?.into();
                    scope.attributes = read_attributes(input)?;
                }
                let scope = Arc::new(scope);
                remember(&mut self.scopes, scope.clone());
                scope
            }
            number => self.scopes.get(number).ok_or(UNDEFINED)?.clone(),
        };
        let mut builder = LogBuilder::new(resource, scope);
        let length = input.bytes()?.len();
        let base = input.at() - length;
        const FITS: &str = "a record is shorter than 4 GiB";
        let (base, length) = (u32::try_from(base).expect(FITS), u32::try_from(length).expect(FITS));
        builder.add_chunk(chunk.clone());
        builder.add_payload_bytes(u64::from(length));
        let mut records =
            Reader { input, slices: Slices::default(), base, length, paths: &mut self.paths, names, detailed };
        let overlay = records.read(builder.source())?;
        let mut batch = builder.build();
        if let Some(overlay) = overlay {
            *batch.edit().0 = overlay;
        }
        Ok(batch)
    }
}

/// Reads what stands behind the payload.
struct Reader<'a, 'i> {
    input: &'a mut Input<'i>,
    slices: Slices,
    base: u32,
    length: u32,
    paths: &'a mut Vec<Option<NameId>>,
    names: &'a Names,
    detailed: bool,
}

impl Reader<'_, '_> {
    fn read(&mut self, source: &mut LogRecords) -> Result<Option<Overlay>, Damaged> {
        for _ in 0..self.input.count()? {
            let (id, birth) = (self.input.u64()?, UnixNanos(self.input.u64()?));
            source.generations.push(Generation { id, birth });
        }
        for _ in 0..self.input.count()? {
            source.attributes.push(self.attribute()?);
        }
        for _ in 0..self.input.count()? {
            source.rare.push(self.rare()?);
        }
        let mut overlay = match self.input.byte()? {
            0 => None,
            1 => Some(Overlay::default()),
            _ => return Err(Damaged("a batch is neither edited nor not")),
        };
        let count = self.input.count()?;
        let mut before = Before::default();
        for index in 0..count {
            let record = self.record(&mut before, source)?;
            source.records.push(record);
            if let Some(overlay) = &mut overlay {
                self.state(index, &record, overlay)?;
            }
        }
        Ok(overlay)
    }

    fn slice(&mut self) -> Result<Slice, Damaged> {
        self.slices.read(self.input, self.base, self.length)
    }

    fn slice_if_any(&mut self) -> Result<Option<Slice>, Damaged> {
        Ok(match self.input.byte()? {
            0 => None,
            _ => Some(self.slice()?),
        })
    }

    fn attribute(&mut self) -> Result<Attribute, Damaged> {
        let key = self.slice()?;
        let value = match self.input.byte()? {
            0 => Value::Text(self.slice()?),
            1 => Value::Json(self.slice()?),
            2 => Value::Bytes(self.slice()?),
            3 => Value::Int(self.input.u64()?.cast_signed()),
            4 => Value::Double(f64::from_bits(self.input.u64()?)),
            5 => Value::Bool(false),
            6 => Value::Bool(true),
            _ => return Err(Damaged("an attribute is of an unknown type")),
        };
        Ok(Attribute { key, value })
    }

    fn rare(&mut self) -> Result<RareFields, Damaged> {
        let mut rare = RareFields {
            trace_id: self.input.array()?,
            span_id: self.input.array()?,
            flags: self.input.small()?,
            observed: UnixNanos(self.input.u64()?),
            event_name: self.slice_if_any()?,
            uid: self.slice_if_any()?,
            ..RareFields::default()
        };
        if self.detailed {
            rare.severity_text = self.slice_if_any()?;
            rare.typed_body = self.slice_if_any()?;
            rare.dropped_attributes = self.input.small()?;
        }
        Ok(rare)
    }

    fn record(&mut self, before: &mut Before, source: &LogRecords) -> Result<LogRecord, Damaged> {
        let time = UnixNanos(self.input.difference(before.time)?);
        let body = self.slice()?;
        let (attributes_start, attributes_len): (u32, u16) = (self.input.small()?, self.input.small()?);
        let (start_generation, end_generation): (u16, u16) = (self.input.small()?, self.input.small()?);
        let severity = Severity(self.input.byte()?);
        let start = self.input.difference(before.end)?;
        let end = self.input.difference(start)?;
        let rare: u32 = self.input.small()?;
        if attributes_start as usize + usize::from(attributes_len) > source.attributes.len() {
            return Err(Damaged("a record's attributes are not in its batch"));
        }
        (before.time, before.end) = (time.0, end);
        let rare = rare.wrapping_sub(1);
        Ok(LogRecord {
            time,
            body,
            attributes_start,
            attributes_len,
            start_generation,
            end_generation,
            severity,
            start,
            end,
            rare,
        })
    }

    fn state(&mut self, index: usize, record: &LogRecord, overlay: &mut Overlay) -> Result<(), Damaged> {
        let mut state = RecordState::untouched(record);
        state.time = UnixNanos(self.input.difference(record.time.0)?);
        state.severity = Severity(self.input.byte()?);
        state.body = self.slice()?;
        state.object = self.slice()?;
        overlay.states.push(state);
        for _ in 0..self.input.count()? {
            let name = self.name()?;
            let byte = self.input.byte()?;
            let (kind, edit) = (kind_of(byte & 7)?, edit_of(byte >> 3 & 7)?);
            let (key, value) = (self.slice()?, self.slice()?);
            let member = self.span(state.object)?;
            overlay.push_field(index, Field { name, kind, edit, nested: byte >> 6 & 1 == 1, key, value, member });
        }
        for _ in 0..self.input.count()? {
            let (from, to) = self.span(state.object)?;
            let with = self.slice()?;
            overlay.push_cut(index, Cut { from, to, with });
        }
        let attributes = self.input.number()?;
        if let Some(count) = attributes.checked_sub(1) {
            let mut own = Vec::new();
            for _ in 0..count {
                own.push(self.attribute()?);
            }
            overlay.attributes_mut(index, &own);
        }
        Ok(())
    }

    /// A run of the object's bytes.
    fn span(&mut self, object: Slice) -> Result<(u32, u32), Damaged> {
        const OUTSIDE: Damaged = Damaged("an edit leads out of its object");
        let from: u32 = self.input.small()?;
        let to = u32::try_from(self.input.difference(u64::from(from))?).map_err(|_| OUTSIDE)?;
        if from <= to && to <= object.len { Ok((from, to)) } else { Err(OUTSIDE) }
    }

    fn name(&mut self) -> Result<Option<NameId>, Damaged> {
        match self.input.number()? {
            0 => Ok(None),
            1 => {
                let mut path = Vec::new();
                for _ in 0..self.input.count()? {
                    path.push(self.input.text()?);
                }
                let name = self.names.find(&path);
                self.paths.push(name);
                Ok(name)
            }
            number => defined(self.paths, number - 1).copied(),
        }
    }
}

fn put_attribute(attribute: &Attribute, slices: &mut Slices, out: &mut Vec<u8>) {
    slices.put(out, attribute.key);
    let (kind, slice) = match attribute.value {
        Value::Text(slice) => (0, slice),
        Value::Json(slice) => (1, slice),
        Value::Bytes(slice) => (2, slice),
        Value::Int(number) => return put_number(3, number.cast_unsigned(), out),
        Value::Double(number) => return put_number(4, number.to_bits(), out),
        Value::Bool(yes) => return out.push(5 + u8::from(yes)),
    };
    out.push(kind);
    slices.put(out, slice);
}

fn put_rare(rare: &RareFields, detailed: bool, slices: &mut Slices, out: &mut Vec<u8>) {
    out.extend_from_slice(&rare.trace_id);
    out.extend_from_slice(&rare.span_id);
    put(out, u64::from(rare.flags));
    out.extend_from_slice(&rare.observed.0.to_le_bytes());
    let mut put_slice = |slice: Option<Slice>, out: &mut Vec<u8>| {
        out.push(u8::from(slice.is_some()));
        if let Some(slice) = slice {
            slices.put(out, slice);
        }
    };
    put_slice(rare.event_name, out);
    put_slice(rare.uid, out);
    if detailed {
        put_slice(rare.severity_text, out);
        put_slice(rare.typed_body, out);
        put(out, rare.dropped_attributes.into());
    }
}

/// The number of a kind is its place.
const KINDS: [JsonKind; 6] =
    [JsonKind::Null, JsonKind::Bool, JsonKind::Number, JsonKind::String, JsonKind::Object, JsonKind::Array];

/// The number of an edit is its place.
const EDITS: [FieldEdit; 4] = [FieldEdit::Original, FieldEdit::Replaced, FieldEdit::Deleted, FieldEdit::Added];

fn kind_number(kind: JsonKind) -> u8 {
    KINDS.iter().position(|known| *known == kind).unwrap_or_default() as u8
}

fn kind_of(number: u8) -> Result<JsonKind, Damaged> {
    KINDS.get(usize::from(number)).copied().ok_or(Damaged("a field is of an unknown kind"))
}

fn edit_number(edit: FieldEdit) -> u8 {
    EDITS.iter().position(|known| *known == edit).unwrap_or_default() as u8
}

fn edit_of(number: u8) -> Result<FieldEdit, Damaged> {
    EDITS.get(usize::from(number)).copied().ok_or(Damaged("a field was edited in an unknown way"))
}
