//! The resources of spans, by their bytes: what each says, and what steps make of it, found out once.

use std::sync::Arc;

use super::desk::{Desk, Sheets};
use super::{Guarded, NO_ENTRY, On};
use crate::data::Resource;
use crate::formats::otlp::origin::read_resource;

/// Most resources that a worker remembers, and most bytes of them.
const MOST: usize = 256;
const MOST_BYTES: usize = 4 << 20;

/// What a worker knows of resources.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    /// Whether any step asks for one.
    asks: bool,
    /// Whether any step edits one.
    edits: bool,
    known: Vec<Known>,
    bytes: usize,
    /// The one that was found last.
    last: usize,
    unread: Arc<Resource>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Its message as it came.
    came: Box<[u8]>,
    /// What each of the steps reads.
    seen: Vec<Arc<Resource>>,
    /// Its message as the steps leave it, if they change it.
    edited: Option<Box<[u8]>>,
}

impl Resources {
    pub(super) fn new(asks: bool, edits: bool) -> Self {
        Self { asks, edits, known: Vec::new(), bytes: 0, last: 0, unread: Arc::default() }
    }

    /// The place of a resource, for [`Resources::seen`]; good until another one is looked for.
    pub(super) fn find(&mut self, came: &[u8], steps: &mut [Guarded]) -> usize {
        if !self.asks {
            return 0;
        }
        let is = |known: &Known| *known.came == *came;
        if self.known.get(self.last).is_some_and(is) {
            return self.last;
        }
        self.last = self.known.iter().position(is).unwrap_or_else(|| {
            if self.known.len() >= MOST || self.bytes + came.len() > MOST_BYTES {
                self.known.clear();
                self.bytes = 0;
            }
            self.known.push(Known::new(came, steps));
            self.bytes += came.len();
            self.known.len() - 1
        });
        self.last
    }

    /// What the step of this number reads of a resource.
    pub(super) fn seen(&self, place: usize, step: usize) -> &Arc<Resource> {
        self.known.get(place).and_then(|known| known.seen.get(step)).unwrap_or(&self.unread)
    }

    /// What the steps make of a resource, if they change it.
    pub(super) fn edited(&mut self, came: &[u8], steps: &mut [Guarded]) -> Option<&[u8]> {
        if !self.edits {
            return None;
        }
        let place = self.find(came, steps);
        self.known[place].edited.as_deref()
    }
}

impl Known {
    fn new(came: &[u8], steps: &mut [Guarded]) -> Self {
        let mut resource = Arc::new(read(came));
        let mut seen = Vec::with_capacity(steps.len());
        let mut sheets = Sheets::default();
        for guarded in steps {
            seen.push(resource.clone());
            if guarded.step.edits_resource() {
                let now = resource.clone();
                let mut desk = Desk {
                    on: On::Resource,
                    entry: &mut NO_ENTRY.clone(),
                    came,
                    scope: &[],
                    resource: &now,
                    sheets: &mut sheets,
                };
                guarded.run(&mut desk);
                resource = Arc::new(read(desk.message()));
            }
        }
        let edited = sheets.open.map(|open| open.content(&sheets.written).into());
        Self { came: came.into(), seen, edited }
    }
}

/// What the index has proven cannot fail to be read.
fn read(message: &[u8]) -> Resource {
    read_resource(message, b"").unwrap_or_default()
}
