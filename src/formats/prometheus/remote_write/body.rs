//! The body of a request while it grows, and finished.
//!
//! Snappy's block format compresses 64 KiB at a time, each by itself, so a body is compressed while it grows:
//! what lies uncompressed is never more than one block, warm in the cache. In 2.0 the symbols that a request
//! needs are known last and stand first; since blocks refer only to themselves, parts that were compressed
//! apart can be put one behind the other.
//! <https://github.com/google/snappy/blob/main/format_description.txt>

use snap::raw::{Encoder, max_compress_len};

use super::Counts;
use super::out::{Out, VARINT, put_varint, varint_len};
use super::symbols::Local;

/// Bytes that Snappy compresses at a time.
const BLOCK: usize = 64 << 10;

/// A request's body, being filled.
#[derive(Debug)]
pub struct Body {
    /// What stands first: symbols in 2.0, metadata in 1.0.
    pub(super) head: Vec<u8>,
    /// Series that are not compressed yet.
    pub(super) series: Out,
    /// What its symbols are called, in 2.0.
    pub(super) local: Local,
    pub(super) counts: Counts,
    compressed: Vec<u8>,
    /// Bytes of series that are in `compressed`, which begins with room for a length.
    passed: usize,
    block: usize,
}

/// A finished body.
#[derive(Debug)]
pub struct Request {
    bytes: Vec<u8>,
    start: usize,
    /// What it has.
    pub counts: Counts,
    /// Bytes before compression.
    pub uncompressed: usize,
}

impl AsRef<[u8]> for Request {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Request {
    /// Its memory, for the next body.
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }
}

/// Compresses; keep one and use it for every body.
#[derive(Debug)]
pub struct Compressor(Encoder);

impl Default for Compressor {
    fn default() -> Self {
        Self(Encoder::new())
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::with_blocks(BLOCK)
    }
}

impl Body {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// A body that is compressed in the end alone, for measuring what precedes compression.
    pub fn uncompressed() -> Self {
        Self::with_blocks(usize::MAX)
    }

    fn with_blocks(block: usize) -> Self {
        Self {
            head: Vec::new(),
            series: Out::default(),
            local: Local::default(),
            counts: Counts::default(),
            compressed: Vec::new(),
            passed: 0,
            block,
        }
    }

    /// Bytes so far, before compression.
    #[inline]
    pub fn len(&self) -> usize {
        self.head.len() + self.passed + self.series.len()
    }

    /// Whether it has no series.
    pub fn is_empty(&self) -> bool {
        self.passed + self.series.len() == 0
    }

    /// What it has so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.head.capacity() + self.series.capacity() + self.compressed.capacity() + self.local.bytes()
    }

    /// Forgets what it has and keeps the memory.
    pub fn clear(&mut self) {
        self.head.clear();
        self.series.clear();
        self.local.clear();
        self.compressed.clear();
        self.counts = Counts::default();
        self.passed = 0;
    }

    /// Compresses the blocks that are full.
    #[inline]
    pub(super) fn compress(&mut self, compressor: &mut Compressor) {
        if self.series.len() >= self.block {
            self.compress_blocks(compressor);
        }
    }

    #[cold]
    fn compress_blocks(&mut self, compressor: &mut Compressor) {
        let whole = self.series.len() / self.block * self.block;
        if self.compressed.is_empty() {
            self.compressed.resize(VARINT, 0);
        }
        compressor.append(&self.series.written()[..whole], &mut self.compressed);
        self.series.take_front(whole);
        self.passed += whole;
    }

    /// Finishes the request into `memory`, and leaves an empty body.
    pub fn finish(&mut self, compressor: &mut Compressor, memory: Vec<u8>) -> Request {
        let (counts, uncompressed) = (self.counts, self.len());
        let mut bytes = memory;
        bytes.clear();
        // Room for the length, which is written last: its own length differs.
        bytes.resize(VARINT, 0);
        compressor.append(&self.head, &mut bytes);
        bytes.extend_from_slice(self.compressed.get(VARINT..).unwrap_or_default());
        compressor.append(self.series.written(), &mut bytes);
        let start = VARINT - varint_len(uncompressed as u64);
        let mut at = start;
        put_varint(uncompressed as u64, &mut bytes, &mut at);
        self.clear();
        Request { bytes, start, counts, uncompressed }
    }

    /// The body as it is before compression, for tests and measurements. Only of [`Body::uncompressed`].
    pub fn plain(&self) -> Vec<u8> {
        assert_eq!(self.passed, 0, "nothing was compressed yet");
        [&self.head, self.series.written()].concat()
    }
}

impl Compressor {
    /// Appends `input` compressed, without the length that begins a compressed text, behind at least
    /// [`VARINT`] bytes.
    fn append(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if input.is_empty() {
            return;
        }
        // The compressor writes the length first: it lands on the last bytes that are there, which come back.
        let header = varint_len(input.len() as u64);
        let start = out.len() - header;
        let mut before = [0; VARINT];
        before[..header].copy_from_slice(&out[start..]);
        out.resize(start + max_compress_len(input.len()), 0);
        const FITS: &str = "a body has less than 4 GiB, and the room is as long as it can become";
        let written = self.0.compress(input, &mut out[start..]).expect(FITS);
        out[start..start + header].copy_from_slice(&before[..header]);
        out.truncate(start + written);
    }
}
