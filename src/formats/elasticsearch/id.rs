//! The `_id` of a document: the same for the same bytes of the same log, however often they are read, and for the
//! same span, however often it is sent, so that a crash and a resend leave one document.
//!
//! Sixteen bytes in base64url: four of time (seconds, big endian), so that ids grow with time and Lucene
//! finds an old one's segment by its range, and twelve of a hash: of the record's position and of the input
//! by which it reached the sink, or of all that a span says.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::data::{LogView, TraceBatch};

/// Length of an id.
pub const ID_LEN: usize = 22;

/// The id of a record that has a position; `input` is the name of the output that the sink reads it from.
pub fn of_position(view: &LogView<'_>, input: &str) -> Option<[u8; ID_LEN]> {
    let start = view.batch.start_generation(view.record)?;
    let end = view.batch.end_generation(view.record)?;
    let stamp = if view.record.time.is_some() { view.record.time } else { start.birth };
    let numbers = [start.id, view.record.start, end.id, view.record.end];
    let mut hashed = [0; 32];
    for (place, number) in hashed.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
    // The input counts through its hash, so that nothing has to be put beside the numbers.
    let hash = xxh3_128_with_seed(&hashed, xxh3_64(input.as_bytes())).to_be_bytes();
    let seconds = (stamp.seconds() as u32).to_be_bytes();
    let id = std::array::from_fn(|at| if at < 4 { seconds[at] } else { hash[at - 4] });
    Some(base64url(id))
}

/// The id of a span. Its message counts as a whole: two spans that share their ids, as those of Zipkin's clients and
/// servers do, are two documents.
pub fn of_span(batch: &TraceBatch, index: usize) -> [u8; ID_LEN] {
    let hash = xxh3_128_with_seed(batch.span(index), 0).to_be_bytes();
    let seconds = (batch.spans()[index].start.seconds() as u32).to_be_bytes();
    base64url(std::array::from_fn(|at| if at < 4 { seconds[at] } else { hash[at - 4] }))
}

/// Base64url (RFC 4648, section 5) without padding, for a length that is known.
fn base64url(bytes: [u8; 16]) -> [u8; ID_LEN] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = [0; ID_LEN];
    let (threes, rest) = bytes.as_chunks::<3>();
    for (four, &[a, b, c]) in text.chunks_exact_mut(4).zip(threes) {
        let bits = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        for (place, shift) in four.iter_mut().zip([18, 12, 6, 0]) {
            *place = ALPHABET[bits >> shift & 63];
        }
    }
    // One byte of sixteen is left: six bits, then two.
    if let ([last], [.., first, second]) = (rest, &mut text) {
        (*first, *second) = (ALPHABET[usize::from(last >> 2)], ALPHABET[usize::from(last & 3) << 4]);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::Engine;

    use super::*;
    use crate::data::{Chunk, Generation, LogBuilder, LogRecord, Slice, UnixNanos};

    fn id(time: u64, generation: u64, start: u64, input: &str) -> Option<[u8; ID_LEN]> {
        let mut builder = LogBuilder::new(Arc::default(), Arc::default());
        builder.add_chunk(Chunk::from_static(b"x"));
        let birth = UnixNanos(7_000_000_000);
        if generation > 0 {
            builder.source().generations.push(Generation { id: generation, birth });
        }
        let record = LogRecord { time: UnixNanos(time), start, end: start + 10, ..LogRecord::of_body(Slice::EMPTY) };
        builder.source().records.push(record);
        of_position(&builder.build().view(0), input)
    }

    #[test]
    fn is_a_function_of_position_and_input_alone() {
        let first = id(5_000_000_000, 1, 100, "steps/main");
        assert!(first.is_some());
        assert_eq!(first, id(5_000_000_000, 1, 100, "steps/main"));
        assert_ne!(first, id(5_000_000_000, 2, 100, "steps/main"));
        assert_ne!(first, id(5_000_000_000, 1, 101, "steps/main"));
        assert_ne!(first, id(5_000_000_000, 1, 100, "steps/other"));
        let long = "x".repeat(200);
        assert_ne!(id(1, 1, 1, &long), id(1, 1, 1, &format!("{long}y")));
        assert_eq!(id(5_000_000_000, 0, 100, "steps/main"), None, "no position, no id");
    }

    proptest::proptest! {
        #[test]
        fn the_text_is_base64url(bytes in proptest::array::uniform16(0u8..)) {
            let expected = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
            proptest::prop_assert_eq!(expected.as_bytes(), base64url(bytes));
        }
    }

    #[test]
    fn a_record_without_time_has_the_birth_of_its_log() {
        let seconds = |id: Option<[u8; ID_LEN]>| {
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id.expect("has one")).expect("valid");
            u32::from_be_bytes(*bytes.first_chunk().expect("sixteen bytes"))
        };
        assert_eq!(seconds(id(0, 1, 1, "a")), 7);
        assert_eq!(seconds(id(9_999_999_999, 1, 1, "a")), 9);
    }
}
