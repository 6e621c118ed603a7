//! The memory in which a scrape is read and parsed. Only as many exist as scrapes run at one time, and they
//! are used again, so that a target needs none of its own between its scrapes.

use std::sync::{Mutex, PoisonError};

use super::prediction::Anew;
use crate::net::http_client::Body;

/// What one scrape works with.
#[derive(Debug, Default)]
pub(super) struct Bench {
    /// The body.
    pub body: Body,
    /// For expositions that are not as predicted.
    pub anew: Anew,
}

/// Benches that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Benches(Mutex<Vec<Bench>>);

/// Unused benches that are kept.
const KEPT: usize = 4;

/// Bytes of a body beyond which a bench is not kept.
const LARGE: usize = 8 << 20;

impl Benches {
    /// One that was used before, or a new one.
    pub fn take(&self) -> Bench {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives one back.
    pub fn put(&self, mut bench: Bench) {
        bench.anew.forget_large();
        let mut unused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < KEPT && bench.body.text.capacity() <= LARGE {
            unused.push(bench);
        }
    }
}
