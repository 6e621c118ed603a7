//! Labels of a metric series, in two shapes.
//!
//! [`LabelSet`] is for editing: relabelling, service discovery, expositions. [`Labels`] is what a series keeps:
//! its labels sorted by name, in the very bytes that remote write 1.0 sends for them (`repeated Label labels =
//! 1` of `prometheus.TimeSeries`), so that a sample is sent without encoding its labels again.

use std::fmt;
use std::ops::Range;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

/// The label that holds an alert's name.
pub const ALERT_NAME: &str = "alertname";

/// Protobuf: field 1, length-delimited. A `Label` in a `TimeSeries`, and the name in a `Label`.
const FIRST: u8 = 0x0a;

/// Protobuf: field 2, length-delimited. The value in a `Label`.
const SECOND: u8 = 0x12;

/// Labels being put together: sorted by name, each name once, no empty value (which means *absent*). Clearing
/// keeps the memory, so that one set serves series after series without an allocation.
#[derive(Clone, Default)]
pub struct LabelSet {
    /// Text of names and values, also of those that were replaced since.
    text: String,
    labels: Vec<(Range<usize>, Range<usize>)>,
}

impl LabelSet {
    /// No labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Removes all labels.
    pub fn clear(&mut self) {
        self.text.clear();
        self.labels.clear();
    }

    /// The value of a label; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.find(name).map_or("", |index| &self.text[self.labels[index].1.clone()])
    }

    /// Whether there is a label of this name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) {
        let found = self.find(name);
        if value.is_empty() {
            if let Ok(index) = found {
                self.labels.remove(index);
            }
            return;
        }
        let value = self.keep(value);
        match found {
            Ok(index) => self.labels[index].1 = value,
            Err(index) => {
                let name = self.keep(name);
                self.labels.insert(index, (name, value));
            }
        }
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) {
        self.set(name, "");
    }

    /// Keeps the labels for which `wanted(name, value)` says so.
    pub fn retain(&mut self, mut wanted: impl FnMut(&str, &str) -> bool) {
        let Self { text, labels } = self;
        labels.retain(|(name, value)| wanted(&text[name.clone()], &text[value.clone()]));
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> + ExactSizeIterator {
        self.labels.iter().map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    /// Appends the labels as a series keeps them: see [`Labels`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            encode_label(name.as_bytes(), value.as_bytes(), out);
        }
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.labels.binary_search_by(|(known, _)| self.text[known.clone()].cmp(name))
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let mut set = Self::new();
        set.extend(labels);
        set
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for LabelSet {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, labels: I) {
        labels.into_iter().for_each(|(name, value)| self.set(name.as_ref(), value.as_ref()));
    }
}

