//! The proof that a text is one object as far as structure goes, sixty-four bytes at a time.
//!
//! Every place where a token ends says what may stand at the next place that is not blank. Blocks are
//! judged by all their places at once: masks are shifted to the place behind a token, carried over blanks
//! by an addition (a carry runs through a row of ones), and compared with the masks of what stands there.
//! Quotes are told apart by the parity of those before them, keys from other strings by what stands before
//! them, the commas of objects from those of arrays by the brackets, which are few and visited one by one.
//!
//! What is proven: brackets match, kinds included, and close at the last byte; strings end; keys, colons,
//! commas and values stand where RFC 8259 wants them; outside strings stand only characters that JSON has
//! there; no byte is below 0x20; it is UTF-8. Left unseen: how numbers, literals and escapes are spelt.

use super::block::{BLOCK, Bytes, Masks};
use super::strict::Brackets;

/// What a proof found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is an object.
    Proven,
    /// It has bytes below 0x20, so that nothing is said about it.
    Control,
    /// It is no object, or nested too deeply.
    Broken,
}

/// Proves objects, and finds their keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Structure {
    keys: Vec<u32>,
}

/// What one block hands to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    /// 1 if the first byte is escaped.
    escaped: u64,
    /// All ones inside a string.
    within: u64,
    /// 1 inside a string that is a key.
    key: u64,
    /// All ones in an array.
    array: u64,
    /// All ones at depth 1.
    top: u64,
    /// 1 each where a token ended before the block and only blanks followed.
    first_key: u64,
    element: u64,
    value: u64,
    next_key: u64,
    behind_key: u64,
    behind_value: u64,
    /// 1 if the last byte belonged to a number or literal.
    scalar: u64,
    /// The open brackets.
    brackets: Brackets,
}

impl Structure {
    /// Where the keys at the top level of the last proven object begin, at their quotes.
    pub(super) fn keys(&self) -> &[u32] {
        &self.keys
    }

    /// Judges `text`, which has no white space around it and is shorter than 4 GiB.
    pub(super) fn prove(&mut self, text: &[u8]) -> Verdict {
        self.keys.clear();
        if text.first() != Some(&b'{') {
            return Verdict::Broken;
        }
        let mut bytes = Bytes::new();
        let mut carried = Carried::default();
        let end = text.len() as u32;
        let mut bad = 0;
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        for (number, block) in (0..).zip(blocks) {
            let masks = Masks::of(block, &mut bytes);
            bad |= self.block(masks, block, (number * BLOCK as u32, end), &mut carried);
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
            let masks = Masks::of(block, &mut bytes).without_first(before as u32);
            bad |= self.block(masks, &block[before..], (at, end), &mut carried);
        }
        if bytes.has_control() {
            return Verdict::Control;
        }
        let closed = carried.brackets.depth() == 0 && carried.within == 0;
        if bad != 0 || !closed || (bytes.has_high() && std::str::from_utf8(text).is_err()) {
            return Verdict::Broken;
        }
        Verdict::Proven
    }

    /// Judges one block, whose first byte is number `at` of a text that ends at `end`. Anything but 0 is a
    /// fault.
    #[inline(always)]
    fn block(&mut self, masks: Masks, bytes: &[u8], (at, end): (u32, u32), from: &mut Carried) -> u64 {
        let mut bad = 0;
        let mut quote = masks.quote;
        if masks.backslash | from.escaped != 0 {
            quote &= !escaped(masks.backslash, &mut from.escaped);
        }
        // From each opening quote to the byte before the closing one.
        let within = parity(quote) ^ from.within;
        from.within = sign(within);
        let outside = !(within | quote);
        let (opening, closing) = (quote & within, quote & !within);
        let blank = masks.space & outside;
        let (open, close) = (masks.open & outside, masks.close & outside);
        let (colon, comma) = (masks.colon & outside, masks.comma & outside);
        let structural = masks.space | masks.open | masks.close | masks.colon | masks.comma | masks.beyond;
        let scalar = outside & !structural;
        let unusual = scalar & !masks.digit;
        if unusual != 0 {
            bad |= u64::from(!is_of_scalars(unusual, bytes));
        }

        let (mut array, mut top) = (from.array, from.top);
        let mut left = open | close;
        while left != 0 {
            let bit = left & left.wrapping_neg();
            let place = at + left.trailing_zeros();
            left ^= bit;
            let object = masks.brace & bit != 0;
            let fits = if open & bit != 0 { from.brackets.open(object) } else { from.brackets.close(object) };
            let depth = from.brackets.depth();
            bad |= u64::from(!fits || (depth == 0 && place + 1 != end));
            from.array = if depth > 0 && !from.brackets.in_object() { !0 } else { 0 };
            from.top = if depth == 1 { !0 } else { 0 };
            let upto = bit | (bit - 1);
            array = array & upto | from.array & !upto;
            top = top & upto | from.top & !upto;
        }

        let first_key = next(open & masks.brace, blank, &mut from.first_key);
        let element = next(open & !masks.brace, blank, &mut from.element);
        let value = next(colon | comma & array, blank, &mut from.value);
        let next_key = next(comma & !array, blank, &mut from.next_key);
        let key = opening & (first_key | next_key);
        // Added to the bytes of its string, an opening quote carries to the closing one.
        let (sum, overflow) = within.overflowing_add(key | from.key);
        from.key = u64::from(overflow);
        let key_end = sum & closing;
        let behind_key = next(key_end, blank, &mut from.behind_key);
        // The last byte of a number is known only from the byte behind it.
        let scalar_end = (scalar << 1 | from.scalar) & !scalar;
        from.scalar = scalar >> 63;
        let behind_value = next_or((closing & !key_end) | close, scalar_end, blank, &mut from.behind_value);
        bad |= first_key & !(opening | close);
        bad |= element & !(opening | scalar | open | close);
        bad |= value & !(opening | scalar | open);
        bad |= next_key & !opening;
        bad |= behind_key ^ colon;
        bad |= behind_value & !(comma | close | masks.beyond);

        let mut keys = key & top;
        while keys != 0 {
            self.keys.push(at + keys.trailing_zeros());
            keys &= keys - 1;
        }
        bad
    }
}

/// The places behind `ends` that are not blank; `carry` is 1 where one of them is in the next block.
#[inline(always)]
fn next(ends: u64, blank: u64, carry: &mut u64) -> u64 {
    next_or(ends, 0, blank, carry)
}

/// The same, with `places` that are already behind something.
#[inline(always)]
fn next_or(ends: u64, places: u64, blank: u64, carry: &mut u64) -> u64 {
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

/// Whether bytes that stand outside strings and are no digits belong to numbers or words.
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
