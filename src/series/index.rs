//! Which series have a label of some value: for each name its values in order, and for each value the series in ascending
//! order of their places. Matchers are answered from the small to the large: what is looked up comes first, and once few
//! series are left, their labels are looked at instead of the index.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::pattern;
use super::select::{MatchOp, Matcher};
use crate::data::labels::Labels;

/// Places of series, ascending.
type Places = Vec<u32>;

/// The index.
#[derive(Debug, Default)]
pub struct Index {
    names: HashMap<Box<str>, BTreeMap<Box<str>, Places>>,
    all: Places,
    bytes: usize,
}

/// What a name takes beside its text, and a value.
const NAME: usize = 96;
const VALUE: usize = 72;

/// Bytes that the index takes for a series with these labels, if all of their values are new.
pub fn most_bytes(labels: Labels<'_>) -> usize {
    labels.iter().map(|(name, value)| NAME + name.len() + VALUE + value.len() + 16).sum::<usize>() + 8
}

impl Index {
    /// Bytes of memory that it holds.
    pub fn bytes(&self) -> usize {
        self.bytes + self.all.capacity() * 4
    }

    /// All series.
    pub fn all(&self) -> &[u32] {
        &self.all
    }

    /// Adds a series.
    pub fn insert(&mut self, place: u32, labels: Labels<'_>) {
        insert(&mut self.all, place);
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.bytes += NAME + name.len();
                self.names.insert(name.into(), BTreeMap::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            let places = match values.get_mut(value) {
                Some(places) => places,
                None => {
                    self.bytes += VALUE + value.len();
                    values.entry(value.into()).or_default()
                }
            };
            let before = places.capacity();
            insert(places, place);
            self.bytes += 4 * (places.capacity() - before);
        }
    }

    /// Removes series, each given with its labels.
    pub fn remove<'a>(&mut self, series: impl Iterator<Item = (u32, Labels<'a>)>) {
        let (mut gone, mut touched) = (Places::new(), HashMap::<(&str, &str), ()>::new());
        for (place, labels) in series {
            gone.push(place);
            labels.iter().for_each(|label| {
                touched.insert(label, ());
            });
        }
        gone.sort_unstable();
        let stays = |place: &u32| gone.binary_search(place).is_err();
        self.all.retain(stays);
        for (name, value) in touched.into_keys() {
            let Some(values) = self.names.get_mut(name) else { continue };
            let Some(places) = values.get_mut(value) else { continue };
            let before = places.capacity();
            places.retain(stays);
            if places.is_empty() {
                values.remove(value);
                self.bytes -= VALUE + value.len() + 4 * before;
            } else if places.len() < before / 4 {
                places.shrink_to_fit();
                self.bytes -= 4 * (before - places.capacity());
            }
            if values.is_empty() {
                self.names.remove(name);
                self.bytes -= NAME + name.len();
            }
        }
    }

    /// Names of labels, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(|name| &**name)
    }

    /// Values of a label in their order, with the series that have them.
    pub fn values(&self, name: &str) -> impl Iterator<Item = (&str, &[u32])> {
        self.names.get(name).into_iter().flatten().map(|(value, places)| (&**value, &**places))
    }

    /// The series that fit all matchers, ascending. `labels` tells those of a series.
    pub fn select<'a>(&self, matchers: &[Matcher], labels: impl Fn(u32) -> Labels<'a>) -> Places {
        let (mut lists, mut rest): (Vec<Found<'_>>, Vec<&Matcher>) = (Vec::new(), Vec::new());
        for matcher in matchers {
            match self.look_up(matcher) {
                Some(found) => lists.push(found),
                None => rest.push(matcher),
            }
        }
        lists.sort_by_key(|found| found.as_slice().len());
        let mut lists = lists.into_iter();
        let mut found = lists.next().map(Found::into_owned);
        for list in lists {
            if let Some(found) = &mut found {
                intersect(found, list.as_slice());
            }
        }
        for matcher in rest {
            let values = self.names.get(&*matcher.name);
            let many = values.map_or(0, BTreeMap::len);
            match &mut found {
                // A look at the labels of a series costs about as much as at two values.
                Some(found) if found.len() <= many / 2 + 16 => {
                    found.retain(|place| matcher.matches(labels(*place).get(&matcher.name).unwrap_or("")));
                }
                _ => {
                    let is_absent_right = matcher.matches("");
                    let within = values.into_iter().flat_map(|values| part(values, matcher, is_absent_right));
                    let listed = within.filter(|(value, _)| matcher.matches(value) != is_absent_right);
                    let listed = union(listed.map(|(_, places)| places));
                    let found = found.get_or_insert_with(|| self.all.clone());
                    if is_absent_right {
                        subtract(found, &listed);
                    } else {
                        intersect(found, &listed);
                    }
                }
            }
        }
        found.unwrap_or_else(|| self.all.clone())
    }

    /// The series that fit a matcher, where they need only be looked up.
    fn look_up(&self, matcher: &Matcher) -> Option<Found<'_>> {
        let of = |value: &str| self.names.get(&*matcher.name).and_then(|values| values.get(value));
        match &matcher.op {
            MatchOp::Equal if !matcher.value.is_empty() => {
                Some(Found::Borrowed(of(&matcher.value).map_or(&[], |places| &**places)))
            }
            MatchOp::Matches(_) => {
                let words = pattern::words(&matcher.value).filter(|words| words.iter().all(|word| !word.is_empty()))?;
                Some(Found::Owned(union(words.iter().filter_map(|word| of(word)).map(|places| &**places))))
            }
            _ => None,
        }
    }
}

