//! Bodies that arrive compressed, inflated into a buffer that is used again, up to a limit: a few kilobytes
//! can stand for gigabytes.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

/// Inflates one body after the other with the same state.
#[derive(Debug)]
pub struct Inflater(Decompress);

/// Why a body cannot be inflated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// It is not gzip.
    #[error("the body is not valid gzip: {0}")]
    Invalid(String),
    /// It is not zstd, or wants more memory than [`ZSTD_WINDOW`].
    #[error("the body is not valid zstd: {0}")]
    InvalidZstd(String),
    /// It ends too early.
    #[error("the gzip body ends too early")]
    Truncated,
    /// It stands for more than the limit.
    #[error("the body inflates to more than {0} bytes")]
    TooLarge(usize),
}

/// The largest window that gzip has, as a power of two.
const WINDOW_BITS: u8 = 15;

/// Room that is made for output at first.
const FIRST_ROOM: usize = 64 * 1024;

/// The largest window of zstd that is kept, as a power of two: what its format (RFC 8878, 3.1.1.1.2) recommends
/// that every decoder supports.
pub const ZSTD_WINDOW: u32 = 23;

/// Puts what the zstd (RFC 8878, one frame or several) in `packed` stands for into `into`, which is emptied first and
/// keeps its capacity. At most `most` bytes; on an error `into` holds a part.
pub fn zstd(packed: &[u8], into: &mut Vec<u8>, most: usize) -> Result<(), InflateError> {
    into.clear();
    let invalid = |error: std::io::Error| InflateError::InvalidZstd(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(invalid)?;
    decoder.window_log_max(ZSTD_WINDOW).map_err(invalid)?;
    // One byte more than allowed shows that there is more.
    let most_read = (most as u64).saturating_add(1);
    decoder.take(most_read).read_to_end(into).map_err(invalid)?;
    if into.len() > most { Err(InflateError::TooLarge(most)) } else { Ok(()) }
}

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new_gzip(WINDOW_BITS))
    }
}

impl Inflater {
    /// Puts what the gzip (RFC 1952, one member or several) in `packed` stands for into `into`, which is
    /// emptied first and keeps its capacity. At most `most` bytes; on an error `into` holds a part.
    pub fn gzip(&mut self, packed: &[u8], into: &mut Vec<u8>, most: usize) -> Result<(), InflateError> {
        into.clear();
        let mut rest = packed;
        loop {
            // The format of the wrapper stays: `true` asks for one at all.
            self.0.reset(true);
            rest = self.member(rest, into, most)?;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn member<'a>(&mut self, mut rest: &'a [u8], into: &mut Vec<u8>, most: usize) -> Result<&'a [u8], InflateError> {
        loop {
            if into.len() == into.capacity() {
                // One byte more than allowed shows that there is more.
                let room = most.saturating_add(1) - into.len();
                into.reserve_exact(into.capacity().max(FIRST_ROOM).min(room));
            }
            let before = self.0.total_in();
            let invalid = |error: flate2::DecompressError| InflateError::Invalid(error.to_string());
            let status = self.0.decompress_vec(rest, into, FlushDecompress::None).map_err(invalid)?;
            let taken = self.0.total_in() - before;
            rest = &rest[usize::try_from(taken).unwrap_or(usize::MAX).min(rest.len())..];
            if into.len() > most {
                return Err(InflateError::TooLarge(most));
            }
            match status {
                Status::StreamEnd => return Ok(rest),
                Status::Ok | Status::BufError if rest.is_empty() && into.len() < into.capacity() => {
                    return Err(InflateError::Truncated);
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).expect("into memory");
        gzip.finish().expect("into memory")
    }

    #[test]
    fn bodies_are_inflated_into_the_same_buffer_without_growing_it_again() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut inflater, mut out) = (Inflater::default(), Vec::new());
        for _ in 0..50 {
            let text: Vec<u8> = (0..random.usize(..300_000)).map(|_| random.u8(b'a'..=b'f')).collect();
            inflater.gzip(&packed(&text), &mut out, 1 << 20).expect("valid gzip");
            assert_eq!(out, text);
            let (address, capacity) = (out.as_ptr(), out.capacity());
            inflater.gzip(&packed(&text), &mut out, 1 << 20).expect("valid gzip");
            assert_eq!((out.as_ptr(), out.capacity()), (address, capacity));
            assert_eq!(inflater.gzip(&packed(&text), &mut out, text.len()), Ok(()), "the limit itself is allowed");
        }
    }

    #[test]
    fn zstd_is_bounded_too() {
        let text = b"one two three ".repeat(1000);
        let packed =
            [zstd::encode_all(&text[..], 1).expect("packs"), zstd::encode_all(&b"four"[..], 1).expect("packs")];
        let (packed, whole) = (packed.concat(), [&text[..], b"four"].concat());
        let mut out = Vec::new();
        assert_eq!(super::zstd(&packed, &mut out, whole.len()), Ok(()));
        assert_eq!(out, whole, "frames follow each other");
        assert_eq!(super::zstd(&packed, &mut out, whole.len() - 1), Err(InflateError::TooLarge(whole.len() - 1)));
        for broken in [&packed[..packed.len() - 3], &b"no zstd"[..]] {
            assert!(matches!(super::zstd(broken, &mut out, 1 << 20), Err(InflateError::InvalidZstd(_))));
        }
        let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("makes");
        wide.window_log(27).and_then(|()| wide.long_distance_matching(true)).expect("sets");
        std::io::Write::write_all(&mut wide, &vec![7; 9 << 20]).expect("into memory");
        let wide = wide.finish().expect("into memory");
        assert!(matches!(super::zstd(&wide, &mut out, 64 << 20), Err(InflateError::InvalidZstd(_))));
    }

    #[test]
    fn members_follow_each_other() {
        let mut out = Vec::new();
        let two = [packed(b"one "), packed(b"two")].concat();
        Inflater::default().gzip(&two, &mut out, 100).expect("valid gzip");
        assert_eq!(out, b"one two");
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = packed(&vec![0; 50 << 20]);
        let mut out = Vec::new();
        assert_eq!(Inflater::default().gzip(&bomb, &mut out, 100_000), Err(InflateError::TooLarge(100_000)));
        assert!(out.capacity() <= 100_001, "no more memory than the limit: {}", out.capacity());
    }

    #[test]
    fn what_is_no_gzip_or_damaged_is_told() {
        let mut inflater = Inflater::default();
        let (whole, mut out) = (packed(b"a body of some length, so that there is something to cut"), Vec::new());
        for end in 0..whole.len() {
            assert_eq!(inflater.gzip(&whole[..end], &mut out, 1000), Err(InflateError::Truncated), "cut at {end}");
        }
        assert!(matches!(inflater.gzip(b"plain text", &mut out, 1000), Err(InflateError::Invalid(_))));
        let mut damaged = whole.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(matches!(inflater.gzip(&damaged, &mut out, 1000), Err(InflateError::Invalid(_))));
        inflater.gzip(&whole, &mut out, 1000).expect("an error leaves nothing behind");
    }
}
