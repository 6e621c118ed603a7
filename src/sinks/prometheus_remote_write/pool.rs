//! Memory of bodies: the last reference to a body brings its memory back for the next.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::formats::prometheus::remote_write::Request;

/// Memory that waits for a body.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyPool(Arc<Mutex<Vec<Vec<u8>>>>);

/// Pieces of memory that are kept at the most.
const KEPT: usize = 4;

impl BodyPool {
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// The bytes of a request.
    pub fn lend(&self, request: Request) -> Bytes {
        Bytes::from_owner(Lent { request: Some(request), pool: self.clone() })
    }
}

struct Lent {
    request: Option<Request>,
    pool: BodyPool,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.request.as_ref().map_or(&[], |request| request.as_ref())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut free = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT
            && let Some(request) = self.request.take()
        {
            free.push(request.into_memory());
        }
    }
}
