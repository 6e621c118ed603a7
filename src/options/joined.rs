//! Two structs whose keys stand in one mapping: a component's own options beside options that several
//! components take, each declared and documented once. Serde's `flatten` does the same and loses positions.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use super::each::Apart;
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

/// Name of the struct by which a deserializer recognises [`Joined`]: one that knows places complains of keys
/// that neither struct has, and answers with a sequence of the two, each read from the same mapping; any
/// other gives the mapping.
pub const JOINED: &str = "$tailwater::Joined";

/// Options of `A` and of `B` in one mapping. No key may be in both.
#[derive(Clone, Debug, Default)]
pub struct Joined<A, B> {
    /// The component's own.
    pub own: A,
    /// Those that it takes as others do.
    pub shared: B,
}

impl<A, B> Deref for Joined<A, B> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.own
    }
}

impl<'de, A: DeserializeOwned + 'static, B: DeserializeOwned + 'static> Deserialize<'de> for Joined<A, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<A, B>(PhantomData<(A, B)>);

        impl<'de, A: DeserializeOwned + 'static, B: DeserializeOwned + 'static> Visitor<'de> for Visit<A, B> {
            type Value = Joined<A, B>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let missing = || de::Error::custom("a deserializer that knows places gives both structs");
                // What is wrong with one hides nothing of the other.
                let own: Apart<A> = seq.next_element()?.ok_or_else(missing)?;
                let shared: Apart<B> = seq.next_element()?.ok_or_else(missing)?;
                match (own.0, shared.0) {
                    (Some(own), Some(shared)) => Ok(Joined { own, shared }),
                    _ => Err(de::Error::custom("one of the two is wrong")),
                }
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let shared_keys = keys_of::<B>();
                let (mut own, mut shared) = (serde_json::Map::new(), serde_json::Map::new());
                while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
                    let part = if shared_keys.contains(&&*key) { &mut shared } else { &mut own };
                    part.insert(key, value);
                }
                Ok(Joined {
                    own: A::deserialize(serde_json::Value::from(own)).map_err(de::Error::custom)?,
                    shared: B::deserialize(serde_json::Value::from(shared)).map_err(de::Error::custom)?,
                })
            }
        }

        deserializer.deserialize_struct(JOINED, keys::<A, B>(), Visit(PhantomData))
    }
}

/// The keys of both structs. Made once for each pair of types, since serde wants them for ever.
fn keys<A: DeserializeOwned + 'static, B: DeserializeOwned + 'static>() -> &'static [&'static str] {
    static KNOWN: Mutex<BTreeMap<(TypeId, TypeId), &'static [&'static str]>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let pair = (TypeId::of::<A>(), TypeId::of::<B>());
    if let Some(keys) = known().get(&pair) {
        return keys;
    }
    // Asked for without the lock: either may itself be joined.
    let fresh = [keys_of::<A>(), keys_of::<B>()].concat();
    known().entry(pair).or_insert_with(|| fresh.leak())
}

/// The keys of a struct: what its `Deserialize` asks a deserializer for.
pub fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It always fails: nothing is read.
    let _ = T::deserialize(Asked(&mut keys));
    keys
}

struct Asked<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("only structs have keys"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("only the keys were asked for"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<A: schemars::JsonSchema, B: schemars::JsonSchema> schemars::JsonSchema for Joined<A, B> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        A::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        format!("{}+{}", A::schema_id(), B::schema_id()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut own = A::json_schema(generator);
        let mut shared = B::json_schema(generator);
        let taken = shared
            .remove("properties")
            .and_then(|of| if let serde_json::Value::Object(of) = of { Some(of) } else { None });
        let properties = own.ensure_object().entry("properties").or_insert_with(|| serde_json::json!({}));
        if let (Some(into), Some(taken)) = (properties.as_object_mut(), taken) {
            into.extend(taken);
        }
        if let Some(serde_json::Value::Array(more)) = shared.remove("required") {
            let required = own.ensure_object().entry("required").or_insert_with(|| serde_json::json!([]));
            required.as_array_mut().into_iter().for_each(|required| required.extend(more.iter().cloned()));
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Own {
        /// A name.
        name: String,
    }

    #[derive(Debug, Default, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Shared {
        /// A depth.
        depth: u32,
    }

    #[test]
    fn keys_of_both_stand_in_one_mapping() {
        let read = |value| serde_json::from_value::<Joined<Own, Shared>>(value);
        let joined = read(serde_json::json!({ "name": "a", "depth": 3 })).expect("both");
        assert_eq!((joined.name.as_str(), joined.shared.depth), ("a", 3));
        assert!(read(serde_json::json!({ "name": "a", "wide": 3 })).is_err());
        assert_eq!(keys::<Own, Shared>(), ["name", "depth"]);
        let schema = serde_json::Value::from(schemars::schema_for!(Joined<Own, Shared>));
        assert_eq!(schema["properties"].as_object().map(serde_json::Map::len), Some(2));
        assert_eq!(schema["required"], serde_json::json!(["name"]));
        assert_eq!(schema["additionalProperties"], false);
    }
}
