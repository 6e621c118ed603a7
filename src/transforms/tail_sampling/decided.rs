//! What became of traces, for spans that come late: as many as are configured, the oldest forgotten first.

use std::collections::{HashMap, VecDeque};

use super::traces::Decided;

/// Decisions by trace.
#[derive(Debug)]
pub(super) struct Decisions {
    known: HashMap<[u8; 16], Decided>,
    order: VecDeque<[u8; 16]>,
    most: usize,
}

impl Decisions {
    /// None yet, and at most so many.
    pub fn new(most: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), most }
    }

    /// What became of a trace.
    pub fn get(&self, id: &[u8; 16]) -> Option<Decided> {
        self.known.get(id).copied()
    }

    /// Keeps in mind what became of a trace.
    pub fn insert(&mut self, id: [u8; 16], decided: Decided) {
        if self.most == 0 {
            return;
        }
        if self.known.insert(id, decided).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.known.remove(&oldest);
        }
    }
}
