//! Texts in a row, each kept as its differences to the one before. Lines of an exposition are mostly their
//! neighbours but for the values of a label or two, so this holds them in a tenth of their bytes.

/// Texts, each by what differs from the one before. Who uses them knows their lengths.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// For each text, until it is whole: how many bytes are those that stand at the same place in the one before, how
    /// many are not, and the latter. Numbers are LEB128. A word of nothing follows the last.
    coded: Vec<u8>,
}

/// Bytes that must be the same between two differences for these to be told apart: two numbers take nearly as many.
const SAME: usize = 3;

/// Differences of so many bytes are put in their place at once.
const WORD: usize = 8;

impl Differences {
    /// Texts of these lengths that stand in `text` one behind the other.
    pub fn new(text: &[u8], lengths: impl Iterator<Item = usize>) -> Self {
        let mut coded = Vec::new();
        let (mut before, mut at) = (&text[..0], 0);
        for length in lengths {
            let here = &text[at..at + length];
            put(before, here, &mut coded);
            (before, at) = (here, at + length);
        }
        coded.extend_from_slice(&[0; WORD]);
        coded.shrink_to_fit();
        Self { coded }
    }

    /// Reads the texts in their order.
    pub fn read(&self) -> Reader<'_> {
        Reader { coded: &self.coded, at: 0, current: Vec::new() }
    }
}

/// Appends what differs between two texts.
fn put(before: &[u8], here: &[u8], out: &mut Vec<u8>) {
    let same = |at: usize| before.get(at) == Some(&here[at]);
    let mut at = 0;
    while at < here.len() {
        let kept = (at..here.len()).take_while(|at| same(*at)).count();
        put_number(kept, out);
        at += kept;
        if at == here.len() {
            return;
        }
        let from = at;
        while at < here.len() && !(at..(at + SAME).min(here.len())).all(same) {
            at += 1;
        }
        put_number(at - from, out);
        out.extend_from_slice(&here[from..at]);
    }
}

fn put_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads texts in their order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    coded: &'a [u8],
    at: usize,
    /// The text that was read last, and room.
    current: Vec<u8>,
}

impl Reader<'_> {
    /// The next text, which has this length.
    #[inline]
    pub fn next(&mut self, length: usize) -> &[u8] {
        if self.current.len() < length + WORD {
            self.current.resize(length + WORD, 0);
        }
        let (coded, current) = (self.coded, &mut self.current[..]);
        let (mut from, mut at) = (self.at, 0);
        while at < length {
            at += number(coded, &mut from);
            if at == length {
                break;
            }
            let new = number(coded, &mut from);
            let place = current[at..].first_chunk_mut::<WORD>();
            if let (1..=WORD, Some(word), Some(place)) = (new, coded[from..].first_chunk::<WORD>(), place) {
                let mask = u64::MAX >> (u64::BITS - 8 * new as u32);
                let merged = u64::from_le_bytes(*word) & mask | u64::from_le_bytes(*place) & !mask;
                *place = merged.to_le_bytes();
            } else {
                current[at..at + new].copy_from_slice(&coded[from..from + new]);
            }
            (from, at) = (from + new, at + new);
        }
        self.at = from;
        &self.current[..length]
    }
}

#[inline]
fn number(coded: &[u8], at: &mut usize) -> usize {
    let first = coded[*at];
    *at += 1;
    if first < 0x80 { usize::from(first) } else { long_number(first, coded, at) }
}

#[cold]
fn long_number(first: u8, coded: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (usize::from(first & 0x7f), 7);
    loop {
        let byte = coded[*at];
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back(texts in prop::collection::vec(prop_oneof!["[ab]{0,9}", "[ab]{120,400}", "x{20000}"], 0..20)) {
            let coded = Differences::new(texts.concat().as_bytes(), texts.iter().map(String::len));
            let mut reader = coded.read();
            for text in &texts {
                prop_assert_eq!(reader.next(text.len()), text.as_bytes());
            }
        }
    }

    #[test]
    fn a_line_that_differs_in_two_labels_takes_a_few_bytes() {
        let line = |part: usize| format!("requests_total{{path=\"/{part}\",zone=\"eu-1b\",part=\"{part}\"}} ");
        let lines: String = (0..10).map(line).collect();
        let length = lines.len() / 10;
        let coded = Differences::new(lines.as_bytes(), std::iter::repeat_n(length, 10)).coded;
        assert_eq!(coded.len(), 2 + length + 9 * 7 + WORD);
    }
}
