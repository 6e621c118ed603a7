//! The cursor's bytes, as the folder's documentation says them.

const MAGIC: &[u8; 8] = b"TWQCURSR";
const VERSION: u16 = 1;
const LENGTH: usize = 24;

/// Name of the file.
pub const NAME: &str = "cursor";

/// The bytes that say that everything up to `settled` is settled.
pub fn encode(settled: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..].copy_from_slice(&settled.to_le_bytes());
    let crc = checksum(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the bytes say, or why they say nothing.
pub fn decode(bytes: &[u8]) -> Result<u64, &'static str> {
    let Some(cursor) = bytes.first_chunk::<LENGTH>().filter(|_| bytes.len() == LENGTH) else {
        return Err("has not the length of a cursor");
    };
    if cursor[..8] != *MAGIC {
        return Err("is not a cursor");
    }
    if cursor[8..10] != VERSION.to_le_bytes() {
        return Err("has a version that this agent does not know");
    }
    if cursor[12..16] != checksum(cursor).to_le_bytes() {
        return Err("is damaged: its checksum does not fit");
    }
    Ok(u64::from_le_bytes(std::array::from_fn(|index| cursor[16 + index])))
}

fn checksum(cursor: &[u8; LENGTH]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&cursor[..12]), &cursor[16..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_is_seen() {
        let whole = encode(4711);
        assert_eq!(decode(&whole), Ok(4711));
        for bit in 0..LENGTH * 8 {
            let mut damaged = whole;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "bit {bit}");
        }
        assert!((0..LENGTH).all(|length| decode(&whole[..length]).is_err()));
    }
}
