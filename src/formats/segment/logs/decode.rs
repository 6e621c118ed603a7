//! The bytes of a record become a batch again.

use std::sync::Arc;

use super::super::Damaged;
use super::super::definitions::{read_attributes, read_resource, recent, remember};
use super::super::numbers::{Input, Slices, UNDEFINED, defined};
use super::super::window::Window;
use super::{Before, edit_of, kind_of};
use crate::data::logs::{LogRecords, RareFields};
use crate::data::{
    Attribute, Chunk, Cut, Field, Generation, LogBatch, LogBuilder, LogRecord, NameId, Names, Overlay, RecordState,
    Resource, Scope, Severity, Slice, UnixNanos, Value,
};

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
