//! The symbols of remote write 2.0, twice: numbers that last, for every text that series had so far, and what
//! one request calls those that it needs.
//!
//! A series has the numbers of its pairs of name and value. A request looks up each pair and finds the two
//! references as bytes, ready to be copied; what it has not used yet gets the next reference.

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::out::{VARINT, put_varint};
use crate::data::metrics::Family;
use crate::formats::protobuf::push_bytes;

/// Texts and pairs of texts, by lasting numbers.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    text: Vec<u8>,
    symbols: Vec<(u32, u32)>,
    by_text: HashTable<u32>,
    pairs: Vec<[u32; 2]>,
    by_pair: HashTable<u32>,
    /// Help, unit and kind of families, by their numbers in the series table.
    families: Vec<Option<FamilySymbols>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct FamilySymbols {
    /// 0 stands for the empty text.
    help: Option<u32>,
    unit: Option<u32>,
    kind: u8,
}

impl Symbols {
    fn text(&self, symbol: u32) -> &[u8] {
        let (start, length) = self.symbols[symbol as usize];
        &self.text[start as usize..][..length as usize]
    }

    fn find(&self, text: &[u8]) -> Option<u32> {
        self.by_text.find(xxh3_64(text), |&symbol| self.text(symbol) == text).copied()
    }

    fn symbol(&mut self, text: &[u8]) -> u32 {
        if let Some(known) = self.find(text) {
            return known;
        }
        let symbol = self.symbols.len() as u32;
        self.symbols.push((self.text.len() as u32, text.len() as u32));
        self.text.extend_from_slice(text);
        let Self { by_text, symbols, text: all, .. } = self;
        let hash = |symbol: &u32| {
            let (start, length) = symbols[*symbol as usize];
            xxh3_64(&all[start as usize..][..length as usize])
        };
        by_text.insert_unique(xxh3_64(text), symbol, hash);
        symbol
    }

    /// The number of a label.
    pub fn pair(&mut self, name: &str, value: &str) -> u32 {
        let pair = [self.symbol(name.as_bytes()), self.symbol(value.as_bytes())];
        let hash = |pair: &[u32; 2]| xxh3_64(&(u64::from(pair[0]) << 32 | u64::from(pair[1])).to_le_bytes());
        if let Some(known) = self.by_pair.find(hash(&pair), |&known| self.pairs[known as usize] == pair) {
            return *known;
        }
        let number = self.pairs.len() as u32;
        self.pairs.push(pair);
        let Self { by_pair, pairs, .. } = self;
        by_pair.insert_unique(hash(&pair), number, |known| hash(&pairs[*known as usize]));
        number
    }

    fn family(&mut self, index: usize, family: &Family) -> FamilySymbols {
        if let Some(Some(known)) = self.families.get(index) {
            return *known;
        }
        let mut symbol = |text: &str| (!text.is_empty()).then(|| self.symbol(text.as_bytes()));
        let known = FamilySymbols { help: symbol(&family.help), unit: symbol(&family.unit), kind: family.kind as u8 };
        if self.families.len() <= index {
            self.families.resize(index + 1, None);
        }
        self.families[index] = Some(known);
        known
    }

    /// Whether numbers or places may soon be used up.
    pub fn is_full(&self) -> bool {
        self.text.len() > (u32::MAX / 2) as usize
    }

    pub fn bytes(&self) -> usize {
        self.text.capacity()
            + 8 * (self.symbols.capacity() + self.pairs.capacity())
            + 5 * (self.by_text.capacity() + self.by_pair.capacity())
            + self.families.capacity() * size_of::<Option<FamilySymbols>>()
    }
}

/// What one request calls symbols. Fresh for each request; the memory is kept.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// By lasting symbol: its reference in the request, 0 where it has none. (0 is the empty text.)
    symbols: Vec<u32>,
    /// Lasting symbols that have a reference.
    used: Vec<u32>,
    /// By lasting pair: its place in `called`, plus 1; 0 where the request does not have it.
    pairs: Vec<u32>,
    called: Vec<Called>,
    /// The same for families.
    families: Vec<u32>,
    called_families: Vec<CalledFamily>,
    /// Texts that the request alone has: where they stand in its symbols, and their references.
    own: HashTable<(u32, u32, u32)>,
    /// The reference that comes next; 0 before the empty text is there.
    next: u32,
}

/// What a request calls a pair: the references of name and value as they stand in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called {
    bytes: [u8; CALLED],
    len: u32,
    pair: u32,
}

/// Longest two references: a request has far less than 2^28 symbols.
pub(super) const CALLED: usize = 8;

/// The field `metadata` of a family's series as it stands in the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct CalledFamily {
    bytes: [u8; METADATA],
    len: u32,
    family: u32,
}

/// Longest field `metadata`: tag and length, kind, two references.
pub(super) const METADATA: usize = 16;

impl Local {
    /// Appends the references of a pair: writes [`CALLED`] bytes to `room` and returns how many count.
    #[inline]
    pub fn put_pair(&mut self, pair: u32, symbols: &Symbols, head: &mut Vec<u8>, room: &mut [u8]) -> usize {
        let place = match self.pairs.get(pair as usize) {
            Some(&place) if place > 0 => place,
            _ => self.call_pair(pair, symbols, head),
        };
        let called = &self.called[place as usize - 1];
        room[..CALLED].copy_from_slice(&called.bytes);
        called.len as usize
    }

