//! Copies the few survivors of a filtered batch out of the slabs they pin.
//!
//! A queue counts what a batch's records span. Where a filter took most of them out, the chunks would be
//! held for bytes that nobody wants; the survivors then move into a chunk of their own.

use std::sync::Arc;

use super::attributes::{Attribute, Value};
use super::chunk::{Chunk, Slice};
use super::logs::{LogBatch, LogBuilder, LogRecord, LogView};
use super::overlay::Overlay;

/// A batch with fewer than one in this many of its records left is worth a look.
const FRACTION: usize = 4;

/// Chunks smaller than this together are not worth copying out of.
const WORTH: usize = 32 * 1024;

impl LogBatch {
    /// The same records in memory of their own if less than a quarter of the bytes that the batch holds
    /// is live; else the batch as it is.
    #[must_use]
    pub fn compacted(self) -> Self {
        let held: usize = self.chunks().iter().map(Chunk::len).sum();
        if self.selection.count() * FRACTION > self.selection.len() || held < WORTH {
            return self;
        }
        let live: usize = self.iter().map(|view| view.body().len() + view.object().len()).sum();
        if live * FRACTION > held {
            return self;
        }
        self.copied(live)
    }

    /// The selected records, in one chunk of their own, which is chunk 0: the form in which records are
    /// written down.
    #[must_use]
    pub fn detached(&self) -> Self {
        self.copied(self.iter().map(|view| view.body().len() + view.object().len()).sum())
    }

    fn copied(&self, live: usize) -> Self {
        let mut copier = Copier { from: self, bytes: Vec::with_capacity(live + live / 8) };
        let mut builder = LogBuilder::new(Arc::clone(&self.resource), Arc::clone(&self.scope));
        let pool: Vec<_> = self.source().attributes.iter().map(|attribute| copier.attribute(*attribute)).collect();
        builder.source().attributes.extend(pool);
        builder.source().generations.extend_from_slice(&self.source().generations);
        let mut overlay = self.overlay().map(|_| Overlay::default());
        for view in self.iter() {
            let record = copier.record(&view, &mut builder);
            builder.source().records.push(record);
            if let (Some(overlay), Some(from), Some(state)) = (&mut overlay, self.overlay(), view.state) {
                copier.state(&view, state, from, &record, overlay);
            }
        }
        builder.add_payload_bytes(copier.bytes.len() as u64);
        builder.add_chunk(Chunk::from_vec(copier.bytes));
        let mut batch = builder.build();
        if let Some(overlay) = overlay {
            *batch.edit().0 = overlay;
        }
        batch
    }
}

/// Copies slices into one new chunk, which is chunk 0 of the new batch.
struct Copier<'a> {
    from: &'a LogBatch,
    bytes: Vec<u8>,
}

