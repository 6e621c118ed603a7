//! Silences in the JSON of Alertmanager's API v2.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MOST_HELD, Silence, SilenceError, SilenceRequest, SilenceState, hold};
use crate::alerting::matcher::{Matcher, Op};
use crate::data::UnixMillis;

/// A matcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatcherJson {
    /// Name of the label.
    pub name: String,
    /// Its value, or a pattern.
    pub value: String,
    /// Whether `value` is a pattern.
    #[serde(default)]
    pub is_regex: bool,
    /// Whether it is not negated; `true` where nothing is said.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

const fn yes() -> bool {
    true
}

/// A silence as it is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostableSilence {
    /// Which one is to be changed; absent or empty for a new one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What labels have to fulfil.
    pub matchers: Vec<MatcherJson>,
    /// When it begins.
    pub starts_at: jiff::Timestamp,
    /// When it ends.
    pub ends_at: jiff::Timestamp,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Whatever else is to be known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A silence as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceJson {
    /// Its id.
    pub id: String,
    /// Where it is in its life.
    pub status: StatusJson,
    /// When it was changed last.
    pub updated_at: String,
    /// Whatever else is to be known of it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Why.
    pub comment: String,
    /// Who made it.
    pub created_by: String,
    /// When it ends.
    pub ends_at: String,
    /// What labels have to fulfil.
    pub matchers: Vec<MatcherJson>,
    /// When it begins.
    pub starts_at: String,
}

/// Where a silence is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusJson {
    /// That.
    pub state: StateJson,
}

/// Where a silence is in its life, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateJson {
    /// In force.
    Active,
    /// To come.
    Pending,
    /// Over.
    Expired,
}

/// A time as Alertmanager writes it: `2026-05-05T12:00:00.000Z`.
pub fn time_text(time: UnixMillis) -> String {
    // Only times beyond the year 9999 are none; they are shown as the last that is one.
    let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

impl From<&Matcher> for MatcherJson {
    fn from(matcher: &Matcher) -> Self {
        Self {
            name: matcher.name().to_owned(),
            value: matcher.value().to_owned(),
            is_regex: matcher.op().is_regex(),
            is_equal: matcher.op().is_equal(),
        }
    }
}

impl TryFrom<&MatcherJson> for Matcher {
    type Error = SilenceError;

    fn try_from(json: &MatcherJson) -> Result<Self, SilenceError> {
        let op = Op::of_flags(json.is_equal, json.is_regex);
        Self::new(op, &json.name, &json.value).map_err(|error| SilenceError::Invalid(error.to_string()))
    }
}

impl TryFrom<PostableSilence> for SilenceRequest {
    type Error = SilenceError;

    fn try_from(json: PostableSilence) -> Result<Self, SilenceError> {
        // Counted while they are compiled, not only once all of them are.
        let mut left = MOST_HELD;
        let matcher = |json| {
            let matcher = Matcher::try_from(json)?;
            hold(&mut left, &matcher).map(|()| matcher)
        };
        Ok(Self {
            id: json.id,
            matchers: json.matchers.iter().map(matcher).collect::<Result<_, _>>()?,
            starts_at: UnixMillis(json.starts_at.as_millisecond()),
            ends_at: UnixMillis(json.ends_at.as_millisecond()),
            created_by: json.created_by,
            comment: json.comment,
            annotations: json.annotations,
        })
    }
}

impl Silence {
    /// The silence as the API shows it.
    pub fn to_json(&self, now: UnixMillis) -> SilenceJson {
        let state = match self.state(now) {
            SilenceState::Active => StateJson::Active,
            SilenceState::Pending => StateJson::Pending,
            SilenceState::Expired => StateJson::Expired,
        };
        SilenceJson {
            id: self.id.to_string(),
            status: StatusJson { state },
            updated_at: time_text(self.updated_at),
            annotations: self.annotations.clone(),
            comment: self.comment.clone(),
            created_by: self.created_by.clone(),
            ends_at: time_text(self.ends_at),
            matchers: self.matchers.iter().map(MatcherJson::from).collect(),
            starts_at: time_text(self.starts_at),
        }
    }
}
