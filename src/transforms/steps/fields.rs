//! Options that name fields: one, or a list of them.

use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::spans;
use super::target::Place;
use crate::data::Names;
use crate::expression::check::CheckedTerm;
use crate::expression::option::CompileError;
use crate::expression::{Operand, PathOption, Subject, traces};
use crate::options::{Problem, Spanned};

/// One field or a list of them: attributes, or the body.
#[derive(Debug)]
pub struct Fields(pub Vec<PathOption>);

/// What is wrong with a field that a step is to edit.
pub fn problem(path: &PathOption, subject: &Subject) -> Option<Problem> {
    path.editable(subject).err().map(|error| path.problem(error))
}

/// Compiles a field that a step is to edit.
pub fn place(path: &PathOption, subject: &Subject, names: &Names) -> Result<Place, CompileError> {
    let operand = Operand::new(&path.editable(subject)?, names)?;
    Ok(Place::of(operand).expect("attributes and the body have a place"))
}

/// Whether a field is an attribute of the resource of a span.
pub fn is_of_resource(path: &PathOption) -> bool {
    matches!(path.editable(&traces::SUBJECT), Ok(CheckedTerm::Resource(_)))
}

impl Fields {
    /// What they name in spans and their resources.
    pub fn on_spans(&self) -> Result<Vec<spans::Place>, CompileError> {
        self.0.iter().map(spans::Place::of).collect()
    }

    /// Whether one is an attribute of the resource of a span.
    pub fn name_a_resource(&self) -> bool {
        self.0.iter().any(is_of_resource)
    }

    /// What is wrong with them.
    pub fn problems(&self, subject: &Subject) -> Vec<Problem> {
        self.0.iter().filter_map(|path| problem(path, subject)).collect()
    }

    /// Compiles them.
    pub fn places(&self, subject: &Subject, names: &Names) -> Result<Vec<Place>, CompileError> {
        self.0.iter().map(|path| place(path, subject, names)).collect()
    }
}

enum Written {
    One(String),
    Many(Vec<PathOption>),
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Written;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a field such as `attributes[\"key\"]`, or a list of fields")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Written, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(seq)).map(Written::Many)
            }
        }

        deserializer.deserialize_any(Visit)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<Written>::deserialize(deserializer)?;
        Ok(Self(match written.value {
            Written::One(text) => vec![PathOption::at(&text, written.span)],
            Written::Many(paths) => paths,
        }))
    }
}

impl JsonSchema for Fields {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fields".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = PathOption::json_schema(generator);
        schemars::json_schema!({
            "description": "A field, or a list of fields: `attributes[\"key\"]`, `body`; of metrics `labels[\"key\"]`; of spans also `resource[\"key\"]`.",
            "oneOf": [one, { "type": "array", "items": one }]
        })
    }
}
