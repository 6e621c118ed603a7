//! Which keys of an object something reads, and how one of them is recognised among those that nobody does.
//!
//! Records of one container repeat their shape, and containers interleave several: a guess which key comes
//! next is often wrong, and has to be compared to be believed. The first four bytes of a key tell more without
//! a guess: one look-up leaves the wanted keys that begin with them, most often none.

use super::text::{unescaped_eq, unescaped_prefix};
use crate::data::names::Interest;
use crate::data::{NameId, Names};

/// The keys at the top level that something reads.
#[derive(Clone, Debug)]
pub(super) struct WantedKeys {
    keys: Vec<WantedKey>,
    /// By the hash of a key's first four bytes, the keys that may begin so: bit `n` is for numbers `n`,
    /// `n + 8` and so on.
    begins: Box<[u8; 1 << HASH_BITS]>,
}

const HASH_BITS: u32 = 12;

/// Where keys that begin with these four bytes are looked up (Fibonacci hashing).
#[inline]
fn hash(begin: [u8; 4]) -> usize {
    (u32::from_le_bytes(begin).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

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
        let mut wanted = Self { keys: Vec::new(), begins: Box::new([0; 1 << HASH_BITS]) };
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
        let begins = &mut self.begins;
        for (number, wanted) in self.keys.iter().enumerate() {
            let mut add = |begin: [u8; 4]| begins[hash(begin)] |= 1 << (number % 8);
            let any = 0..=u8::MAX;
            match *wanted.key.as_bytes() {
                [a, b, c, d, ..] => add([a, b, c, d]),
                [a, b, c] => {
                    add([a, b, c, b'"']);
                    if wanted.reserved {
                        add([a, b, c, b'.']);
                    }
                }
                // What stands behind so short a key is not worth knowing.
                [a, b] => any.for_each(|d| {
                    add([a, b, b'"', d]);
                    if wanted.reserved {
                        add([a, b, b'.', d]);
                    }
                }),
                [_] | [] => begins.iter_mut().for_each(|keys| *keys |= 1 << (number % 8)),
            }
        }
    }

    /// Which keys the one whose opening quote is at `quote` may be, told from its first bytes: none if 0.
    /// `escapes` where the text has any.
    #[inline]
    pub(super) fn candidates(&self, text: &[u8], quote: usize, escapes: bool) -> u8 {
        // No member is so short that these bytes are not there.
        let Some(begin) = text.get(quote + 1..quote + 5).and_then(<[u8]>::first_chunk) else { return u8::MAX };
        // An escape stands for any character.
        if escapes && has_backslash(*begin) { u8::MAX } else { self.begins[hash(*begin)] }
    }

    /// Whether the key whose opening quote is at `quote` is wanted; `may_be` are its candidates.
    pub(super) fn find(&self, mut may_be: u8, text: &[u8], quote: usize) -> Option<Hit<'_>> {
        let rest = text.get(quote + 1..)?;
        let mut found: Option<Hit<'_>> = None;
        while may_be != 0 {
            let first = may_be.trailing_zeros() as usize;
            may_be &= may_be - 1;
            for wanted in self.keys.iter().skip(first).step_by(8) {
                let Some((exact, end)) = wanted.compare(rest) else { continue };
                let hit = found.get_or_insert(Hit { end: quote + 1 + end, wanted: None, reserved: false });
                hit.reserved |= wanted.reserved;
                if exact {
                    hit.wanted = Some(wanted);
                }
            }
        }
        found
    }
}

impl WantedKey {
    /// Whether the key that `rest` begins with, behind its opening quote, is this one (true) or lies below it
    /// (false), and where its closing quote ends.
    #[inline]
    fn compare(&self, rest: &[u8]) -> Option<(bool, usize)> {
        let key = self.key.as_bytes();
        match (rest.get(key.len()), rest.starts_with(key)) {
            (Some(b'"'), true) => Some((true, key.len() + 1)),
            (Some(b'.'), true) if self.reserved => Some((false, key.len() + content_end(&rest[key.len()..])?)),
            (Some(b'\\'), true) | (_, false) => self.compare_escaped(rest),
            (_, true) => None,
        }
    }

    fn compare_escaped(&self, rest: &[u8]) -> Option<(bool, usize)> {
        // Up to the first escape they are the same, or they never are.
        let same = rest.iter().zip(self.key.as_bytes()).take_while(|(a, b)| a == b).count();
        if rest.get(same) != Some(&b'\\') {
            return None;
        }
        let end = content_end(rest)?;
        let content = &rest[..end - 1];
        if unescaped_eq(content, self.key.as_bytes()) {
            return Some((true, end));
        }
        (self.reserved && is_below(content, &self.key)).then_some((false, end))
    }
}

/// Behind the quote that ends the string whose content `rest` begins with.
fn content_end(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
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
