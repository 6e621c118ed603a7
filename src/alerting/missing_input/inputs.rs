//! What the inputs of alerts look like, read once an evaluation of a rule and target. Where a target is gone, thousands of
//! alerts may be missing at once, and each is asked for: what all of them read is read for all of them, and each finds its own
//! by its labels.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::agrees;
use crate::data::labels::{LabelSet, Labels, METRIC_NAME, encode_label};
use crate::promql::Query;
use crate::series::SelectError;

/// Which series are read: those of a selector, on the target that alerts name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    query: Box<str>,
    selector: usize,
    job: Box<str>,
    instance: Box<str>,
    /// From when on.
    after: i64,
}

impl Question {
    /// That of the selector that stands there in a query, for an alert.
    pub fn new(query: &Query, selector: usize, element: &LabelSet, after: i64) -> Self {
        let of = |name| element.get(name).into();
        Self { query: query.text().into(), selector, job: of("job"), instance: of("instance"), after }
    }
}

/// What was read, by question.
#[derive(Debug)]
pub(super) struct Answered<T>(RefCell<HashMap<Question, Rc<T>>>);

impl<T> Default for Answered<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T> Answered<T> {
    /// What was read for the question, or is by `read` now.
    pub fn get_or_read(
        &self,
        question: Question,
        read: impl FnOnce() -> Result<T, SelectError>,
    ) -> Result<Rc<T>, SelectError> {
        if let Some(known) = self.0.borrow().get(&question) {
            return Ok(known.clone());
        }
        let read = Rc::new(read()?);
        self.0.borrow_mut().insert(question, read.clone());
        Ok(read)
    }
}

/// Series with what is known of each, found by the labels that they share with an alert.
#[derive(Debug)]
pub(in super::super) struct Inputs<T> {
    all: Vec<(Box<[u8]>, T)>,
    /// By the names of the labels that alerts have.
    found: RefCell<HashMap<Names, Rc<Vec<Alike>>>>,
}

type Names = Vec<Box<str>>;

/// Series that have the same of those labels, by their values.
#[derive(Debug)]
struct Alike {
    names: Names,
    places: HashMap<Vec<u8>, Vec<usize>>,
}

impl<T> Inputs<T> {
    pub fn new(all: Vec<(Box<[u8]>, T)>) -> Self {
        Self { all, found: RefCell::default() }
    }

    /// The series that [`agree`](agrees) with an alert, in the order in which they were read.
    pub fn of(&self, element: &LabelSet) -> impl Iterator<Item = (Labels<'_>, &T)> {
        let mut places: Vec<usize> = Vec::new();
        let mut values = Vec::new();
        for Alike { names, places: by_values } in &*self.alike(element) {
            values.clear();
            names.iter().for_each(|name| encode_label(name.as_bytes(), element.get(name).as_bytes(), &mut values));
            places.extend(by_values.get(&values).into_iter().flatten());
        }
        places.sort_unstable();
        let all = places.into_iter().map(|place| &self.all[place]);
        let of = all.map(|(labels, what)| (Labels::of_encoded(labels), what));
        of.inspect(|(labels, _)| debug_assert!(agrees(*labels, element)))
    }

    fn alike(&self, element: &LabelSet) -> Rc<Vec<Alike>> {
        let names: Names = element.iter().map(|(name, _)| name.into()).collect();
        if let Some(known) = self.found.borrow().get(&names) {
            return known.clone();
        }
        let mut alike: HashMap<Names, HashMap<Vec<u8>, Vec<usize>>> = HashMap::new();
        for (place, (labels, _)) in self.all.iter().enumerate() {
            let (mut shared, mut values) = (Vec::new(), Vec::new());
            for (name, value) in Labels::of_encoded(labels).iter() {
                if name != METRIC_NAME && element.has(name) {
                    shared.push(name.into());
                    encode_label(name.as_bytes(), value.as_bytes(), &mut values);
                }
            }
            alike.entry(shared).or_default().entry(values).or_default().push(place);
        }
        let alike = alike.into_iter().map(|(names, places)| Alike { names, places }).collect();
        let alike = Rc::new(alike);
        self.found.borrow_mut().insert(names, Rc::clone(&alike));
        alike
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().copied().collect()
    }

    fn encoded(labels: &LabelSet) -> Box<[u8]> {
        let mut encoded = Vec::new();
        labels.encode(&mut encoded);
        encoded.into()
    }

    /// Whatever labels there are: those that are found are those that agree, one looked at behind the other.
    #[test]
    fn what_is_found_is_what_agrees() {
        let mut random = fastrand::Rng::with_seed(7);
        let set = |random: &mut fastrand::Rng, with_name: bool| -> LabelSet {
            let mut set = LabelSet::new();
            for name in ["a", "b", "c", "d"] {
                if random.u8(..3) > 0 {
                    set.set(name, ["x", "y"][usize::from(random.bool())]);
                }
            }
            if with_name {
                set.set(METRIC_NAME, ["m", "n"][usize::from(random.bool())]);
            }
            set
        };
        let all: Vec<_> = (0..300).map(|place| (encoded(&set(&mut random, true)), place)).collect();
        let inputs = Inputs::new(all.clone());
        for _ in 0..200 {
            let element = set(&mut random, false);
            let found: Vec<usize> = inputs.of(&element).map(|(_, place)| *place).collect();
            let agree = all.iter().filter(|(series, _)| agrees(Labels::of_encoded(series), &element));
            assert_eq!(found, agree.map(|(_, place)| *place).collect::<Vec<_>>(), "{element:?}");
        }
        assert!(inputs.of(&labels(&[("a", "neither")])).all(|(series, _)| series.get("a").is_none()));
    }
}
