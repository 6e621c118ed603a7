//! Texts in a row, each kept without the beginning that it shares with the one before. Lines of an exposition
//! are mostly their neighbours but for a label's value, so this holds them in about a third of their bytes.

/// Texts, front coded. Who uses them knows their lengths.
#[derive(Debug, Default)]
pub(super) struct FrontCoded {
    /// What each text adds to the one before.
    rest: Vec<u8>,
    /// How many bytes each shares with the one before.
    shared: Vec<u16>,
}

impl FrontCoded {
    /// Texts of these lengths that stand in `text` one behind the other.
    pub fn new(text: &[u8], lengths: impl ExactSizeIterator<Item = usize>) -> Self {
        let (mut rest, mut shared) = (Vec::new(), Vec::with_capacity(lengths.len()));
        let (mut before, mut at) = (&text[..0], 0);
        for length in lengths {
            let here = &text[at..at + length];
            let same = before.iter().zip(here).take(usize::from(u16::MAX)).take_while(|(a, b)| a == b).count();
            shared.push(same as u16);
            rest.extend_from_slice(&here[same..]);
            (before, at) = (here, at + length);
        }
        rest.shrink_to_fit();
        Self { rest, shared }
    }

    /// Reads the texts in their order.
    pub fn read(&self) -> Reader<'_> {
        Reader { rest: &self.rest, shared: self.shared.iter(), current: Vec::new() }
    }
}

/// Reads texts in their order.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    shared: std::slice::Iter<'a, u16>,
    current: Vec<u8>,
}

impl Reader<'_> {
    /// The next text, which has this length.
    #[inline]
    pub fn next(&mut self, length: usize) -> &[u8] {
        let shared = usize::from(self.shared.next().copied().unwrap_or_default());
        self.current.truncate(shared);
        let (added, rest) = self.rest.split_at(length - shared);
        self.current.extend_from_slice(added);
        self.rest = rest;
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn texts_come_back(texts in proptest::collection::vec("[ab]{0,6}", 0..20)) {
            let coded = FrontCoded::new(texts.concat().as_bytes(), texts.iter().map(String::len));
            let mut reader = coded.read();
            for text in &texts {
                proptest::prop_assert_eq!(reader.next(text.len()), text.as_bytes());
            }
        }
    }
}
