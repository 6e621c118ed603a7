//! A generation's row in the checkpoint.
//!
//! The key is the generation's number, 8 bytes. The value, version 1, integers little endian:
//!
//! ```text
//! version     u8    1
//! state       u8    0 being read, 1 finished
//! order       u32   place in the log's chain
//! birth       u64   ns, when the generation was first seen
//! device, inode, born   3 × u64
//! prefix      u16 length, u64 hash of the first bytes
//! before      u16 length, u64 hash of the bytes before the safe offset
//! offset      u64   safe: everything before it is settled
//! size        u64   length when last looked at
//! reached     u64   ns: nothing at or behind the offset was handed on earlier
//! compressed  u64   ns: compressed rotations of the log up to this time are accounted for
//! path        u16 length, the log's path as bytes
//! target      the rest: the path of its file, links followed
//! ```

use super::fingerprint::Fingerprint;
use super::generation::FileId;
use crate::data::{Generation, UnixNanos};

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number and birth.
    pub generation: Generation,
    /// Whether everything of it is settled and it is rotated away.
    pub finished: bool,
    /// Place in the chain.
    pub order: u32,
    /// Which file it was.
    pub id: FileId,
    /// Its first bytes.
    pub prefix: Fingerprint,
    /// The bytes before `offset`.
    pub before: Fingerprint,
    /// The safe offset.
    pub offset: u64,
    /// Length when last looked at.
    pub size: u64,
    /// Nothing at or behind `offset` was handed on before this time.
    pub reached: UnixNanos,
    /// Compressed rotations written up to this time are accounted for.
    pub compressed: UnixNanos,
    /// The log's path as bytes.
    pub path: Box<[u8]>,
    /// The path of its file, links followed, as bytes.
    pub target: Box<[u8]>,
}

impl Row {
    /// The row's key.
    pub fn key(&self) -> Box<[u8]> {
        Box::new(self.generation.id.to_le_bytes())
    }

    /// The row's value.
    pub fn encode(&self) -> Box<[u8]> {
        let mut out = vec![VERSION, u8::from(self.finished)];
        out.extend_from_slice(&self.order.to_le_bytes());
        for number in [self.generation.birth.0, self.id.device, self.id.inode, self.id.born] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for fingerprint in [self.prefix, self.before] {
            out.extend_from_slice(&fingerprint.len.to_le_bytes());
            out.extend_from_slice(&fingerprint.hash.to_le_bytes());
        }
        for number in [self.offset, self.size, self.reached.0, self.compressed.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&(self.path.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.path);
        out.extend_from_slice(&self.target);
        out.into()
    }

    /// Reads a row; `None` for one that this version does not know.
    pub fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        let id = u64::from_le_bytes(key.try_into().ok()?);
        let mut rest = value;
        let [version, state] = take(&mut rest)?;
        if version != VERSION || state > 1 {
            return None;
        }
        let order = u32::from_le_bytes(take(&mut rest)?);
        let mut number = || take(&mut rest).map(u64::from_le_bytes);
        let (birth, device, inode, born) = (number()?, number()?, number()?, number()?);
        let (prefix, before) = (fingerprint(&mut rest)?, fingerprint(&mut rest)?);
        let mut number = || take(&mut rest).map(u64::from_le_bytes);
        let (offset, size, reached, compressed) = (number()?, number()?, number()?, number()?);
        let len = u16::from_le_bytes(take(&mut rest)?);
        let (path, target) = rest.split_at_checked(usize::from(len))?;
        Some(Self {
            generation: Generation { id, birth: UnixNanos(birth) },
            finished: state == 1,
            order,
            id: FileId { device, inode, born },
            prefix,
            before,
            offset,
            size,
            reached: UnixNanos(reached),
            compressed: UnixNanos(compressed),
            path: path.into(),
            target: target.into(),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*bytes)
}

fn fingerprint(rest: &mut &[u8]) -> Option<Fingerprint> {
    let len = u16::from_le_bytes(take(rest)?);
    Some(Fingerprint { len, hash: u64::from_le_bytes(take(rest)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back() {
        let row = Row {
            generation: Generation { id: 7, birth: UnixNanos(1) },
            finished: true,
            order: 3,
            id: FileId { device: 4, inode: 5, born: 6 },
            prefix: Fingerprint { len: 8, hash: 9 },
            before: Fingerprint { len: 10, hash: 11 },
            offset: 12,
            size: 13,
            reached: UnixNanos(14),
            compressed: UnixNanos(15),
            path: b"/var/log/containers/a.log".as_slice().into(),
            target: b"/var/log/pods/x/0.log".as_slice().into(),
        };
        assert_eq!(Row::decode(&row.key(), &row.encode()), Some(row.clone()));
        let value = row.encode();
        for len in 0..110 {
            assert_eq!(Row::decode(&row.key(), &value[..len]), None, "cut at {len}");
        }
    }
}
