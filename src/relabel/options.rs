//! A rule as configurations write it: Prometheus's `relabel_config`, key for key.

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::options::Spanned;

/// A relabelling rule in Prometheus's words. Rules are applied in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RelabelRule {
    /// Labels whose values, joined by `separator`, are what the rule looks at.
    #[schemars(with = "Option<Vec<String>>")]
    pub source_labels: Option<Spanned<Vec<Spanned<String>>>>,
    /// What stands between the joined values. Default: `;`.
    #[schemars(schema_with = "scalar")]
    pub separator: Option<Spanned<String>>,
    /// What the joined values must match, from the first to the last character (RE2's syntax; `.` matches a
    /// line break too). Default: `(.*)`.
    #[schemars(schema_with = "scalar")]
    pub regex: Option<Spanned<String>>,
    /// Number of parts that `hashmod` divides into.
    #[schemars(with = "Option<u64>")]
    pub modulus: Option<Spanned<u64>>,
    /// The label that is set, or that `keepequal` and `dropequal` compare with. In `replace` it may hold
    /// groups of `regex`: `$1`, `${name}`.
    #[schemars(schema_with = "scalar")]
    pub target_label: Option<Spanned<String>>,
    /// What `replace` sets the label to, and what `labelmap` calls it: text with groups of `regex`, `$1` or
    /// `${name}`; `$$` is a dollar. Default: `$1`.
    #[schemars(schema_with = "scalar")]
    pub replacement: Option<Spanned<String>>,
    /// What the rule does. Default: `replace`.
    #[schemars(with = "Option<Action>")]
    pub action: Option<Spanned<Action>>,
}

/// `true`, `8080` and `text` are all taken as text, as Prometheus takes them.
fn scalar(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "number", "boolean", "null"] })
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sets `target_label` to `replacement` where `regex` matches.
    #[default]
    Replace,
    /// Drops what `regex` does not match.
    Keep,
    /// Drops what `regex` matches.
    Drop,
    /// Drops where the joined values differ from `target_label`'s.
    KeepEqual,
    /// Drops where the joined values equal `target_label`'s.
    DropEqual,
    /// Sets `target_label` to a hash of the joined values, modulo `modulus`.
    HashMod,
    /// Copies labels whose names match to the name that `replacement` makes.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets `target_label` to the joined values in lower case.
    Lowercase,
    /// Sets `target_label` to the joined values in upper case.
    Uppercase,
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    const NAMES: &[&str] = &[
        "replace",
        "keep",
        "drop",
        "keepequal",
        "dropequal",
        "hashmod",
        "labelmap",
        "labeldrop",
        "labelkeep",
        "lowercase",
        "uppercase",
    ];

    /// As configurations write it.
    pub fn name(self) -> &'static str {
        Self::NAMES[Self::ALL.iter().position(|action| *action == self).unwrap_or_default()]
    }

    /// Whether it sets or reads `target_label`.
    pub const fn has_target(self) -> bool {
        use Action::{DropEqual, HashMod, KeepEqual, Lowercase, Replace, Uppercase};
        matches!(self, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl Visitor<'_> for Visit {
            type Value = Action;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an action such as `replace`, `keep` or `drop`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Action, E> {
                // Prometheus takes any case.
                let found = Action::NAMES.iter().position(|name| name.eq_ignore_ascii_case(text));
                found.map(|index| Action::ALL[index]).ok_or_else(|| E::unknown_variant(text, Action::NAMES))
            }
        }

        deserializer.deserialize_str(Visit)
    }
}

impl JsonSchema for Action {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RelabelAction".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // Editors complete from the list; any case is taken, and JSON Schema's patterns have no flag for it.
        let any_case = |letter: char| format!("[{letter}{}]", letter.to_ascii_uppercase());
        let names: Vec<String> = Self::NAMES.iter().map(|name| name.chars().map(any_case).collect()).collect();
        let pattern = format!("^({})$", names.join("|"));
        schemars::json_schema!({ "anyOf": [{ "enum": Self::NAMES }, { "type": "string", "pattern": pattern }] })
    }
}
