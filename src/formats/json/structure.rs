//! The proof that a text is one object as far as structure goes, sixty-four bytes at a time.
//!
//! Each token says what may stand at the next place that is not blank, so a text is right if every token
//! stands where the one before it lets it. Blocks are judged by all their places at once: the masks of
//! tokens are shifted to the place behind them, carried over blanks by an addition (a carry runs through a
//! row of ones), and compared with the masks of what stands there. Strings are told from what is outside by
//! the parity of the quotes before, keys from other strings by the place they begin at, the commas of
//! objects from those of arrays by the brackets, which are few and visited one by one.
//!
//! What is proven: brackets match, kinds included, and close at the last byte; strings end; keys, colons,
//! commas and values stand where RFC 8259 wants them; outside strings stand only characters that JSON has
//! there; no byte is below 0x20; it is UTF-8. Left unseen: how numbers, literals and escapes are spelt.

use super::block::{BLOCK, Block, Lanes, Portable, Seen};
use super::walk::members;

/// What a proof found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is an object.
    Proven,
    /// It has bytes below 0x20, or is nested deeper than [`DEPTH`]: nothing is said about it.
    Unproven,
    /// It is no object.
    Broken,
}

/// Deepest nesting that is looked at here: a bit each.
pub(super) const DEPTH: u32 = 64;

/// Room for keys that is kept from one object to the next, however large one was.
const MOST_KEPT: usize = 16 * 1024;

/// Proves objects, and finds their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Structure {
    /// The keys' places, and room behind them.
    keys: Vec<u32>,
    count: usize,
    /// Whether the text may hold a backslash.
    escapes: bool,
}

/// What one block hands to the next. Places are those behind a token whose first byte that is not blank
/// lies in the next block: 1 for its first place, else 0.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    /// 1 if the first byte is escaped.
    escaped: u64,
    /// All ones inside a string.
    within: u64,
    /// 1 inside a string that is a key.
    key: u64,
    /// 1 if the last byte belonged to a number or literal.
    scalar: u64,
    /// A place for a key.
    key_place: u64,
    /// A place for a value.
    value_place: u64,
    /// A place for a colon.
    colon_place: u64,
    /// A place behind a value.
    end_place: u64,
    /// A place behind an opening bracket.
    opened: u64,
    /// The brackets that are open, the innermost lowest: 1 is an object's.
    objects: u64,
    /// How many they are.
    depth: u32,
    /// The most that they were.
    deepest: u32,
    /// All ones in an array.
    array: u64,
    /// All ones at depth 1.
    top: u64,
}

impl Structure {
    /// Where the keys at the top level of the last proven object begin, at their quotes.
    pub(super) fn keys(&self) -> &[u32] {
        &self.keys[..self.count]
    }

    /// Whether something in the last proven object may be escaped.
    pub(super) fn has_escapes(&self) -> bool {
        self.escapes
    }

