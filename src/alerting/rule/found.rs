//! What an alerting rule has found: the elements of its result, each an alert, known by its labels. Those are bytes in one
//! buffer from the beginning, so that an alert that is there already costs no memory of its own.

use std::borrow::Cow;
use std::ops::Range;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::expand::Expander;
use super::{Evaluating, RuleError, Text, Texts};
use crate::alerting::bug::Bug;
use crate::data::LabelSet;
use crate::data::labels::{ALERT_NAME, METRIC_NAME, encode_over};
use crate::promql::{Point, VectorSample};

/// An element of the result, as an alert.
#[derive(Debug)]
pub(in super::super) struct Found {
    pub annotations: LabelSet,
    /// Labels of the series, without the metric's name.
    pub element: LabelSet,
    pub value: f64,
}

/// Elements by the labels of their alerts.
#[derive(Debug, Default)]
pub(in super::super) struct Elements {
    keys: Vec<u8>,
    all: Vec<(Range<usize>, Found)>,
    places: HashTable<usize>,
    /// The bug that cost one of them an annotation.
    pub bug: Option<Bug>,
}

impl Elements {
    fn with_capacity(count: usize) -> Self {
        let places = HashTable::with_capacity(count);
        Self { keys: Vec::new(), all: Vec::with_capacity(count), places, bug: None }
    }

    /// Puts in an element, known by its labels with others over them. Returns whether there was none of those.
    fn insert(&mut self, over: &[(&str, Cow<'_, str>)], found: Found) -> bool {
        let start = self.keys.len();
        let over = over.iter().map(|(name, value)| (*name, &**value));
        encode_over(found.element.iter(), over, &mut self.keys);
        let Self { keys, all, places, .. } = self;
        let key = start..keys.len();
        let of = |place: &usize| &keys[all[*place].0.clone()];
        let hash = xxh3_64(&keys[key.clone()]);
        if places.find(hash, |place| *of(place) == keys[key.clone()]).is_some() {
            return false;
        }
        places.insert_unique(hash, all.len(), |place| xxh3_64(of(place)));
        all.push((key, found));
        true
    }

    /// Whether there is an element of these labels.
    pub fn contains(&self, labels: &[u8]) -> bool {
        self.places.find(xxh3_64(labels), |place| self.keys[self.all[*place].0.clone()] == *labels).is_some()
    }

    /// Goes through the elements, and leaves out those of which it is said.
    pub fn retain(&mut self, mut wanted: impl FnMut(&[u8], &mut Found) -> bool) {
        let Self { keys, all, places, .. } = self;
        for (place, (key, found)) in all.iter_mut().enumerate() {
            let key = &keys[key.clone()];
            if !wanted(key, found)
                && let Ok(entry) = places.find_entry(xxh3_64(key), |known| *known == place)
            {
                entry.remove();
            }
        }
    }
}

impl Texts {
    /// The alerts that a result stands for. A bug in a label would make another alert of one, and fails the evaluation; one in
    /// an annotation costs that.
    pub(super) fn found(
        &self,
        name: &str,
        vector: Vec<VectorSample>,
        cx: &Evaluating<'_>,
    ) -> Result<Elements, RuleError> {
        let mut elements = Elements::with_capacity(vector.len());
        let mut labels: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(self.labels.len() + 1);
        for VectorSample { labels: mut element, point, .. } in vector {
            labels.clear();
            // Templates see the metric's name, alerts do not have it.
            let expander = Expander::new(cx, name, &element, &point);
            labels.extend(self.labels.iter().map(|(name, text)| (&**name, expander.expand(text))));
            labels.push((ALERT_NAME, Cow::Borrowed(name)));
            if let Some(bug) = expander.bug() {
                return Err(bug.into());
            }
            let annotation = |(name, text): &'_ (Box<str>, Text)| (name.clone(), expander.expand(text).into_owned());
            let annotations = self.annotations.iter().map(annotation).collect();
            elements.bug = elements.bug.take().or(expander.bug());
            // Of one name the last one counts.
            labels.reverse();
            labels.sort_by_key(|(name, _)| *name);
            labels.dedup_by(|later, first| later.0 == first.0);
            element.remove(METRIC_NAME);
            let value = match point {
                Point::Float(value) => value,
                Point::Histogram(_) => 0.0,
            };
            if !elements.insert(&labels, Found { annotations, element, value }) {
                return Err(RuleError::SameAlert);
            }
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(instance: &str) -> Found {
        Found { annotations: LabelSet::new(), element: [("instance", instance)].into_iter().collect(), value: 1.0 }
    }

    #[test]
    fn elements_are_found_by_the_labels_of_their_alerts_unless_they_are_left_out() {
        let over = [(ALERT_NAME, Cow::Borrowed("High"))];
        let mut elements = Elements::default();
        assert!((0..100).all(|number| elements.insert(&over, found(&number.to_string()))));
        assert!(!elements.insert(&over, found("7")), "it is there");
        let mut left_out = Vec::new();
        elements.retain(|labels, found| {
            let is_wanted = found.element.get("instance").len() == 1;
            left_out.extend((!is_wanted).then(|| labels.to_vec()));
            is_wanted
        });
        assert_eq!(left_out.len(), 90);
        assert!(left_out.iter().all(|labels| !elements.contains(labels)));
        let mut labels = Vec::new();
        [("instance", "7"), (ALERT_NAME, "High")].into_iter().collect::<LabelSet>().encode(&mut labels);
        assert!(elements.contains(&labels));
    }
}
