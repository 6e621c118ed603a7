//! What the records of the journals of pages and of silences are made of. A record is a version (1), a kind, and fields one
//! behind the other: numbers as varints, times as their eight bytes in little endian, texts and bytes behind their length as a
//! varint. Those of the journal of alerts (`state`) begin in the same way, and have fields of fixed widths.

use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// The version of the records that are written.
const VERSION: u8 = 1;

/// Writes a record.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a record of a kind.
    pub fn new(kind: u8) -> Self {
        Self(vec![VERSION, kind])
    }

    /// The record.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A number.
    #[must_use]
    pub fn number(mut self, mut number: u64) -> Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// A time.
    #[must_use]
    pub fn time(mut self, time: UnixMillis) -> Self {
        self.0.extend_from_slice(&time.0.to_le_bytes());
        self
    }

    /// Eight bytes.
    #[must_use]
    pub fn eight(mut self, bytes: u64) -> Self {
        self.0.extend_from_slice(&bytes.to_le_bytes());
        self
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let mut with_length = self.number(bytes.len() as u64);
        with_length.0.extend_from_slice(bytes);
        with_length
    }

    /// A text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Labels: their number, then name and value of each.
    #[must_use]
    pub fn labels(self, labels: &LabelSet) -> Self {
        let start = self.number(labels.len() as u64);
        labels.iter().fold(start, |writer, (name, value)| writer.text(name).text(value))
    }
}

/// Reads a record. Each field is `None` where the record ends before it, or is not what it should be.
#[derive(Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The kind of a record, and its fields; `None` where it is of a version that is not known.
    pub fn new(record: &'a [u8]) -> Option<(u8, Self)> {
        match record {
            [VERSION, kind, fields @ ..] => Some((*kind, Self(fields))),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// A time.
    pub fn time(&mut self) -> Option<UnixMillis> {
        self.eight().map(|bytes| UnixMillis(bytes as i64))
    }

    /// Eight bytes.
    pub fn eight(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Labels.
    pub fn labels(&mut self) -> Option<LabelSet> {
        let mut labels = LabelSet::new();
        for _ in 0..self.number()? {
            let (name, value) = (self.text()?, self.text()?);
            labels.set(name, value);
        }
        Some(labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written_and_no_further() {
        let labels: LabelSet = [("b", "2"), ("a", "é")].into_iter().collect();
        let record =
            Writer::new(7).number(300).time(UnixMillis(-5)).eight(u64::MAX).labels(&labels).bytes(b"x").finish();
        for length in 0..=record.len() {
            let Some((kind, mut reader)) = Reader::new(&record[..length]) else {
                assert!(length < 2);
                continue;
            };
            let read = (|| {
                let found = (reader.number()?, reader.time()?, reader.eight()?, reader.labels()?, reader.bytes()?);
                Some(found)
            })();
            assert_eq!((kind, read.is_some()), (7, length == record.len()));
            if let Some(read) = read {
                assert_eq!(read, (300, UnixMillis(-5), u64::MAX, labels.clone(), b"x".as_slice()));
            }
        }
        assert!(Reader::new(&[2, 1]).is_none() && Reader(&[0xff; 20]).number().is_none());
    }
}