    /// Judges `text`, which has no white space around it and is shorter than 4 GiB.
    pub(super) fn prove(&mut self, text: &[u8]) -> Verdict {
        self.count = 0;
        self.escapes = false;
        if self.keys.len() > MOST_KEPT {
            self.keys = Vec::new();
        }
        if text.first() != Some(&b'{') {
            return Verdict::Broken;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = pulp::x86::V3::try_new() {
            return lanes.vectorize(Proof { structure: self, text, lanes });
        }
        self.prove_with(text, Portable)
    }

    #[inline(always)]
    fn prove_with<L: Lanes>(&mut self, text: &[u8], lanes: L) -> Verdict {
        let end = text.len() as u32;
        let mut seen = Seen::new(lanes);
        let mut from = Carried { value_place: 1, ..Carried::default() };
        let mut bad = 0;
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        for (number, block) in (0..).zip(blocks) {
            bad |= self.block(Block::new(block, 0, &mut seen), block, (number * BLOCK as u32, end), &mut from);
        }
        if !rest.is_empty() {
            let at = (text.len() - rest.len()) as u32;
            let mut padded = [b' '; BLOCK];
            // The bytes before are at hand: a block that ends with the text needs no copy.
            let (block, before) = match text.last_chunk::<BLOCK>() {
                Some(block) => (block, BLOCK - rest.len()),
                None => {
                    padded[..rest.len()].copy_from_slice(rest);
                    (&padded, 0)
                }
            };
            let last = Block::new(block, before as u32, &mut seen);
            bad |= self.block(last, &block[before..], (at, end), &mut from);
        }
        if from.deepest > DEPTH || seen.has_control() {
            return Verdict::Unproven;
        }
        let closed = from.depth == 0 && from.within == 0;
        if bad != 0 || !closed || (seen.has_high() && std::str::from_utf8(text).is_err()) {
            return Verdict::Broken;
        }
        Verdict::Proven
    }

    /// Judges one block, whose first byte is number `at` of a text that ends at `end`. Anything but 0 is a
    /// fault.
    #[inline(always)]
    fn block<L: Lanes>(&mut self, block: Block<L>, bytes: &[u8], (at, end): (u32, u32), from: &mut Carried) -> u64 {
        let rare = block.has_rare();
        let mut quote = block.is(b'"');
        if rare || from.escaped != 0 {
            let backslash = block.is(b'\\');
            self.escapes |= backslash != 0;
            quote &= !escaped(backslash, &mut from.escaped);
        }
        // From each opening quote to the byte before the closing one.
        let within = parity(quote) ^ from.within;
        from.within = sign(within);
        let outside = !(within | quote);
        let (opening, closing) = (quote & within, quote & !within);
        let (colon, comma) = (block.is(b':') & outside, block.is(b',') & outside);
        let (mut open, mut close, mut brace) = (0, 0, 0);
        if rare {
            let brackets = block.brackets();
            (open, close, brace) = (brackets.0 & outside, brackets.1 & outside, brackets.2);
        }
        let mut scalar = outside & !(open | close | colon | comma | block.beyond());
        let mut blank = 0;
        let mut bad = 0;
        let unusual = scalar & !block.of_numbers();
        if unusual != 0 {
            blank = unusual & block.is(b' ');
            scalar ^= blank;
            bad = u64::from(!is_of_scalars(unusual ^ blank, bytes));
        }

        let (mut array, mut top) = (from.array, from.top);
        let mut opened = 0;
        if (open | close) != 0 || from.opened != 0 {
            let mut left = open | close;
            while left != 0 {
                let place = left.trailing_zeros();
                let bit = left & left.wrapping_neg();
                left ^= bit;
                let object = u64::from(brace & bit != 0);
                if open & bit != 0 {
                    from.objects = from.objects << 1 | object;
                    from.depth += 1;
                    from.deepest = from.deepest.max(from.depth);
                } else {
                    bad |= u64::from(from.depth == 0) | ((from.objects ^ object) & 1);
                    from.objects >>= 1;
                    from.depth = from.depth.saturating_sub(1);
                    bad |= u64::from(from.depth == 0 && at + place + 1 != end);
                }
                from.array = (from.objects & 1).wrapping_sub(1);
                from.top = if from.depth == 1 { !0 } else { 0 };
                let upto = bit | (bit - 1);
                array = array & upto | from.array & !upto;
                top = top & upto | from.top & !upto;
            }
            opened = behind(open, 0, blank, &mut from.opened);
        }

        let object_comma = comma & !array;
        let key_place = behind(object_comma | open & brace, 0, blank, &mut from.key_place);
        let other = colon | comma & array | open & !brace;
        let value_place = behind(other, 0, blank, &mut from.value_place);
        let key = opening & key_place;
        // Added to the bytes of its string, an opening quote carries to the closing one.
        let (sum, overflow) = within.overflowing_add(key | from.key);
        from.key = u64::from(overflow);
        let key_end = sum & closing;
        let colon_place = behind(key_end, 0, blank, &mut from.colon_place);
        // The end of a number is known only from the byte behind it.
        let scalar_or_behind = scalar << 1 | from.scalar;
        from.scalar = scalar >> 63;
        let (scalar_start, scalar_end) = (scalar & !scalar_or_behind, scalar_or_behind & !scalar);
        let end_place = behind((closing & !key_end) | close, scalar_end, blank, &mut from.end_place);

        bad |= opening & !(key_place | value_place);
        bad |= (open | scalar_start) & !value_place;
        bad |= colon ^ colon_place;
        bad |= comma & !end_place;
        bad |= close & !(end_place | opened);
        self.add(key & top, at);
        bad
    }

    /// Adds the places of a block that begins at `at`.
    #[inline(always)]
    fn add(&mut self, mut places: u64, at: u32) {
        // Few blocks have more than four keys. Four are written however many there are, so that no branch
        // has to guess.
        let count = places.count_ones() as usize;
        if self.keys.len() < self.count + BLOCK {
            self.grow();
        }
        let Some(free) = self.keys.get_mut(self.count..self.count + BLOCK) else { return };
        for place in &mut free[..4] {
            *place = at.wrapping_add(places.trailing_zeros());
            places &= places.wrapping_sub(1);
        }
        for place in &mut free[4..] {
            if places == 0 {
                break;
            }
            *place = at + places.trailing_zeros();
            places &= places - 1;
        }
        self.count += count;
    }

    #[cold]
    fn grow(&mut self) {
        self.keys.resize(self.count * 2 + 4 * BLOCK, 0);
    }

    /// Finds the keys of an object that another judge has proven.
    #[cold]
    pub(super) fn walk(&mut self, text: &[u8]) {
        self.keys.clear();
        self.keys.extend(members(text, 0).map(|member| member.key.start as u32));
        self.count = self.keys.len();
        self.escapes = true;
    }
}

/// A proof under way, for the instructions that `lanes` stands for.
#[cfg(target_arch = "x86_64")]
struct Proof<'a> {
    structure: &'a mut Structure,
    text: &'a [u8],
    lanes: pulp::x86::V3,
}

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Proof<'_> {
    type Output = Verdict;

    #[inline(always)]
    fn call(self) -> Verdict {
        self.structure.prove_with(self.text, self.lanes)
    }
}

