//! Compressed request bodies, written as they are encoded: what is uncompressed never exists as a whole.

use std::io::Write;

use flate2::write::GzEncoder;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952) at a level from 1 to 9.
    Gzip(u32),
}

/// A body being written.
#[derive(Debug)]
pub struct BodyWriter {
    text: Vec<u8>,
    gzip: Option<GzEncoder<Vec<u8>>>,
    /// Bytes that were compressed so far.
    compressed: usize,
}

/// Uncompressed bytes gathered before they are compressed: enough to make a call worth it, few enough to
/// stay in the processor's cache.
const STAGE: usize = 64 * 1024;

impl BodyWriter {
    /// A body that goes into `buffer`, which is emptied first; its capacity should be what the body needs.
    pub fn new(compression: Compression, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        match compression {
            Compression::None => Self { text: buffer, gzip: None, compressed: 0 },
            Compression::Gzip(level) => {
                let gzip = Some(GzEncoder::new(buffer, flate2::Compression::new(level)));
                Self { text: Vec::with_capacity(STAGE * 2), gzip, compressed: 0 }
            }
        }
    }

    /// Where to append what comes next. Call [`BodyWriter::written`] after each record.
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Bytes of the body so far, uncompressed.
    pub fn len(&self) -> usize {
        self.compressed + self.text.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A record is complete: what was gathered may be compressed.
    pub fn written(&mut self) {
        if self.gzip.is_some() && self.text.len() >= STAGE {
            self.compress();
        }
    }

    /// The body.
    pub fn finish(mut self) -> Vec<u8> {
        self.compress();
        match self.gzip {
            Some(gzip) => gzip.finish().expect(INTO_MEMORY),
            None => self.text,
        }
    }

    fn compress(&mut self) {
        let Some(gzip) = &mut self.gzip else { return };
        gzip.write_all(&self.text).expect(INTO_MEMORY);
        self.compressed += self.text.len();
        self.text.clear();
    }
}

const INTO_MEMORY: &str = "writing into memory does not fail";

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn body(compression: Compression) -> Vec<u8> {
        let mut writer = BodyWriter::new(compression, Vec::new());
        for number in 0..20_000 {
            writer.text().extend_from_slice(format!("line {number}\n").as_bytes());
            writer.written();
        }
        writer.finish()
    }

    #[test]
    fn gzip_holds_the_same_bytes() {
        let plain = body(Compression::None);
        for level in [1, 6, 9] {
            let packed = body(Compression::Gzip(level));
            assert!(packed.len() < plain.len() / 2);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("valid gzip");
            assert_eq!(unpacked, plain);
        }
    }
}
