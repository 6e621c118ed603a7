//! The labels of a series as the evaluator holds them: encoded, so that grouping and matching compare bytes.

use std::rc::Rc;

use crate::data::labels::{Labels, METRIC_NAME};

/// The labels of a series, encoded as in [`Labels`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metric(Rc<[u8]>);

impl Metric {
    pub fn new(encoded: &[u8]) -> Self {
        Self(encoded.into())
    }

    pub fn labels(&self) -> Labels<'_> {
        Labels::of_encoded(&self.0)
    }

    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// Writes the encoding of those labels whose names are wanted.
    pub fn subset(&self, mut wanted: impl FnMut(&str) -> bool, out: &mut Vec<u8>) {
        let mut labels = self.labels().iter();
        let mut rest = self.0.len();
        while let Some((name, _)) = labels.next() {
            let (start, end) = (self.0.len() - rest, self.0.len() - labels.rest().len());
            rest = labels.rest().len();
            if wanted(name) {
                out.extend_from_slice(&self.0[start..end]);
            }
        }
    }

    /// Appends bytes that are in the same order as the labels: names and values, each with a zero behind it. A zero of a
    /// text has one behind it that no text begins with, so that it comes after an end.
    pub fn push_key(&self, out: &mut Vec<u8>) {
        for (name, value) in self.labels().iter() {
            for text in [name, value] {
                let mut rest = text.as_bytes();
                while let Some(zero) = memchr::memchr(0, rest) {
                    out.extend_from_slice(&rest[..=zero]);
                    out.push(0xff);
                    rest = &rest[zero + 1..];
                }
                out.extend_from_slice(rest);
                out.push(0);
            }
        }
    }

    /// The labels without the name of the metric and what else describes it.
    pub fn without_name(&self) -> Self {
        self.stripped().0
    }

    /// The same, and whether nothing else went but a name.
    pub fn stripped(&self) -> (Self, bool) {
        let mut labels = self.labels().iter();
        // Labels are sorted, so that what goes mostly lies together.
        let (mut gone, mut is_one_run, mut is_name) = (0..0, true, true);
        loop {
            let start = self.0.len() - labels.rest().len();
            let Some((name, _)) = labels.next().filter(|(name, _)| *name <= LAST_METADATA) else { break };
            let end = self.0.len() - labels.rest().len();
            if is_metadata(name) {
                is_name &= name == METRIC_NAME;
                is_one_run &= gone.is_empty() || gone.end == start;
                gone = if gone.is_empty() { start..end } else { gone.start..end };
            }
        }
        if gone.is_empty() {
            return (self.clone(), false);
        }
        if is_one_run && gone.start == 0 {
            return (Self::new(&self.0[gone.end..]), is_name);
        }
        let mut out = Vec::with_capacity(self.0.len());
        self.subset(|name| !is_metadata(name), &mut out);
        (Self::new(&out), is_name)
    }
}

/// The last of the labels that describe a metric.
const LAST_METADATA: &str = "__unit__";

/// Whether a label describes the metric and not the series, so that it goes where the metric becomes another one.
pub(super) fn is_metadata(name: &str) -> bool {
    name == METRIC_NAME || name == "__type__" || name == LAST_METADATA
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::LabelSet;

    proptest! {
        #[test]
        fn what_describes_the_metric_goes(labels in proptest::collection::vec((prop::sample::select(vec!["A", "__a__", "__name__", "__scheme__", "__type__", "__u", "__unit__", "a", "le"]), "[a-z]{1,3}"), 0..6)) {
            let set: LabelSet = labels.into_iter().collect();
            let mut expected = set.clone();
            expected.retain(|name, _| !is_metadata(name));
            let (mut encoded, mut wanted) = (Vec::new(), Vec::new());
            set.encode(&mut encoded);
            expected.encode(&mut wanted);
            let (stripped, is_name) = Metric::new(&encoded).stripped();
            prop_assert_eq!(stripped.encoded(), &*wanted);
            let is_name_alone = set.has(METRIC_NAME) && set.len() == expected.len() + 1;
            prop_assert_eq!(is_name, is_name_alone);
        }
    }
}
