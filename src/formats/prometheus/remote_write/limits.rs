//! Limits of what is read from a request, held before anything is written out, and what is not allowed within them.

use crate::data::labels::{METRIC_NAME, encode_label};

/// Limits of what is taken. In 2.0 a few bytes name a text of any length, so what labels take once they are written
/// out is not bounded by the size of a request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most labels of a series, and of an exemplar.
    pub labels: usize,
    /// Most bytes of names and values of a series.
    pub series_text: usize,
    /// Most bytes of them of a request, those of exemplars among them.
    pub text: usize,
}

impl Limits {
    /// So many labels, with texts as no honest sender has them any longer.
    pub const fn of_labels(labels: usize) -> Self {
        Self { labels, series_text: 64 << 10, text: 64 << 20 }
    }
}

/// Most characters of an exemplar's labels, as OpenMetrics has it.
pub(super) const EXEMPLAR_CHARACTERS: usize = 128;

/// The first of some things, and how many there are: what is beyond a limit is not kept to be refused.
pub(super) struct Few<T> {
    pub kept: Vec<T>,
    pub count: usize,
    most: usize,
}

impl<T> Few<T> {
    pub fn of(most: usize) -> Self {
        Self { kept: Vec::new(), count: 0, most }
    }

    pub fn push(&mut self, item: T) {
        self.count += 1;
        if self.count <= self.most {
            self.kept.push(item);
        }
    }

    pub fn are_all(&self) -> bool {
        self.count <= self.most
    }
}

/// Bytes of names and values.
pub(super) fn text_of(pairs: &[(&str, &str)]) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Encodes labels; an error in words where the specification forbids them.
pub(super) fn encode_checked(pairs: &[(&str, &str)], out: &mut Vec<u8>) -> Result<(), String> {
    let (mut before, mut named): (Option<&str>, bool) = (None, false);
    for &(name, value) in pairs {
        if name.is_empty() {
            return Err("a label has an empty name".into());
        }
        match before {
            Some(before) if before == name => return Err(format!("label `{name}` stands twice")),
            Some(before) if before > name => return Err(format!("labels are not sorted: `{before}` before `{name}`")),
            _ => {}
        }
        before = Some(name);
        named |= name == METRIC_NAME && !value.is_empty();
        // An empty value means that there is no such label.
        if !value.is_empty() {
            encode_label(name.as_bytes(), value.as_bytes(), out);
        }
    }
    if named { Ok(()) } else { Err("there is no metric name".into()) }
}

/// Shows which series is refused by those of its labels that are not long.
pub(super) fn show(pairs: &[(&str, &str)], out: &mut Vec<u8>) {
    let mut left = SHOWN;
    for &(name, value) in pairs {
        let length = name.len() + value.len();
        if !name.is_empty() && !value.is_empty() && length <= left {
            left -= length;
            encode_label(name.as_bytes(), value.as_bytes(), out);
        }
    }
}

/// Bytes of labels by which a series is shown that has too many.
pub(super) const SHOWN: usize = 1024;

/// What an exemplar is beyond.
pub(super) enum Limit {
    Characters,
    Text,
}

/// Exemplars of a series that are beyond a limit.
#[derive(Default)]
pub(super) struct Beyond {
    pub long: u64,
    pub full: u64,
}

impl Beyond {
    pub fn add(&mut self, limit: Limit) {
        match limit {
            Limit::Characters => self.long += 1,
            Limit::Text => self.full += 1,
        }
    }
}

/// Why what is beyond the text of a request is refused.
pub(super) fn full(limits: Limits) -> String {
    format!("the labels of the request have more than {} bytes: send fewer series at once", limits.text)
}
