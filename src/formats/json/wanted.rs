//! Which keys of an object something reads, and how one of them is recognised among those that nobody does.
//!
//! Records of one container repeat their shape, and containers interleave several: a guess which key comes
//! next is often wrong, and has to be compared to be believed. The first four bytes of a key tell as much
//! without a guess: four look-ups leave at most the few keys that begin with them, most often none.

use super::text::{unescaped_eq, unescaped_prefix};
use super::walk::string_end;
use crate::data::names::Interest;
use crate::data::{NameId, Names};

/// The keys at the top level that something reads.
#[derive(Clone, Debug)]
pub(super) struct WantedKeys {
    keys: Vec<WantedKey>,
    /// For each of the first bytes, the keys that may have it there: one bit each, the last for all that
    /// have no bit of their own.
    begins: Box<[[u64; 256]; BEGIN]>,
}

/// Bytes of a key that are looked up.
const BEGIN: usize = 4;

/// Keys with a bit of their own.
const OWN_BITS: usize = 63;

/// A key at the top level.
#[derive(Clone, Debug, Default)]
pub(super) struct WantedKey {
    key: Box<str>,
    /// The path that ends here.
    pub name: Option<NameId>,
    /// The paths that go on inside its value.
    pub inside: Vec<WantedPath>,
    /// Whether a sink asks for it and for all keys that begin with it and a dot.
    reserved: bool,
    /// Its place among the keys that severity is taken from, 0 for the most trusted.
    pub severity: Option<usize>,
}

/// A key that begins or continues a wanted path inside a value.
#[derive(Clone, Debug)]
pub(super) struct WantedPath {
    pub key: Box<str>,
    pub name: Option<NameId>,
    pub inside: Vec<WantedPath>,
}

/// A key that something reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<'a> {
    /// Behind its closing quote.
    pub end: usize,
    /// What is wanted of it; `None` where only a reserved key that it lies below asked for it.
    pub wanted: Option<&'a WantedKey>,
    /// Whether a sink asks for it.
    pub reserved: bool,
}

/// The keys that severity is taken from, the most trusted first.
const SEVERITY_KEYS: [&str; 3] = ["severity", "level", "lvl"];

impl WantedKeys {
    /// What `interest` names.
    pub(super) fn new(names: &Names, interest: &Interest) -> Self {
        let mut wanted = Self { keys: Vec::new(), begins: Box::new([[0; 256]; BEGIN]) };
        for &id in &interest.paths {
            let path = names.path(id);
            let Some((first, rest)) = path.split_first() else { continue };
            let key = wanted.key(first);
            match rest {
                [] => key.name = Some(id),
                _ => plant(&mut key.inside, rest, id),
            }
        }
        for reserved in &interest.reserved {
            wanted.key(reserved).reserved = true;
        }
        for (place, key) in SEVERITY_KEYS.iter().enumerate().filter(|_| interest.severity) {
            wanted.key(key).severity = Some(place);
        }
        wanted.index();
        wanted
    }

    fn key(&mut self, key: &str) -> &mut WantedKey {
        let at = self.keys.iter().position(|known| *known.key == *key).unwrap_or_else(|| {
            self.keys.push(WantedKey { key: key.into(), ..WantedKey::default() });
            self.keys.len() - 1
        });
        &mut self.keys[at]
    }

    fn index(&mut self) {
        for (number, wanted) in self.keys.iter().enumerate() {
            let bit = 1 << number.min(OWN_BITS);
            let mut ends = wanted.key.len();
            for (place, begins) in self.begins.iter_mut().enumerate() {
                match wanted.key.as_bytes().get(place) {
                    Some(&byte) => begins[usize::from(byte)] |= bit,
                    None if place == ends => {
                        begins[usize::from(b'"')] |= bit;
                        if wanted.reserved {
                            begins[usize::from(b'.')] |= bit;
                        }
                    }
                    None => {
                        ends = usize::MAX;
                        begins.iter_mut().for_each(|keys| *keys |= bit);
                    }
                }
            }
        }
    }

    /// Whether the key whose opening quote is at `quote` is wanted.
    #[inline]
    pub(super) fn find(&self, text: &[u8], quote: usize) -> Option<Hit<'_>> {
        let begin = text.get(quote + 1..)?.first_chunk::<BEGIN>()?;
        let mut may_be = u64::MAX;
        for (keys, &byte) in self.begins.iter().zip(begin) {
            may_be &= keys[usize::from(byte)];
        }
        // An escape stands for any character.
        if has_backslash(*begin) {
            may_be = u64::MAX;
        }
        if may_be == 0 { None } else { self.compare(may_be, text, quote) }
    }

    fn compare(&self, mut may_be: u64, text: &[u8], quote: usize) -> Option<Hit<'_>> {
        let end = string_end(text, quote)?;
        let content = &text[quote + 1..end - 1];
        let mut hit = Hit { end, wanted: None, reserved: false };
        while may_be != 0 {
            let number = may_be.trailing_zeros() as usize;
            may_be &= may_be - 1;
            let Some(rest) = self.keys.get(number..) else { break };
            let several = if number == OWN_BITS { rest } else { &rest[..rest.len().min(1)] };
            for wanted in several {
                if unescaped_eq(content, wanted.key.as_bytes()) {
                    hit.wanted = Some(wanted);
                    hit.reserved |= wanted.reserved;
                } else if wanted.reserved {
                    hit.reserved |= is_below(content, &wanted.key);
                }
            }
        }
        (hit.wanted.is_some() || hit.reserved).then_some(hit)
    }
}

fn plant(wanted: &mut Vec<WantedPath>, path: &[Box<str>], id: NameId) {
    let Some((key, rest)) = path.split_first() else { return };
    let at = wanted.iter().position(|known| known.key == *key).unwrap_or_else(|| {
        wanted.push(WantedPath { key: key.clone(), name: None, inside: Vec::new() });
        wanted.len() - 1
    });
    match rest {
        [] => wanted[at].name = Some(id),
        _ => plant(&mut wanted[at].inside, rest, id),
    }
}

/// Whether the escaped key begins with `reserved` and a dot.
fn is_below(key: &[u8], reserved: &str) -> bool {
    unescaped_prefix(key, reserved.as_bytes()).is_some_and(|rest| unescaped_prefix(rest, b".").is_some())
}

/// Whether one of four bytes is a backslash: subtracting one borrows into the highest bit of a byte that
/// is zero.
#[inline]
fn has_backslash(bytes: [u8; 4]) -> bool {
    const EACH: u32 = 0x0101_0101;
    let zero = u32::from_le_bytes(bytes) ^ (EACH * 0x5c);
    zero.wrapping_sub(EACH) & !zero & (EACH * 0x80) != 0
}
