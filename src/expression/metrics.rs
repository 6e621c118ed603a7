//! Samples of metric series as expressions see them. The name and the labels belong to the series, so what
//! reads only them is answered once a series; the value belongs to the sample.

use super::compile::AttributePath;
use super::eval::Record;
use super::subject::{FieldId, FieldSpec, Kind, Subject};
use super::value::ValueRef;
use crate::data::labels::METRIC_NAME;
use crate::data::{LabelSet, Resource, Signal};

/// The fields of a sample. A label is a text; one that a series does not have is missing.
pub const SUBJECT: Subject =
    Subject { signal: Signal::Metrics, fields: FIELDS, attributes: "labels", attribute: Kind::Text };

// Numbers of fields are apart from those of log records, which other code knows by their numbers alone.

/// The metric's name, also `labels["__name__"]`.
pub const NAME: FieldId = FieldId(32);
/// The sample's number; missing where the sample is a native histogram.
pub const VALUE: FieldId = FieldId(33);

const FIELDS: &[FieldSpec] = &[
    FieldSpec { name: "name", id: NAME, kind: Kind::Text, settable: true },
    FieldSpec { name: "value", id: VALUE, kind: Kind::Number, settable: false },
];

/// A series without a value: what labels alone decide.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    /// Its labels, the name among them.
    pub labels: &'a LabelSet,
    /// The resource of its batch.
    pub resource: &'a Resource,
}

fn label<'a>(labels: &'a LabelSet, name: &str) -> ValueRef<'a> {
    match labels.get(name) {
        "" => ValueRef::Missing,
        value => ValueRef::Text(value.as_bytes()),
    }
}

impl<'a> Record<'a> for SeriesView<'a> {
    fn field(&self, field: FieldId) -> ValueRef<'a> {
        if field == NAME { label(self.labels, METRIC_NAME) } else { ValueRef::Missing }
    }

    fn attribute(&self, path: &AttributePath) -> ValueRef<'a> {
        label(self.labels, &path.keys[0])
    }

    fn resource(&self) -> &'a Resource {
        self.resource
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Assignment, Condition, PathOption};
    use super::*;

    #[test]
    fn expressions_are_typed_against_samples() {
        for good in ["name startsWith \"go_\"", "labels[\"a\"] == nil and value > 1", "labels[\"__name__\"] == \"up\""]
        {
            assert_eq!(Condition::of(good).problems(&SUBJECT), None, "{good}");
        }
        for (bad, says) in [
            ("labels[\"code\"] == 500", "a text is compared with a number"),
            ("value == \"1\"", "a number is compared with a text"),
            ("labels[\"a\"][\"b\"] == \"x\"", "which has no keys"),
            ("attributes[\"a\"] == \"x\"", "no field `attributes`"),
            ("value contains \"1\"", "wants texts"),
        ] {
            let problem = Condition::of(bad).problems(&SUBJECT).unwrap_or_else(|| panic!("{bad} is wrong"));
            assert!(problem.message.contains(says), "{bad}: {}", problem.message);
        }
        assert_eq!(Assignment::of("labels[\"team\"] = resource[\"team\"]").problems(&SUBJECT), None);
        for (bad, says) in [
            ("value = \"1\"", "cannot be set"),
            ("name = \"\"", "without a name"),
            ("labels[\"n\"] = value", "is a text; this is a number"),
        ] {
            let problem = Assignment::of(bad).problems(&SUBJECT).unwrap_or_else(|| panic!("{bad} is wrong"));
            assert!(problem.message.contains(says), "{bad}: {}", problem.message);
        }
        assert!(PathOption::of("name").editable(&SUBJECT).is_err(), "a name is set, never deleted");
    }
}
