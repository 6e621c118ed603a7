//! The list of a request's series while the request is read.

use std::sync::Arc;

use super::cache::Known;
use crate::data::SeriesList;
use crate::data::series_table::ListBuilder;

/// The list of the series of a request while it grows. As long as every point is the next one of a list that is known,
/// it is that list.
#[derive(Debug, Default)]
pub(super) struct Growing {
    follows: Option<Arc<SeriesList>>,
    next: usize,
    list: ListBuilder,
    /// Whether a point is not known, or no longer well.
    pub news: bool,
}

impl Growing {
    /// Bytes of labels of series that are new.
    pub fn text_len(&self) -> usize {
        self.list.text_len()
    }

    pub fn clear(&mut self) {
        (self.follows, self.next, self.news) = (None, 0, false);
        self.list.clear();
    }

    /// Number of samples so far.
    pub fn len(&self) -> usize {
        if self.follows.is_some() { self.next } else { self.list.len() }
    }

    /// Adds the series of a point that is known.
    pub fn known(&mut self, known: &Known) {
        let (start, len) = (known.start as usize, known.len as usize);
        if self.len() == 0 && start == 0 {
            self.follows = Some(known.list.clone());
        }
        if self.follows.as_ref().is_some_and(|list| Arc::ptr_eq(list, &known.list)) && start == self.next {
            self.next += len;
            return;
        }
        let known = &known.list.refs()[start..start + len];
        known.iter().for_each(|series| self.own().known(*series));
    }

    /// The list by itself, since it differs from all that are known.
    pub fn own(&mut self) -> &mut ListBuilder {
        if let Some(list) = self.follows.take() {
            list.refs()[..self.next].iter().for_each(|series| self.list.known(*series));
        }
        &mut self.list
    }

    /// The list that it is, if it is a known one.
    pub fn whole(&self) -> Option<&Arc<SeriesList>> {
        self.follows.as_ref().filter(|list| list.len() == self.next)
    }
}
