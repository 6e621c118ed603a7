//! What a file is recognised by when its name and place say nothing: hashes of its first bytes and of the
//! bytes before a position.

use std::fs::File;
use std::io;

use xxhash_rust::xxh3::xxh3_64;

use super::read::fill;

/// Most bytes that are hashed.
pub const BYTES: usize = 1024;

/// A hash of at most [`BYTES`] bytes, and how many they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Number of bytes.
    pub len: u16,
    /// XXH3 of them.
    pub hash: u64,
}

impl Fingerprint {
    fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u16, hash: xxh3_64(bytes) }
    }

    /// Of the file's first bytes.
    pub fn of_prefix(file: &File) -> io::Result<Self> {
        read(file, 0, BYTES)
    }

    /// Of the bytes before `offset`.
    pub fn before(file: &File, offset: u64) -> io::Result<Self> {
        let from = offset.saturating_sub(BYTES as u64);
        read(file, from, (offset - from) as usize)
    }

    /// Whether the file begins with these bytes.
    pub fn begins(&self, file: &File) -> io::Result<bool> {
        Ok(read(file, 0, usize::from(self.len))? == *self)
    }

    /// Whether these bytes stand before `offset`.
    pub fn ends(&self, file: &File, offset: u64) -> io::Result<bool> {
        let from = offset.saturating_sub(u64::from(self.len));
        Ok(read(file, from, usize::from(self.len))? == *self)
    }

    /// Whether `bytes` begin with these.
    pub fn begins_bytes(&self, bytes: &[u8]) -> bool {
        bytes.get(..usize::from(self.len)).is_some_and(|prefix| Self::of(prefix) == *self)
    }
}

/// Reads up to `len` bytes; fewer where the file ends.
fn read(file: &File, from: u64, len: usize) -> io::Result<Fingerprint> {
    let mut bytes = [0; BYTES];
    let filled = fill(file, from, &mut bytes[..len])?;
    Ok(Fingerprint::of(&bytes[..filled]))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_prefix_stays_recognisable_as_the_file_grows() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"first line\n").expect("writes");
        let prefix = Fingerprint::of_prefix(&file).expect("reads");
        let before = Fingerprint::before(&file, 11).expect("reads");
        file.write_all(&[b'x'; 5000]).expect("writes");
        assert!(prefix.begins(&file).expect("reads"));
        assert!(before.ends(&file, 11).expect("reads"));
        assert!(!before.ends(&file, 12).expect("reads"));
        assert!(prefix.begins_bytes(b"first line\nand more"));
        assert!(!prefix.begins_bytes(b"first"));
        file.set_len(0).expect("truncates");
        assert!(!prefix.begins(&file).expect("reads"));
        assert!(Fingerprint::default().len == 0);
    }
}