enum Found<'a> {
    Borrowed(&'a [u32]),
    Owned(Places),
}

impl Found<'_> {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::Borrowed(places) => places,
            Self::Owned(places) => places,
        }
    }

    fn into_owned(self) -> Places {
        match self {
            Self::Borrowed(places) => places.to_vec(),
            Self::Owned(places) => places,
        }
    }
}

/// Those values of a label that a matcher must be asked about.
fn part<'a>(
    values: &'a BTreeMap<Box<str>, Places>,
    matcher: &Matcher,
    is_absent_right: bool,
) -> impl Iterator<Item = (&'a str, &'a [u32])> {
    let prefix = match &matcher.op {
        MatchOp::Matches(_) if !is_absent_right => pattern::prefix(&matcher.value),
        _ => "",
    };
    let prefix: Box<str> = prefix.into();
    values
        .range::<str, _>((Bound::Included(&*prefix), Bound::Unbounded))
        .map(|(value, places)| (&**value, &**places))
        .take_while(move |(value, _)| value.starts_with(&*prefix))
}

fn insert(places: &mut Places, place: u32) {
    if places.len() == places.capacity() {
        // By an eighth: every series stands in as many of these as it has labels.
        places.reserve_exact(places.len() / 8 + 1);
    }
    match places.last() {
        Some(last) if *last >= place => {
            if let Err(at) = places.binary_search(&place) {
                places.insert(at, place);
            }
        }
        _ => places.push(place),
    }
}

/// Keeps what is in `other` too.
fn intersect(places: &mut Places, other: &[u32]) {
    let mut rest = other;
    places.retain(|place| {
        rest = &rest[behind(rest, *place)..];
        rest.first() == Some(place)
    });
}

/// Keeps what is not in `other`.
fn subtract(places: &mut Places, other: &[u32]) {
    let mut rest = other;
    places.retain(|place| {
        rest = &rest[behind(rest, *place)..];
        rest.first() != Some(place)
    });
}

/// How many of `places` are below `place`: near the beginning mostly, so strides grow from there.
fn behind(places: &[u32], place: u32) -> usize {
    let mut end = 1;
    while end < places.len() && places[end - 1] < place {
        end *= 2;
    }
    let end = end.min(places.len());
    places[..end].partition_point(|other| *other < place)
}