impl PartialEq for LabelSet {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for LabelSet {}

impl PartialOrd for LabelSet {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LabelSet {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Debug for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Appends one label as `prometheus.TimeSeries` holds it.
pub fn encode_label(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let inner = 2 + length_len(name.len()) + name.len() + length_len(value.len()) + value.len();
    out.push(FIRST);
    push_length(inner, out);
    out.push(FIRST);
    push_length(name.len(), out);
    out.extend_from_slice(name);
    out.push(SECOND);
    push_length(value.len(), out);
    out.extend_from_slice(value);
}

/// Appends labels with others laid over them, both sorted by name and each name once: an empty value takes a label away.
pub fn encode_over<'a>(
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    over: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut Vec<u8>,
) {
    let (mut labels, mut over) = (labels.peekable(), over.peekable());
    loop {
        let next = match (labels.peek(), over.peek()) {
            (Some((name, _)), Some((laid_over, _))) if name < laid_over => labels.next(),
            (Some((name, _)), Some((laid_over, _))) => {
                if name == laid_over {
                    labels.next();
                }
                over.next()
            }
            (Some(_), None) => labels.next(),
            (None, _) => over.next(),
        };
        match next {
            Some((_, "")) => {}
            Some((name, value)) => encode_label(name.as_bytes(), value.as_bytes(), out),
            None => return,
        }
    }
}

fn length_len(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

fn push_length(mut length: usize, out: &mut Vec<u8>) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// The labels of a series as it keeps them: encoded, sorted by name, each name once, no empty value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// Labels that [`LabelSet::encode`] wrote, or bytes that were checked to be the same.
    pub const fn of_encoded(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// Bytes from elsewhere, if they are what [`LabelSet::encode`] writes: the same labels in the same order.
    pub fn checked(encoded: &'a [u8]) -> Option<Self> {
        let (mut again, mut before) = (Vec::with_capacity(encoded.len()), None);
        for (name, value) in Self(encoded).iter() {
            if value.is_empty() || before.is_some_and(|before| before >= name) {
                return None;
            }
            encode_label(name.as_bytes(), value.as_bytes(), &mut again);
            before = Some(name);
        }
        (again == encoded).then_some(Self(encoded))
    }

    /// The bytes, ready to be spliced into a `prometheus.TimeSeries`.
    pub const fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// Names and values in the order of their names.
    pub fn iter(self) -> LabelIter<'a> {
        LabelIter(self.0)
    }

    /// The value of a label.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The metric's name; empty where there is none.
    pub fn metric_name(self) -> &'a str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// A copy for editing, with some room: two allocations.
    pub fn to_set(self) -> LabelSet {
        let text = String::with_capacity(self.0.len());
        let mut set = LabelSet { text, labels: Vec::with_capacity(self.iter().count() + 1) };
        set.extend(self.iter());
        set
    }
}

/// As expositions write a series: `name{label="value"}`.
impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
            write!(f, "{}{name}={value:?}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Iterates over [`Labels`].
#[derive(Clone, Debug)]
pub struct LabelIter<'a>(&'a [u8]);

impl<'a> LabelIter<'a> {
    /// The bytes from the next label on.
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn text(&mut self) -> Option<&'a str> {
        let rest = self.0.get(1..)?;
        let (length, rest) = read_length(rest)?;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, rest) = read_length(self.0.get(1..)?)?;
        self.0 = rest;
        Some((self.text()?, self.text()?))
    }
}

fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (mut length, mut shift) = (0, 0);
    for (index, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((length, &bytes[index + 1..]));
        }
        shift += 7;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_a_sorted_map_and_survives_encoding(edits in proptest::collection::vec(("[a-d]{1,2}", "[x-z]{0,2}|y{126,130}"), 0..20)) {
            let mut expected = std::collections::BTreeMap::new();
            let mut set = LabelSet::new();
            for (name, value) in &edits {
                set.set(name, value);
                if value.is_empty() {
                    expected.remove(name);
                } else {
                    expected.insert(name.clone(), value.clone());
                }
            }
            let expected: Vec<_> = expected.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected.clone());
            let mut encoded = Vec::new();
            set.encode(&mut encoded);
            prop_assert_eq!(Labels::of_encoded(&encoded).iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(Labels::of_encoded(&encoded).to_set(), set);
        }
    }

    proptest! {
        #[test]
        fn labels_over_others_are_what_setting_them_makes(
            labels in proptest::collection::btree_map("[a-d]{1,2}", "[x-z]{1,2}", 0..6),
            over in proptest::collection::btree_map("[a-d]{1,2}", "[x-z]{0,2}", 0..6),
        ) {
            let mut expected: LabelSet = labels.iter().collect();
            expected.extend(&over);
            let mut encoded = Vec::new();
            encode_over(
                labels.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                over.iter().map(|(name, value)| (name.as_str(), value.as_str())),
                &mut encoded,
            );
            prop_assert_eq!(Labels::of_encoded(&encoded).to_set(), expected);
            prop_assert!(Labels::checked(&encoded).is_some());
        }
    }

    #[test]
    fn an_empty_value_means_absent() {
        let mut set: LabelSet = [("job", "node"), ("a", "")].into_iter().collect();
        assert!(!set.has("a"));
        assert_eq!((set.get("job"), set.get("instance")), ("node", ""));
        set.remove("job");
        assert!(set.is_empty());
    }

    #[test]
    fn the_encoding_is_that_of_remote_write() {
        let set: LabelSet = [("job", "n"), (METRIC_NAME, "up")].into_iter().collect();
        let mut encoded = Vec::new();
        set.encode(&mut encoded);
        assert_eq!(encoded, b"\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x08\x0a\x03job\x12\x01n");
        assert_eq!(Labels::of_encoded(&encoded).to_string(), "up{job=\"n\"}");
    }
}
