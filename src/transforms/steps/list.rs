//! An entry of the list as it is written: one step by its name, and an optional `if:`.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::STEPS;
use super::step::{StepKind, StepPlan};
use crate::expression::Condition;
use crate::options::{Span, Spanned};

/// A step's options and its condition.
#[derive(Debug)]
pub struct StepEntry {
    /// The step's name.
    pub name: &'static str,
    /// Where that was written.
    pub span: Span,
    /// The step.
    pub plan: Box<dyn StepPlan>,
    /// For which records it runs.
    pub guard: Option<Condition>,
}

/// The keys that an entry may have: the steps, and `if`.
const KEYS: [&str; STEPS.len() + 1] = {
    let mut keys = ["if"; STEPS.len() + 1];
    let mut at = 0;
    while at < STEPS.len() {
        keys[at + 1] = STEPS[at].name;
        at += 1;
    }
    keys
};

impl<'de> serde::Deserialize<'de> for StepEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Visit)
    }
}

struct Visit;

impl<'de> Visitor<'de> for Visit {
    type Value = StepEntry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("one step by its name, such as `drop: 'severity_number < INFO'`, and an optional `if:`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StepEntry, A::Error> {
        let mut found: Option<(&'static str, Span, Box<dyn StepPlan>)> = None;
        let mut guard = None;
        while let Some(key) = map.next_key::<Spanned<Key>>()? {
            let kind = match key.value {
                Key::Step(kind) => kind,
                Key::If => {
                    guard = Some(map.next_value()?);
                    continue;
                }
            };
            let plan = map.next_value_seed(Options(kind))?;
            if let Some((first, ..)) = found.replace((kind.name, key.span, plan)) {
                let second = kind.name;
                let words =
                    format!("`{first}` and `{second}` stand in one entry; begin each step with a dash of its own");
                return Err(A::Error::custom(words));
            }
        }
        let (name, span, plan) =
            found.ok_or_else(|| A::Error::custom("an entry needs a step, such as `drop: 'severity_number < INFO'`"))?;
        Ok(StepEntry { name, span, plan, guard })
    }
}

/// A key of an entry. It is judged where it is read, so that an error points at it.
enum Key {
    If,
    Step(&'static StepKind),
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == "if" {
            return Ok(Self::If);
        }
        let kind = STEPS.iter().find(|kind| kind.name == key);
        kind.map(|kind| Self::Step(kind)).ok_or_else(|| D::Error::unknown_field(&key, &KEYS))
    }
}

struct Options(&'static StepKind);

impl<'de> DeserializeSeed<'de> for Options {
    type Value = Box<dyn StepPlan>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        (self.0.plan)(&mut <dyn erased_serde::Deserializer<'_>>::erase(deserializer)).map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for StepEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let guard = Condition::json_schema(generator);
        let entry = |kind: &&StepKind| {
            let mut options = (kind.schema)(generator);
            options.insert("title".to_owned(), kind.name.into());
            let summary = options.get("description").map_or(kind.summary.to_owned(), |more| {
                format!("{} {}", kind.summary, more.as_str().unwrap_or_default())
            });
            options.insert("description".to_owned(), summary.into());
            schemars::json_schema!({
                "type": "object",
                "properties": { kind.name: options, "if": guard.clone() },
                "required": [kind.name],
                "additionalProperties": false
            })
        };
        let mut steps: Vec<_> = STEPS.iter().map(entry).collect();
        let fragment = schemars::json_schema!({
            "type": "object",
            "properties": { "use": { "type": "string", "description": "Inserts the steps of this fragment." } },
            "required": ["use"],
            "additionalProperties": false
        });
        steps.push(fragment);
        schemars::json_schema!({ "oneOf": steps })
    }
}