fn union<'a>(lists: impl Iterator<Item = &'a [u32]>) -> Places {
    let mut all = Places::new();
    let mut count = 0;
    for list in lists {
        count += 1;
        all.extend_from_slice(list);
    }
    if count > 1 {
        // Runs that ascend: what a merge sort is quick with.
        all.sort();
        all.dedup();
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;
    use crate::data::labels::LabelSet;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let values = ["", "a", "b", "ab", "zz"];
        let patterns =
            ["", ".*", ".+", "a|b", "(a|ab)", "a.*", "a?", "a+", "[^a]*", "b|", "ab?", "zz", "(?i)A", "a\\.b"];
        let names = ["x", "y", "z", "absent"];
        (
            prop::sample::select(names.to_vec()),
            0..4,
            prop::sample::select(values.to_vec()),
            prop::sample::select(patterns.to_vec()),
        )
            .prop_map(|(name, op, value, pattern)| {
                let regex = || Regex::new(&format!("^(?s:{pattern})$")).expect("a pattern");
                let (op, value) = match op {
                    0 => (MatchOp::Equal, value),
                    1 => (MatchOp::NotEqual, value),
                    2 => (MatchOp::Matches(regex()), pattern),
                    _ => (MatchOp::MatchesNot(regex()), pattern),
                };
                Matcher { name: name.into(), op, value: value.into() }
            })
    }

    proptest! {
        /// The index finds what a look at every series finds, also when series went and others came in their places.
        #[test]
        fn the_index_finds_what_is_there(
            series in proptest::collection::vec(proptest::collection::vec(("[xyz]", "a|b|ab|a\\.b|c[0-9]{2}"), 0..4), 0..80),
            gone in proptest::collection::vec(any::<bool>(), 80),
            again in proptest::collection::vec(proptest::collection::vec(("[xyz]", "a|b|ab"), 0..4), 80),
            matchers in proptest::collection::vec(matcher(), 0..4),
        ) {
            let encode = |labels: &Vec<(String, String)>| {
                let mut encoded = Vec::new();
                labels.iter().map(|(name, value)| (name, value)).collect::<LabelSet>().encode(&mut encoded);
                encoded
            };
            let mut there: Vec<Option<Vec<u8>>> = series.iter().map(|labels| Some(encode(labels))).collect();
            let mut index = Index::default();
            for (place, labels) in there.iter().enumerate() {
                index.insert(place as u32, Labels::of_encoded(labels.as_ref().expect("there")));
            }
            let removed: Vec<_> = (0..there.len()).filter(|place| gone[*place]).collect();
            let removed: Vec<_> = removed.iter().map(|place| (*place as u32, there[*place].take().expect("there"))).collect();
            index.remove(removed.iter().map(|(place, labels)| (*place, Labels::of_encoded(labels))));
            for (place, _) in removed.iter().filter(|(place, _)| place % 2 == 0).rev() {
                let labels = encode(&again[*place as usize]);
                index.insert(*place, Labels::of_encoded(&labels));
                there[*place as usize] = Some(labels);
            }
            let labels = |place: u32| Labels::of_encoded(there[place as usize].as_deref().expect("what is found is there"));
            let expected: Vec<u32> = (0..there.len() as u32)
                .filter(|place| there[*place as usize].is_some())
                .filter(|place| matchers.iter().all(|matcher| matcher.matches(labels(*place).get(&matcher.name).unwrap_or(""))))
                .collect();
            prop_assert_eq!(index.select(&matchers, labels), expected);
            index.remove((0..there.len() as u32).filter(|place| there[*place as usize].is_some()).map(|place| (place, labels(place))));
            prop_assert_eq!((index.bytes, index.names.len()), (0, 0));
        }
    }
}
