//! Options that are read each for itself, so that what is wrong with one hides nothing of what is wrong with others: a person
//! mends all of it at once.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// Name of the newtype by which a deserializer recognises [`Apart`]: one that notes what is wrong answers with a sequence
/// of the value and whether nothing in it is wrong; any other just gives the value.
pub const APART: &str = "$tailwater::Apart";

/// A value, or that something is wrong in it, which was noted where it was read.
#[derive(Clone, Debug)]
pub struct Apart<T>(pub Option<T>);

/// A list of which each element is read apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Each<T> {
    /// The elements with which nothing is wrong so far.
    items: Vec<T>,
    /// Whether others were left out. The configuration is then refused, and what is here is only looked at.
    is_in_part: bool,
}

impl<T> Each<T> {
    /// Whether something is wrong with others.
    pub fn is_in_part(&self) -> bool {
        self.is_in_part
    }
}

impl<T> Default for Each<T> {
    fn default() -> Self {
        Self { items: Vec::new(), is_in_part: false }
    }
}

impl<T> Deref for Each<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<'a, T> IntoIterator for &'a Each<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Vec::<Apart<T>>::deserialize(deserializer)?;
        let is_in_part = all.iter().any(|one| one.0.is_none());
        Ok(Self { items: all.into_iter().filter_map(|one| one.0).collect(), is_in_part })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Apart<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Apart<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                T::deserialize(deserializer).map(|value| Apart(Some(value)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let missing = || de::Error::custom("a deserializer that notes what is wrong says whether anything is");
                // What is wrong was noted by whoever reads it.
                let value = seq.next_element::<T>().ok().flatten();
                let is_right: bool = seq.next_element()?.ok_or_else(missing)?;
                Ok(Apart(value.filter(|_| is_right)))
            }
        }

        deserializer.deserialize_newtype_struct(APART, Visit(PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Each<T> {
    fn inline_schema() -> bool {
        Vec::<T>::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        Vec::<T>::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Vec::<T>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_notes_nothing_refuses_what_is_wrong() {
        let read = serde_json::from_str::<Each<u8>>("[1, 2]").expect("numbers");
        assert_eq!((&*read, read.is_in_part()), (&[1, 2][..], false));
        assert!(serde_json::from_str::<Each<u8>>("[1, true]").is_err());
        assert!(!Each::<u8>::default().is_in_part());
    }
}
