//! A buffer that is written at a place instead of grown byte by byte: a sample reserves room once.

/// Bytes up to a place; what is behind it is room.
#[derive(Debug, Default)]
pub(super) struct Out {
    bytes: Vec<u8>,
    at: usize,
}

/// Longest varint.
pub(super) const VARINT: usize = 10;

impl Out {
    /// Room for `more` bytes at the place; [`Out::advance`] says how many were written.
    #[inline]
    pub fn room(&mut self, more: usize) -> &mut [u8] {
        let end = self.at + more;
        if self.bytes.len() < end {
            self.grow(end);
        }
        &mut self.bytes[self.at..end]
    }

    #[cold]
    fn grow(&mut self, end: usize) {
        let size = end.max(2 * self.bytes.len()).max(4096);
        self.bytes.resize(size, 0);
    }

    #[inline]
    pub fn advance(&mut self, written: usize) {
        self.at += written;
    }

    pub fn len(&self) -> usize {
        self.at
    }

    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    pub fn clear(&mut self) {
        self.at = 0;
    }

    /// Removes bytes from the front.
    pub fn take_front(&mut self, bytes: usize) {
        self.bytes.copy_within(bytes..self.at, 0);
        self.at -= bytes;
    }

    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a varint at a place and moves it on.
#[inline]
pub(super) fn put_varint(mut value: u64, room: &mut [u8], at: &mut usize) {
    while value >= 0x80 {
        room[*at] = value as u8 | 0x80;
        *at += 1;
        value >>= 7;
    }
    room[*at] = value as u8;
    *at += 1;
}

/// Bytes of a varint.
#[inline]
pub(super) const fn varint_len(value: u64) -> usize {
    ((u64::BITS - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// The message `Sample` as a field, with the number left out: all samples of one time share it.
#[derive(Debug)]
pub(super) struct SampleField {
    time: i64,
    bytes: [u8; SAMPLE_ROOM],
    len: usize,
}

/// Room for a sample without a start: tag, length, tag, number, tag, time.
pub(super) const SAMPLE_ROOM: usize = 2 + 9 + 1 + VARINT;

impl SampleField {
    pub fn new() -> Self {
        let mut field = Self { time: 0, bytes: [0; SAMPLE_ROOM], len: 0 };
        field.fill(0);
        field
    }

    #[cold]
    fn fill(&mut self, time: i64) {
        let mut at = 11;
        self.bytes[..3].copy_from_slice(&[0x12, 0, 0x09]);
        self.bytes[at] = 0x10;
        at += 1;
        put_varint(time as u64, &mut self.bytes, &mut at);
        self.bytes[1] = (at - 2) as u8;
        (self.time, self.len) = (time, at);
    }

    /// Bytes that [`SampleField::write`] writes for this time.
    #[inline]
    pub fn prepare(&mut self, time: i64) -> usize {
        if time != self.time {
            self.fill(time);
        }
        self.len
    }

    /// Writes the sample; `room` has [`SAMPLE_ROOM`] bytes, of which those behind the sample mean nothing.
    #[inline]
    pub fn write(&self, value: f64, room: &mut [u8]) {
        room[..SAMPLE_ROOM].copy_from_slice(&self.bytes);
        room[3..11].copy_from_slice(&value.to_bits().to_le_bytes());
    }
}
