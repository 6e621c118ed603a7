//! The hash that Prometheus has of labels where others depend on it, so that it must be that one and no better one: it
//! decides at which times a group of rules is evaluated and which series `limit_ratio` picks.

use xxhash_rust::xxh64::xxh64;

/// XXH64 with seed 0 (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>) of names and values, in the order
/// of the names, each after its length.
pub fn prometheus_hash<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut bytes = Vec::with_capacity(128);
    for (name, value) in labels {
        for text in [name, value] {
            match text.len() {
                short @ ..255 => bytes.push(short as u8),
                long => bytes.extend_from_slice(&[255, long as u8, (long >> 8) as u8, (long >> 16) as u8]),
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_xxh64_of_lengths_and_texts() {
        assert_eq!(prometheus_hash([]), 0xef46_db37_51d8_e999);
        assert_eq!(prometheus_hash([("a", "bc")]), xxh64(b"\x01a\x02bc", 0));
        let long = "x".repeat(70_000);
        let encoded = [b"\x01a\xff\x70\x11\x01".as_slice(), long.as_bytes()].concat();
        assert_eq!(prometheus_hash([("a", long.as_str())]), xxh64(&encoded, 0));
    }
}
