//! Shared values whose storage is used again: the last reference returns its buffers to a pool instead
//! of freeing them, so that a steady stream of batches allocates nothing.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// What can be emptied for its next use, keeping its capacity.
pub trait Recycle: Clone + Default + Send + Sync + 'static {
    /// The pool that values of this type share.
    fn pool() -> &'static Pool<Self>;

    /// Drops the content and keeps a bounded capacity.
    fn clear(&mut self);
}

/// Unused values waiting for their next use.
#[derive(Debug)]
pub struct Pool<T>(Mutex<Vec<Arc<T>>>);

/// Unused values a pool keeps at the most.
const KEPT: usize = 16;

impl<T> Pool<T> {
    /// An empty pool.
    pub const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A shared value from the pool of its type. Cloning shares it; [`Recycled::make_mut`] copies it only
/// while it is shared.
#[derive(Debug)]
pub struct Recycled<T: Recycle>(Option<Arc<T>>);

const HELD: &str = "a recycled value is taken out only when it is dropped";

impl<T: Recycle> Recycled<T> {
    /// An empty value, reusing the storage of an earlier one where there is one.
    pub fn new() -> Self {
        let reused = T::pool().0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(Some(reused.unwrap_or_default()))
    }

    /// The value for writing; copied first where others share it.
    pub fn make_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.as_mut().expect(HELD))
    }
}

impl<T: Recycle> Default for Recycled<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Recycle> Clone for Recycled<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Recycle> Deref for Recycled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect(HELD)
    }
}

impl<T: Recycle> Drop for Recycled<T> {
    fn drop(&mut self) {
        let Some(mut value) = self.0.take() else { return };
        let Some(unshared) = Arc::get_mut(&mut value) else { return };
        unshared.clear();
        let mut pool = T::pool().0.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() < KEPT {
            pool.push(value);
        }
    }
}

/// Clears a buffer for reuse; one that grew beyond `most` elements is freed instead.
pub fn clear_bounded<E>(buffer: &mut Vec<E>, most: usize) {
    buffer.clear();
    if buffer.capacity() > most {
        *buffer = Vec::new();
    }
}