impl Copier<'_> {
    fn slice(&mut self, slice: Slice) -> Slice {
        let start = u32::try_from(self.bytes.len()).expect("survivors are fewer bytes than the batch's chunks");
        self.bytes.extend_from_slice(self.from.bytes(slice));
        Slice::new(0, start, slice.len)
    }

    fn attribute(&mut self, attribute: Attribute) -> Attribute {
        let value = match attribute.value {
            Value::Text(slice) => Value::Text(self.slice(slice)),
            Value::Json(slice) => Value::Json(self.slice(slice)),
            Value::Bytes(slice) => Value::Bytes(self.slice(slice)),
            plain @ (Value::Int(_) | Value::Double(_) | Value::Bool(_)) => plain,
        };
        Attribute { key: self.slice(attribute.key), value }
    }

    fn record(&mut self, view: &LogView<'_>, builder: &mut LogBuilder) -> LogRecord {
        let mut record = *view.record;
        // Of an edited body what the source wrote is read by nobody.
        let edited = view.state.is_some_and(|state| state.body != record.body);
        record.body = if edited { Slice::EMPTY } else { self.slice(record.body) };
        if let Some(rare) = self.from.rare(view.record) {
            let mut rare = *rare;
            rare.typed_body = rare.typed_body.filter(|_| !edited);
            for slice in rare.slices_mut().into_iter().flatten() {
                *slice = self.slice(*slice);
            }
            let pool = &mut builder.source().rare;
            record.rare = u32::try_from(pool.len()).expect("no more than records");
            pool.push(rare);
        }
        record
    }

    fn state(
        &mut self,
        view: &LogView<'_>,
        state: &super::RecordState,
        from: &Overlay,
        record: &LogRecord,
        to: &mut Overlay,
    ) {
        let index = to.states.len();
        let mut copy = super::RecordState::untouched(record);
        if state.body != view.record.body {
            copy.body = self.slice(state.body);
        }
        copy.object = self.slice(state.object);
        copy.time = state.time;
        copy.severity = state.severity;
        let object = copy.object;
        to.states.push(copy);
        for field in from.fields(state) {
            let mut field = *field;
            field.key = self.inside(field.key, state.object, object);
            field.value = self.inside(field.value, state.object, object);
            to.push_field(index, field);
        }
        for cut in from.cuts(state) {
            let mut cut = *cut;
            cut.with = self.slice(cut.with);
            to.push_cut(index, cut);
        }
        if let Some(attributes) = from.attributes(state) {
            let copies: Vec<_> = attributes.iter().map(|attribute| self.attribute(*attribute)).collect();
            to.attributes_mut(index, &copies);
        }
    }

    /// A slice of the old object is the same slice of the new one; anything else is copied.
    fn inside(&mut self, slice: Slice, old: Slice, new: Slice) -> Slice {
        let within =
            slice.chunk == old.chunk && slice.start >= old.start && slice.start + slice.len <= old.start + old.len;
        if within && !old.is_empty() {
            return new.sub(slice.start - old.start, slice.start - old.start + slice.len);
        }
        self.slice(slice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cut, Field, FieldEdit, JsonKind};
    use super::*;

    #[test]
    fn survivors_leave_the_slab_with_their_edits() {
        let line = br#"{"level":"info","n":1} plain"#;
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        let text: Vec<u8> = std::iter::repeat_n(line, 4000).flatten().copied().collect();
        let chunk = builder.add_chunk(Chunk::from_vec(text));
        for n in 0..4000u32 {
            builder.source().records.push(LogRecord::of_body(Slice::new(chunk, n * 28 + 23, 5)));
        }
        let mut batch = builder.build();
        let added = batch.add_chunk(Chunk::from_static(b"\"warn\""));
        let (overlay, _) = batch.edit();
        for n in 0..4000u32 {
            let object = Slice::new(chunk, n * 28, 22);
            overlay.states[n as usize].object = object;
            let key = object.sub(1, 8);
            let value = Slice::new(added, 0, 6);
            let field = Field {
                name: None,
                kind: JsonKind::String,
                edit: FieldEdit::Replaced,
                nested: false,
                key,
                value,
                member: (1, 15),
            };
            overlay.push_field(n as usize, field);
            overlay.push_cut(n as usize, Cut { from: 20, to: 21, with: Slice::new(added, 1, 4) });
        }
        batch.selection.restrict(7, 9);
        let compact = batch.clone().compacted();
        assert!(compact.chunks().iter().map(Chunk::len).sum::<usize>() < 200);
        assert_eq!(compact.selection.count(), 2);
        for (old, new) in batch.iter().zip(compact.iter()) {
            assert_eq!((old.body(), old.object()), (new.body(), new.object()));
            let (old_field, new_field) = (old.fields()[0], new.fields()[0]);
            assert_eq!(old.bytes(old_field.key), new.bytes(new_field.key));
            assert_eq!(old.bytes(old_field.value), new.bytes(new_field.value));
            assert_eq!(new_field.member, (1, 15));
            assert_eq!(new.bytes(new.cuts()[0].with), b"warn");
        }
        let mut full = batch;
        full.selection = super::super::Selection::all(4000);
        assert_eq!(full.compacted().chunks().len(), 2, "a full batch is left alone");
    }
}