/// The places behind `ends`, and `places` that are already behind something, each moved to the first that
/// is not blank; `carry` is 1 where that is in the next block.
#[inline(always)]
fn behind(ends: u64, places: u64, blank: u64, carry: &mut u64) -> u64 {
    let places = places | ends << 1 | *carry;
    *carry = ends >> 63;
    if blank == 0 {
        return places;
    }
    // Each row of blanks begins behind a token; a one added to its first carries to the place behind it.
    let (sum, overflow) = blank.overflowing_add(places & blank);
    *carry |= u64::from(overflow);
    (places | sum) & !blank
}

/// All ones where the highest bit is set.
#[inline(always)]
fn sign(mask: u64) -> u64 {
    (mask.cast_signed() >> 63).cast_unsigned()
}

/// A bit is set where the number of bits up to it, itself included, is odd.
#[inline(always)]
fn parity(mut mask: u64) -> u64 {
    mask ^= mask << 1;
    mask ^= mask << 2;
    mask ^= mask << 4;
    mask ^= mask << 8;
    mask ^= mask << 16;
    mask ^ mask << 32
}

/// The bytes that a backslash before them escapes: those behind an odd row of backslashes, and every
/// second of a row. `carry` is 1 if the first byte of the block is escaped, then whether that of the next is.
///
/// Algorithm: Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), as simplified in simdjson's
/// `json_escape_scanner`: backslashes that are not escaped themselves are found by a subtraction that borrows
/// along their rows.
#[inline(always)]
fn escaped(backslash: u64, carry: &mut u64) -> u64 {
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let potential = backslash & !*carry;
    let maybe_escaped = potential << 1;
    let even_rows = (maybe_escaped | ODD).wrapping_sub(potential);
    let escaping_or_escaped = even_rows ^ ODD;
    let escaped = escaping_or_escaped ^ (backslash | *carry);
    *carry = (escaping_or_escaped & backslash) >> 63;
    escaped
}

/// Whether bytes that stand outside strings and are no digits, points or minuses belong to numbers or words.
#[inline]
fn is_of_scalars(mut places: u64, bytes: &[u8]) -> bool {
    while places != 0 {
        let byte = bytes[places.trailing_zeros() as usize];
        if !(byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'+' | b'.')) {
            return false;
        }
        places &= places - 1;
    }
    true
}

#[cfg(test)]
mod tests;
