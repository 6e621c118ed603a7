//! Lists of series, and how one is put together.

use std::sync::{Arc, PoisonError};

use super::super::labels::{LabelSet, Labels};
use super::{FamilyId, SeriesRef, SeriesTable};

/// The series of one origin, in its own order. Owns them.
#[derive(Debug)]
pub struct SeriesList {
    pub(super) table: Arc<SeriesTable>,
    pub(super) refs: Box<[SeriesRef]>,
    pub(super) id: u64,
}

impl SeriesList {
    /// The series.
    pub fn refs(&self) -> &[SeriesRef] {
        &self.refs
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// A number that no other list of the table has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The table that the series are in.
    pub fn table(&self) -> &Arc<SeriesTable> {
        &self.table
    }
}

impl Drop for SeriesList {
    fn drop(&mut self) {
        let refs = std::mem::take(&mut self.refs);
        self.table.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(refs);
        self.table.free_dropped();
    }
}

/// Puts a [`SeriesList`] together. Reuse one: it keeps its memory.
#[derive(Debug, Default)]
pub struct ListBuilder {
    pub(super) items: Vec<Item>,
    pub(super) text: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Item {
    Known(SeriesRef, Option<FamilyId>),
    New { start: usize, end: usize, family: FamilyId },
}

impl ListBuilder {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.text.clear();
    }

    /// Number of series so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none yet.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A series of a list that is still held.
    pub fn known(&mut self, series: SeriesRef) {
        self.items.push(Item::Known(series, None));
    }

    /// A series of a list that is still held, whose metadata changed.
    pub fn known_as(&mut self, series: SeriesRef, family: FamilyId) {
        self.items.push(Item::Known(series, Some(family)));
    }

    /// A series by its labels.
    pub fn labels(&mut self, labels: &LabelSet, family: FamilyId) {
        let start = self.text.len();
        labels.encode(&mut self.text);
        self.items.push(Item::New { start, end: self.text.len(), family });
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.items.capacity() * size_of::<Item>()
    }

    /// Bytes of labels so far.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Labels of the series that came by them, in their order.
    pub fn encoded_labels(&self) -> impl Iterator<Item = &[u8]> {
        self.items.iter().filter_map(|item| match item {
            Item::Known(..) => None,
            Item::New { start, end, .. } => Some(&self.text[*start..*end]),
        })
    }

    /// A series by its labels as it will keep them. The series before, once more, takes no memory for them.
    pub fn encoded(&mut self, labels: Labels<'_>, family: FamilyId) {
        if let Some(Item::New { start, end, .. }) = self.items.last()
            && self.text[*start..*end] == *labels.encoded()
        {
            self.items.push(Item::New { start: *start, end: *end, family });
            return;
        }
        let start = self.text.len();
        self.text.extend_from_slice(labels.encoded());
        self.items.push(Item::New { start, end: self.text.len(), family });
    }
}

/// What became of a [`ListBuilder`].
#[derive(Debug)]
pub struct Resolved {
    /// The series, without those that are listed below.
    pub list: Arc<SeriesList>,
    /// Places in the builder of new series that found the table full.
    pub refused: Vec<usize>,
    /// Places in the builder of series that stand earlier in it too, and are left out for that.
    pub repeated: Vec<usize>,
    /// Places in the builder of series that stand earlier in the list and once more, where
    /// [`SeriesTable::list_with_repeats_at`] was told that they may.
    pub again: Vec<usize>,
}