    #[cold]
    fn call_pair(&mut self, pair: u32, symbols: &Symbols, head: &mut Vec<u8>) -> u32 {
        let [name, value] = symbols.pairs[pair as usize].map(|symbol| self.reference(symbol, symbols, head));
        let (mut bytes, mut at) = ([0; 2 * VARINT], 0);
        put_varint(u64::from(name), &mut bytes, &mut at);
        put_varint(u64::from(value), &mut bytes, &mut at);
        let mut called = Called { bytes: [0; CALLED], len: at as u32, pair };
        called.bytes[..at].copy_from_slice(&bytes[..at]);
        self.called.push(called);
        if self.pairs.len() <= pair as usize {
            self.pairs.resize(symbols.pairs.len(), 0);
        }
        self.pairs[pair as usize] = self.called.len() as u32;
        self.called.len() as u32
    }

    /// Appends the field `metadata`: writes [`METADATA`] bytes to `room` and returns how many count.
    #[inline]
    pub fn put_family(
        &mut self,
        index: usize,
        family: &Family,
        symbols: &mut Symbols,
        head: &mut Vec<u8>,
        room: &mut [u8],
    ) -> usize {
        let place = match self.families.get(index) {
            Some(&place) if place > 0 => place,
            _ => self.call_family(index, family, symbols, head),
        };
        let called = &self.called_families[place as usize - 1];
        room[..METADATA].copy_from_slice(&called.bytes);
        called.len as usize
    }

    #[cold]
    fn call_family(&mut self, index: usize, family: &Family, symbols: &mut Symbols, head: &mut Vec<u8>) -> u32 {
        let known = symbols.family(index, family);
        let [help, unit] = [known.help, known.unit].map(|symbol| symbol.map(|s| self.reference(s, symbols, head)));
        let (mut bytes, mut at) = ([0; METADATA + VARINT], 2);
        let mut field = |tag, value: u32| {
            if value > 0 {
                bytes[at] = tag;
                at += 1;
                put_varint(u64::from(value), &mut bytes, &mut at);
            }
        };
        field(0x08, u32::from(known.kind));
        field(0x18, help.unwrap_or(0));
        field(0x20, unit.unwrap_or(0));
        bytes[..2].copy_from_slice(&[0x2a, (at - 2) as u8]);
        let mut called = CalledFamily { bytes: [0; METADATA], len: at as u32, family: index as u32 };
        called.bytes.copy_from_slice(&bytes[..METADATA]);
        if at == 2 {
            // Nothing is known: nothing is said.
            called.len = 0;
        }
        self.called_families.push(called);
        if self.families.len() <= index {
            self.families.resize(index + 1, 0);
        }
        self.families[index] = self.called_families.len() as u32;
        self.called_families.len() as u32
    }

    /// The reference of a lasting symbol, given on first use.
    fn reference(&mut self, symbol: u32, symbols: &Symbols, head: &mut Vec<u8>) -> u32 {
        if let Some(&known) = self.symbols.get(symbol as usize)
            && known > 0
        {
            return known;
        }
        if self.symbols.len() <= symbol as usize {
            self.symbols.resize(symbols.symbols.len(), 0);
        }
        let reference = self.push(symbols.text(symbol), head);
        self.symbols[symbol as usize] = reference;
        self.used.push(symbol);
        reference
    }

    /// The reference of any text, such as the labels of exemplars: most of those are seen once.
    pub fn text(&mut self, text: &[u8], symbols: &Symbols, head: &mut Vec<u8>) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(symbol) = symbols.find(text) {
            return self.reference(symbol, symbols, head);
        }
        let at = |(start, length, _): &(u32, u32, u32)| (*start as usize, *length as usize);
        let hash = xxh3_64(text);
        let same = |known: &(u32, u32, u32)| {
            let (start, length) = at(known);
            &head[start..][..length] == text
        };
        if let Some(&(_, _, reference)) = self.own.find(hash, same) {
            return reference;
        }
        let reference = self.push(text, head);
        let kept = ((head.len() - text.len()) as u32, text.len() as u32, reference);
        self.own.insert_unique(hash, kept, |known| {
            let (start, length) = at(known);
            xxh3_64(&head[start..][..length])
        });
        reference
    }

    fn push(&mut self, text: &[u8], head: &mut Vec<u8>) -> u32 {
        if self.next == 0 {
            // The first symbol is the empty text.
            push_bytes(4, b"", head);
            self.next = 1;
        }
        push_bytes(4, text, head);
        self.next += 1;
        self.next - 1
    }

    pub fn clear(&mut self) {
        for symbol in self.used.drain(..) {
            self.symbols[symbol as usize] = 0;
        }
        for called in self.called.drain(..) {
            self.pairs[called.pair as usize] = 0;
        }
        for called in self.called_families.drain(..) {
            self.families[called.family as usize] = 0;
        }
        self.own.clear();
        self.next = 0;
    }

    pub fn bytes(&self) -> usize {
        4 * (self.symbols.capacity() + self.used.capacity() + self.pairs.capacity() + self.families.capacity())
            + self.called.capacity() * size_of::<Called>()
            + self.called_families.capacity() * size_of::<CalledFamily>()
    }
}
