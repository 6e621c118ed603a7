//! Values of any shape with templates in them: `details` of PagerDuty, `payload` of a webhook. What a template writes is
//! taken for JSON where it is JSON, so that `{{ .Alerts | toJson }}` becomes a list and not the text of one.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::facts::Facts;
use super::text::Text;
use crate::alerting::notifier::WriteError;
use crate::alerting::template::Templates;

/// A value, its templates read.
#[derive(Clone, Debug)]
pub enum Nested {
    /// A template.
    Text(Text),
    /// Values in order.
    List(Vec<Self>),
    /// Values by names, which are templates too.
    Map(Vec<(Text, Self)>),
    /// A number, a truth value or nothing.
    Plain(Json),
}

impl Nested {
    /// Reads the templates.
    ///
    /// # Errors
    /// Where one cannot be read: says why.
    pub fn compile(written: &Json, set: &Templates) -> Result<Self, String> {
        Ok(match written {
            Json::String(text) => Self::Text(Text::compile(text, set)?),
            Json::Array(list) => {
                Self::List(list.iter().map(|part| Self::compile(part, set)).collect::<Result<_, _>>()?)
            }
            Json::Object(map) => {
                let entry = |(name, part): (&String, &Json)| Ok((Text::compile(name, set)?, Self::compile(part, set)?));
                Self::Map(map.iter().map(entry).collect::<Result<_, String>>()?)
            }
            plain => Self::Plain(plain.clone()),
        })
    }

    /// Reads the templates of named values.
    ///
    /// # Errors
    /// Where one cannot be read: says why.
    pub fn compile_all(written: &BTreeMap<String, Json>, set: &Templates) -> Result<Vec<(Text, Self)>, String> {
        written.iter().map(|(name, part)| Ok((Text::compile(name, set)?, Self::compile(part, set)?))).collect()
    }

    /// The value as it is for a notification.
    ///
    /// # Errors
    /// Where a template fails.
    pub fn write(&self, facts: &Facts<'_>) -> Result<Json, WriteError> {
        Ok(match self {
            Self::Text(text) => {
                let written = text.write(facts)?;
                match serde_json::from_str(&written) {
                    Ok(Json::String(_)) | Err(_) => Json::String(written),
                    Ok(other) => other,
                }
            }
            Self::List(list) => Json::Array(list.iter().map(|part| part.write(facts)).collect::<Result<_, _>>()?),
            Self::Map(map) => Json::Object(Self::write_all(map, facts)?),
            Self::Plain(plain) => plain.clone(),
        })
    }

    /// Named values as they are for a notification.
    ///
    /// # Errors
    /// Where a template fails.
    pub fn write_all(parts: &[(Text, Self)], facts: &Facts<'_>) -> Result<serde_json::Map<String, Json>, WriteError> {
        parts.iter().map(|(name, part)| Ok((name.write(facts)?, part.write(facts)?))).collect()
    }
}
