//! What transforms did to the records of a batch. Payload is never changed: an edit points to new bytes
//! and says which old ones it replaces.
//!
//! A record that was parsed has an *object*: the JSON text whose members are its attributes, as it came.
//! Its edits are of two kinds. A [`Field`] is a located member (something in the graph reads or edits its
//! path) or one that was added; a [`Cut`] replaces bytes anywhere else in the object. A new body is simply
//! another slice. Attributes outside the object are copied into the overlay when the first of a record's
//! is edited. A writer copies the object's bytes between the cuts and edited fields, which is the only copy that is made.

use super::attributes::Attribute;
use super::chunk::Slice;
use super::logs::LogRecord;
use super::names::NameId;
use super::recycle::{Pool, Recycle, clear_bounded};
use super::severity::Severity;
use super::time::UnixNanos;

/// The overlay of one batch: a state a record, and two pools that the states point into.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// One state a record, in the order of the records.
    pub states: Vec<RecordState>,
    fields: Vec<Field>,
    cuts: Vec<Cut>,
    attributes: Vec<Attribute>,
}

/// What parsing and edits made of one record.
#[derive(Clone, Copy, Debug)]
pub struct RecordState {
    /// The body; empty once its object has become the attributes.
    pub body: Slice,
    /// The object whose members are attributes, from `{` to `}`; empty for none. It has passed the
    /// structural scan, so its bytes may be spliced into a JSON document.
    pub object: Slice,
    /// Time of the record.
    pub time: UnixNanos,
    /// Severity of the record.
    pub severity: Severity,
    fields: Range,
    cuts: Range,
    attributes: Option<Range>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    start: u32,
    len: u32,
}

impl Range {
    fn of<T>(self, pool: &[T]) -> &[T] {
        &pool[self.start as usize..(self.start + self.len) as usize]
    }

    fn of_mut<T>(self, pool: &mut [T]) -> &mut [T] {
        &mut pool[self.start as usize..(self.start + self.len) as usize]
    }

    /// Adds an element to the range, moving the range to the pool's end unless it is there already.
    fn push<T: Copy>(&mut self, pool: &mut Vec<T>, element: T) {
        let end = (self.start + self.len) as usize;
        if self.len == 0 {
            self.start = index(pool.len());
        } else if end != pool.len() {
            let start = pool.len();
            pool.extend_from_within(self.start as usize..end);
            self.start = index(start);
        }
        pool.push(element);
        self.len += 1;
    }
}

fn index(len: usize) -> u32 {
    u32::try_from(len).expect("the pools of a batch hold far fewer than 2^32 elements")
}

/// A member of a record's object, located because something reads or edits it, or added by an edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field {
    /// The path it was located by; `None` for a member that only a sink's reserved keys asked for.
    pub name: Option<NameId>,
    /// What its value is.
    pub kind: JsonKind,
    /// What was done to it.
    pub edit: FieldEdit,
    /// Whether it stands inside the value of another member rather than at the object's top level.
    pub nested: bool,
    /// The key as JSON text with its quotes: the object's own bytes, or new ones.
    pub key: Slice,
    /// The value as JSON text: the object's own bytes, or new ones.
    pub value: Slice,
    /// Where the member stands in the object, from the key's opening quote to the end of the value,
    /// relative to the object's start; nothing for an added member.
    pub member: (u32, u32),
}

/// What was done to a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldEdit {
    /// It stands in the object as it came.
    Original,
    /// Its key or value was replaced: the member's span is written as `key:value`.
    Replaced,
    /// It was deleted: its span and one comma are left out.
    Deleted,
    /// It does not stand in the object: it is written behind the last member.
    Added,
}

/// The kinds of JSON values (RFC 8259).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, or what stands in its place: only a sink's server proves it.
    Number,
    /// A string; its slice includes the quotes.
    String,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// Bytes of the object that are replaced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// First byte replaced, relative to the object's start.
    pub from: u32,
    /// Behind the last byte replaced.
    pub to: u32,
    /// What stands there instead, valid in place.
    pub with: Slice,
}

impl RecordState {
    /// The state of a record that nothing has touched.
    pub fn untouched(record: &LogRecord) -> Self {
        Self {
            body: record.body,
            object: Slice::EMPTY,
            time: record.time,
            severity: record.severity,
            fields: Range::default(),
            cuts: Range::default(),
            attributes: None,
        }
    }

