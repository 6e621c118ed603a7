//! How serde walks through lists, mappings and variants of nodes, and the parts of a `Spanned`.

use serde::de::value::U32Deserializer;
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};

use super::NodeDeserializer;
use crate::config::fault::Fault;
use crate::formats::yaml::{Entry, Node, Scalar, Value};
use crate::options::Span;

/// The items of a list.
pub(super) struct Items<'a> {
    pub de: NodeDeserializer<'a>,
    pub items: std::slice::Iter<'a, std::sync::Arc<Node>>,
}

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let de = self.de.child(node, None);
        de.told(seed.deserialize(de).map(Some))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a mapping; with `known`, only those that a struct has.
pub(super) struct Entries<'a> {
    pub de: NodeDeserializer<'a>,
    pub entries: std::slice::Iter<'a, Entry>,
    pub value: Option<&'a Entry>,
    pub known: Option<&'static [&'static str]>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let known = self.known;
        let Some(entry) = self.entries.find(|entry| known.is_none_or(|known| known.contains(&&*entry.key))) else {
            return Ok(None);
        };
        self.value = Some(entry);
        word(self.de, &entry.key, entry.key_span, seed).map(Some)
    }

    fn next_value_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some(entry) = self.value.take() else {
            return Err(Fault::Words("a value was asked for before its key".into()));
        };
        let de = self.de.child(&entry.node, Some(entry.key_span));
        de.told(seed.deserialize(de))
    }
}

/// Reads a word that is not interpolated: a key, or the name of a variant. What is wrong with it is told at
/// `span` before an erased deserializer turns it into text.
fn word<'de, K: de::DeserializeSeed<'de>>(
    de: NodeDeserializer<'_>,
    text: &str,
    span: Span,
    seed: K,
) -> Result<K::Value, Fault> {
    let node = Node { span, value: Value::Scalar(Scalar { text: text.into(), plain: false }) };
    let de = NodeDeserializer { node: &node, key: None, literal: true, part: false, beside: &[], ..de };
    de.told(seed.deserialize(de))
}

/// A variant that is a word alone.
pub(super) struct Word<'a, 't> {
    pub de: NodeDeserializer<'a>,
    pub text: &'t str,
}

impl<'de> de::EnumAccess<'de> for Word<'_, '_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        Ok((word(self.de, self.text, self.de.node.span, seed)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Word<'_, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        self.alone()
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        self.alone()
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Fault> {
        self.alone()
    }
}

impl Word<'_, '_> {
    fn alone<T>(self) -> Result<T, Fault> {
        self.de.told(Err(Fault::Words(format!("`{}` needs a value: write `{}: …`", self.text, self.text))))
    }
}

/// `variant: value`.
pub(super) struct Variant<'a> {
    pub de: NodeDeserializer<'a>,
    pub entry: &'a Entry,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = NodeDeserializer<'a>;

    fn variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), Fault> {
        let variant = word(self.de, &self.entry.key, self.entry.key_span, seed)?;
        Ok((variant, self.de.child(&self.entry.node, Some(self.entry.key_span))))
    }
}

impl<'de> de::VariantAccess<'de> for NodeDeserializer<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.node.is_null() {
            return Ok(());
        }
        let found = self.node.kind().into();
        self.told(Err(Fault::Type { found, expected: "nothing behind this word".into() }))
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.told(seed.deserialize(self))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// Two structs, each read from the whole mapping: what a `Joined` is made of.
pub(super) struct Parts<'a> {
    pub de: NodeDeserializer<'a>,
    pub left: u8,
}

impl<'de> de::SeqAccess<'de> for Parts<'_> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.de.told(seed.deserialize(self.de)).map(Some)
    }
}

/// A value, and whether nothing in it is wrong: what an `Apart` is made of.
pub(super) struct ApartParts<'a> {
    pub de: NodeDeserializer<'a>,
    pub next: u8,
    pub before: Before,
}

/// How things stood before a value that is read apart.
#[derive(Clone, Copy)]
pub(super) struct Before {
    pub told: bool,
    pub problems: usize,
    pub set_aside: usize,
}

impl<'de> de::SeqAccess<'de> for ApartParts<'_> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.next += 1;
        match self.next {
            1 => self.de.told(seed.deserialize(self.de)).map(Some),
            2 => {
                let is_right: de::value::BoolDeserializer<Fault> =
                    self.de.context.apart(self.before).into_deserializer();
                seed.deserialize(is_right).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// File, start, end and value: what a `Spanned` is made of.
pub(super) struct SpannedParts<'a> {
    pub de: NodeDeserializer<'a>,
    pub next: u8,
}

impl<'de> de::SeqAccess<'de> for SpannedParts<'_> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let span = self.de.node.span;
        let part = |number: u32| -> U32Deserializer<Fault> { number.into_deserializer() };
        self.next += 1;
        match self.next {
            1 => seed.deserialize(part(span.file)).map(Some),
            2 => seed.deserialize(part(span.start)).map(Some),
            3 => seed.deserialize(part(span.end)).map(Some),
            4 => self.de.told(seed.deserialize(self.de)).map(Some),
            _ => Ok(None),
        }
    }
}
