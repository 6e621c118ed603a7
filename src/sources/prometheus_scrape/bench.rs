//! The memory in which a scrape is read and parsed. Only as many exist as scrapes run at one time, and they
//! are used again, so that a target needs none of its own between its scrapes.

use std::sync::{Arc, Mutex, PoisonError};

use super::prediction::Anew;
use crate::data::Budget;
use crate::net::http_client::Body;

/// What one scrape works with.
#[derive(Debug)]
pub(super) struct Bench {
    /// The body.
    pub body: Body,
    /// For expositions that are not as predicted.
    pub anew: Anew,
}

/// Benches that nobody uses.
#[derive(Debug)]
pub(super) struct Benches {
    unused: Mutex<Vec<Bench>>,
    /// What bodies in flight take their memory from.
    budget: Arc<Budget>,
}

/// Unused benches that are kept.
const KEPT: usize = 4;

/// Bytes of a bench beyond which it is not kept.
const LARGE: usize = 8 << 20;

impl Benches {
    /// None yet; what is on one counts in `budget`.
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { unused: Mutex::default(), budget }
    }

    /// One that was used before, or a new one.
    pub fn take(&self) -> Bench {
        let unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop();
        unused.unwrap_or_else(|| Bench { body: Body::within(self.budget.clone()), anew: Anew::default() })
    }

    /// Gives one back.
    pub fn put(&self, mut bench: Bench) {
        bench.anew.forget_large();
        bench.body.release();
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT && bench.body.bytes() <= LARGE {
            unused.push(bench);
        }
    }
}