    /// Whether the record has an object.
    pub fn has_object(&self) -> bool {
        !self.object.is_empty()
    }

    /// Forgets object, fields and cuts, for a new object to take their place.
    pub fn reset_object(&mut self, object: Slice) {
        self.object = object;
        self.fields = Range::default();
        self.cuts = Range::default();
    }
}

impl Overlay {
    /// The fields of a record, in the order in which they were located and added. Where one name stands
    /// several times, the last one not deleted is what a reader sees.
    pub fn fields(&self, state: &RecordState) -> &[Field] {
        state.fields.of(&self.fields)
    }

    /// The fields of record `index`, for editing.
    pub fn fields_mut(&mut self, index: usize) -> &mut [Field] {
        self.states[index].fields.of_mut(&mut self.fields)
    }

    /// Adds a field to record `index`.
    pub fn push_field(&mut self, index: usize, field: Field) {
        self.states[index].fields.push(&mut self.fields, field);
    }

    /// The cuts of a record, in no particular order, never overlapping.
    pub fn cuts(&self, state: &RecordState) -> &[Cut] {
        state.cuts.of(&self.cuts)
    }

    /// Adds a cut to record `index`.
    pub fn push_cut(&mut self, index: usize, cut: Cut) {
        self.states[index].cuts.push(&mut self.cuts, cut);
    }

    /// The attributes of a record outside its object, where they were edited; `None` where they are still
    /// those that the source gave.
    pub fn attributes(&self, state: &RecordState) -> Option<&[Attribute]> {
        state.attributes.map(|range| range.of(&self.attributes))
    }

    /// The attributes of record `index` outside its object, for editing. `source` is what the source gave
    /// it: the record's own copy is made of that on first use.
    pub fn attributes_mut(&mut self, index: usize, source: &[Attribute]) -> &mut [Attribute] {
        let range = self.states[index].attributes.get_or_insert_with(|| {
            let start = self.attributes.len();
            self.attributes.extend_from_slice(source);
            Range { start: self::index(start), len: self::index(source.len()) }
        });
        range.of_mut(&mut self.attributes)
    }

    /// Adds an attribute to record `index` outside its object; `source` as for [`Overlay::attributes_mut`].
    pub fn push_attribute(&mut self, index: usize, source: &[Attribute], attribute: Attribute) {
        self.attributes_mut(index, source);
        let range = self.states[index].attributes.get_or_insert_default();
        range.push(&mut self.attributes, attribute);
    }

    /// Takes attribute number `at` of record `index` out; `source` as for [`Overlay::attributes_mut`].
    pub fn remove_attribute(&mut self, index: usize, source: &[Attribute], at: usize) {
        self.attributes_mut(index, source)[at..].rotate_left(1);
        self.states[index].attributes.get_or_insert_default().len -= 1;
    }
}

impl Recycle for Overlay {
    fn pool() -> &'static Pool<Self> {
        static POOL: Pool<Overlay> = Pool::new();
        &POOL
    }

    fn clear(&mut self) {
        clear_bounded(&mut self.states, 8192);
        clear_bounded(&mut self.fields, 32 * 1024);
        clear_bounded(&mut self.cuts, 8192);
        clear_bounded(&mut self.attributes, 8192);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    #[test]
    fn attributes_are_edited_in_a_copy_of_their_own() {
        let attribute = |n| Attribute { key: Slice::new(0, n, 1), value: Value::Int(i64::from(n)) };
        let source = [attribute(0), attribute(1), attribute(2)];
        let mut overlay = Overlay::default();
        overlay.states.extend([RecordState::untouched(&LogRecord::of_body(Slice::EMPTY)); 2]);
        overlay.push_attribute(1, &source, attribute(7));
        overlay.remove_attribute(0, &source, 1);
        overlay.push_attribute(0, &source, attribute(8));
        overlay.attributes_mut(1, &source)[0] = attribute(9);
        let of = |index: usize| overlay.attributes(&overlay.states[index]).map(<[_]>::to_vec);
        assert_eq!(of(0), Some(vec![attribute(0), attribute(2), attribute(8)]));
        assert_eq!(of(1), Some(vec![attribute(9), attribute(1), attribute(2), attribute(7)]));
    }
}
