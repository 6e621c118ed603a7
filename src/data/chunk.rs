//! Owners of payload bytes: frozen chunks, the slabs that readers fill, and the slices that name bytes in them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::budget::{Budget, Permit};

/// Frozen payload bytes, shared by reference count. Whoever holds a chunk keeps its bytes alive, and
/// nobody can change them.
#[derive(Clone, Debug, Default)]
pub struct Chunk(Bytes);

impl Chunk {
    /// Wraps bytes that live as long as the program: constants of the configuration's own making are
    /// better held once in a chunk and cloned.
    pub fn from_static(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }

    /// Copies nothing: the bytes are already refcounted.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Takes the vector over, so that the chunk owns it alone.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Bytes::from(bytes))
    }

    /// Takes the vector over together with the memory permit that pays for it; the permit is returned
    /// when the last reference goes.
    pub fn from_paid_vec(bytes: Vec<u8>, permit: Permit) -> Self {
        struct Paid(Vec<u8>, #[expect(dead_code, reason = "held for its drop")] Permit);
        impl AsRef<[u8]> for Paid {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Self(Bytes::from_owner(Paid(bytes, permit)))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// A part of the chunk that keeps all of it alive: for a request body, which is sent and gone.
    pub fn share(&self, slice: Slice) -> Bytes {
        let start = slice.start as usize;
        self.0.slice(start..start + slice.len as usize)
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the chunk holds no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A run of bytes in one chunk of the batch that the slice belongs to; meaningless outside that batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Index of the chunk in the batch.
    pub chunk: u32,
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Slice {
    /// A slice that names nothing: chunk 0, no bytes.
    pub const EMPTY: Self = Self { chunk: 0, start: 0, len: 0 };

    /// Names `len` bytes from `start` in `chunk`.
    pub const fn new(chunk: u32, start: u32, len: u32) -> Self {
        Self { chunk, start, len }
    }

    /// Whether the slice has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part `[from, to)` of this slice, offsets relative to its start.
    pub const fn sub(&self, from: u32, to: u32) -> Self {
        debug_assert!(from <= to && to <= self.len);
        Self { chunk: self.chunk, start: self.start + from, len: to - from }
    }
}

/// Size of a slab: what one `read` can bring.
pub const SLAB_BYTES: usize = 256 * 1024;

/// Below this fill a frozen slab is copied into a chunk of its own size, so that a few bytes never pin
/// a whole slab.
const COPY_OUT_BELOW: usize = SLAB_BYTES / 4;

/// Hands out slabs, pays for them from a [`Budget`] and takes them back when the last chunk made of
/// them is gone, so that steady reading allocates nothing.
#[derive(Clone, Debug)]
pub struct SlabPool(Arc<PoolInner>);

#[derive(Debug)]
struct PoolInner {
    budget: Arc<Budget>,
    free: Mutex<Vec<Vec<u8>>>,
    keep: usize,
}

impl SlabPool {
    /// A pool that keeps at most `keep` unused slabs for reuse.
    pub fn new(budget: Arc<Budget>, keep: usize) -> Self {
        Self(Arc::new(PoolInner { budget, free: Mutex::new(Vec::new()), keep }))
    }

    /// A slab to read into; waits while the memory budget is spent.
    pub async fn take(&self) -> Slab {
        let permit = self.0.budget.acquire(SLAB_BYTES as u64).await;
        self.slab(permit)
    }

    /// A slab if the memory budget has room right now.
    pub fn try_take(&self) -> Option<Slab> {
        let permit = self.0.budget.try_acquire(SLAB_BYTES as u64)?;
        Some(self.slab(permit))
    }

    /// What pays for the slabs.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.0.budget
    }

    fn slab(&self, permit: Permit) -> Slab {
        let recycled = self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = recycled.unwrap_or_else(|| vec![0; SLAB_BYTES]);
        Slab { bytes, filled: 0, pool: self.0.clone(), permit: Some(permit) }
    }
}

impl PoolInner {
    fn give_back(&self, bytes: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.keep {
            free.push(bytes);
        }
    }
}

/// 256 KiB being filled by one reader. Several small reads share one slab; [`Slab::freeze`] turns it
/// into a chunk.
#[derive(Debug)]
pub struct Slab {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<PoolInner>,
    permit: Option<Permit>,
}

impl Slab {
    /// The part not yet filled. Its content is whatever an earlier use left there.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled..]
    }

    /// Says that the first `n` bytes of [`Slab::space`] are filled.
    pub fn advance(&mut self, n: usize) {
        assert!(n <= self.bytes.len() - self.filled, "a slab is never filled beyond its end");
        self.filled += n;
    }

    /// Copies `bytes` to the front of the space; false (and nothing copied) where they do not fit.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(space) = self.space().get_mut(..bytes.len()) else { return false };
        space.copy_from_slice(bytes);
        self.advance(bytes.len());
        true
    }

    /// The bytes filled so far.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Freezes the filled bytes. A slab less than a quarter full is copied into a chunk of its own size
    /// and goes straight back to the pool.
    pub fn freeze(mut self) -> Chunk {
        if self.filled < COPY_OUT_BELOW {
            let copy = self.filled().to_vec();
            let permit = self.permit.take().map(|p| p.shrink(self.filled as u64));
            return match permit {
                Some(permit) => Chunk::from_paid_vec(copy, permit),
                None => Chunk::from_vec(copy),
            };
        }
        Chunk(Bytes::from_owner(self))
    }
}

impl AsRef<[u8]> for Slab {
    fn as_ref(&self) -> &[u8] {
        self.filled()
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.bytes));
    }
}
