//! Blocks that are taken over from Prometheus as they are: what holds in them that does not hold elsewhere.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use schemars::{Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::Value as Json;

use super::secret::SECRET_PATTERN;

/// Name of the newtype by which a deserializer recognises [`Verbatim`].
pub const VERBATIM: &str = "$tailwater::Verbatim";

/// A value in Prometheus's own words. In it, at any depth, a [`Secret`](super::Secret) may be written inline,
/// as Prometheus allows it: that is a warning, where it is an error in every other part of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verbatim<T>(pub T);

impl<T> Deref for Verbatim<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Verbatim<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Verbatim<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Visit<T> {
            type Value = Verbatim<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
                T::deserialize(deserializer).map(Verbatim)
            }
        }

        deserializer.deserialize_newtype_struct(VERBATIM, Visit(PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Verbatim<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    /// The schema of `T`, with definitions of its own, in which secrets are any text.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut apart = generator.settings().clone().into_generator();
        let schema = Json::from(T::json_schema(&mut apart));
        let taken = apart.take_definitions(true);
        let mut count = 0;
        loop {
            // Types of two blocks may have the same name.
            let prefix = if count == 0 { "Verbatim".to_owned() } else { format!("Verbatim{count}") };
            let renamed = |schema: &Json| {
                let mut schema = schema.clone();
                relax(&mut schema, &prefix);
                schema
            };
            let own: Vec<_> = taken.iter().map(|(name, of)| (format!("{prefix}{name}"), renamed(of))).collect();
            let known = generator.definitions_mut();
            if own.iter().all(|(name, of)| known.get(name).is_none_or(|known| known == of)) {
                known.extend(own);
                return Schema::try_from(renamed(&schema)).unwrap_or_default();
            }
            count += 1;
        }
    }
}

/// Gives references to definitions the prefix, and takes the pattern from secrets.
fn relax(schema: &mut Json, prefix: &str) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::String(target)) = object.get_mut("$ref")
                && let Some((folder, name)) = target.rsplit_once('/')
            {
                *target = format!("{folder}/{prefix}{name}");
            }
            if object.get("pattern").is_some_and(|pattern| pattern == SECRET_PATTERN) {
                object.remove("pattern");
                object.insert(
                    "description".into(),
                    "A secret: `${file:/path}` or `${env:NAME}`; inline it is a warning.".into(),
                );
            }
            object.values_mut().for_each(|part| relax(part, prefix));
        }
        Json::Array(list) => list.iter_mut().for_each(|part| relax(part, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::HttpClientOptions;

    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Both {
        own: HttpClientOptions,
        theirs: Verbatim<Vec<HttpClientOptions>>,
    }

    #[test]
    fn secrets_are_any_text_in_it_and_only_there() {
        let schema = Json::from(schemars::schema_for!(Both));
        let definitions = schema["$defs"].as_object().expect("definitions");
        assert_eq!(definitions["Secret"]["pattern"], SECRET_PATTERN);
        assert!(definitions["VerbatimSecret"].get("pattern").is_none());
        assert_eq!(schema["properties"]["theirs"]["items"]["$ref"], "#/$defs/VerbatimHttpClientOptions");
        let basic = serde_json::to_string(&definitions["VerbatimBasicAuth"]).expect("text");
        assert!(basic.contains("#/$defs/VerbatimSecret") && !basic.contains("#/$defs/Secret"), "{basic}");
    }
}
