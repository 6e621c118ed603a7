//! The step `parse_regex`: makes what the named groups of a regular expression capture attributes.
//!
//! A capture of the body is a slice of the body: nothing is copied but what an object needs escaped.

use regex::bytes::{CaptureLocations, Regex};
use schemars::JsonSchema;

use super::edit::{NewValue, Workbench};
use super::fields;
use super::step::{OnError, Step, StepKind, StepPlan, wants_value};
use super::target::{Incoming, Place, Target};
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Slice, Value};
use crate::expression::check::regex;
use crate::expression::compile::AttributePath;
use crate::expression::option::{BAD_EXPRESSION, CompileError};
use crate::expression::{ExpressionError, Operand, PathOption, Subject, ValueRef};
use crate::options::{Problem, Spanned};

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "parse_regex",
    summary: "Makes what the named groups of a regular expression capture attributes.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// The field itself stays as it was. Every capture is a text; a group that took no part in the match sets
/// nothing. An attribute that has the name of a group is replaced. The search takes time that grows linearly with the text,
/// whatever the expression.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The expression, with groups such as `(?<status>[0-9]{3})`, in the syntax of
    /// <https://docs.rs/regex#syntax>. The first match in the text counts; `^` and `$` anchor it. Limits: at
    /// least one and at most 64 named groups; it must not compile to more than 1 MiB.
    pattern: Spanned<String>,
    /// The text that is searched: `body` or an attribute. Default: `body`.
    #[serde(default)]
    field: Option<PathOption>,
    /// What happens to a record that does not match or has no such text: `keep` leaves it as it was, `drop`
    /// drops it. Both are counted as errors. Default: `keep`.
    #[serde(default)]
    on_error: OnError,
}

/// Most named groups of an expression.
const MOST_GROUPS: usize = 64;

impl Options {
    fn field(&self) -> PathOption {
        self.field.clone().unwrap_or_else(|| PathOption::of("body"))
    }

    fn regex(&self) -> Result<Regex, ExpressionError> {
        let text = &self.pattern.value;
        let error = |message: String, help: &str| ExpressionError {
            from: 0,
            to: text.len(),
            message,
            help: Some(help.to_owned()),
        };
        let regex = regex(text).map_err(|why| {
            error(format!("the pattern is wrong: {why}"), "the syntax is that of https://docs.rs/regex#syntax")
        })?;
        match regex.capture_names().flatten().count() {
            0 => {
                Err(error("the pattern has no named group".to_owned(), "name what is captured: `(?<status>[0-9]{3})`"))
            }
            1..=MOST_GROUPS => Ok(regex),
            more => Err(error(format!("the pattern has {more} named groups"), "split it: at most 64 are allowed")),
        }
    }
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        let pattern = self.regex().err().map(|error| {
            let problem = Problem::new(BAD_EXPRESSION, self.pattern.span, error.message).within(error.from, error.to);
            problem.help(error.help.unwrap_or_default())
        });
        pattern.into_iter().chain(self.field.as_ref().and_then(|path| fields::problem(path, subject))).collect()
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        let regex = self.regex()?;
        let named = regex.capture_names().enumerate().filter_map(|(group, name)| Some((group, name?)));
        let target = |(group, name): (usize, &str)| {
            let path = AttributePath::new(&[name.into()], names)?;
            Ok::<_, CompileError>((group, Place::Attribute(Target { path })))
        };
        let targets = named.map(target).collect::<Result<_, _>>()?;
        let field = Operand::new(&self.field().editable(subject)?, names)?;
        let locations = regex.capture_locations();
        let on_body = matches!(field, Operand::Field(_));
        Ok(Box::new(Prepared {
            regex,
            targets,
            field,
            on_body,
            on_error: self.on_error,
            locations,
            text: Vec::new(),
            captured: Vec::new(),
        }))
    }
}

#[derive(Clone)]
struct Prepared {
    regex: Regex,
    /// The groups by number, and where their captures go.
    targets: Vec<(usize, Place)>,
    field: Operand,
    on_body: bool,
    on_error: OnError,
    locations: CaptureLocations,
    text: Vec<u8>,
    /// Record, position in `targets`, value.
    captured: Vec<(u32, usize, NewValue)>,
}

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        wants_value(interest, &self.field);
        self.targets.iter().for_each(|(_, place)| place.interest(interest));
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        bench.begin(batch);
        self.captured.clear();
        let mut failed = 0;
        for &record in records {
            let view = batch.view(record as usize);
            let value = self.field.read(&view);
            let text = value.text(&mut self.text);
            let Some(text) = text.filter(|text| self.regex.captures_read(&mut self.locations, text).is_some()) else {
                failed += 1;
                bench.unread.push(record);
                continue;
            };
            // Outside an object the capture itself is the attribute's text.
            let body = view.state.map_or(view.record.body, |state| state.body);
            let in_place = self.on_body && view.object().is_empty();
            for (at, (group, _)) in self.targets.iter().enumerate() {
                let Some((from, to)) = self.locations.get(*group) else { continue };
                let new = if in_place {
                    let slice = body.sub(from as u32, to as u32);
                    Some(NewValue {
                        kind: crate::data::JsonKind::String,
                        json: Slice::EMPTY,
                        value: Value::Text(slice),
                    })
                } else {
                    bench.value(ValueRef::Text(&text[from..to]))
                };
                self.captured.extend(new.map(|new| (record, at, new)));
            }
        }
        for (at, (_, place)) in self.targets.iter().enumerate() {
            let own = self.captured.iter().filter(|captured| captured.1 == at);
            place.write(batch, bench, own.map(|&(record, _, new)| (record, Incoming::Attribute(new))));
        }
        bench.finish(batch);
        bench.failed("parse_regex: the text does not match", failed);
        bench.drop_unread(batch, self.on_error == OnError::Drop);
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::Options;
    use super::super::tests::{documents, run_on};
    use crate::data::Signal;
    use crate::data::names::Interest;

    fn run(steps: Json, lines: &[&str]) -> (Vec<Json>, u64) {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let (batch, errors) = run_on(steps, &lines, &Interest::default());
        (documents(&batch), errors.iter().map(|(_, count)| count).sum())
    }

    const ACCESS: &str = r#"^(?<method>[A-Z]+) (?<path>\S+)(?: (?<status>[0-9]{3}))?"#;

    #[test]
    fn groups_of_the_body_become_attributes() {
        let steps = json!([
            { "parse_regex": { "pattern": ACCESS } },
            { "drop": "attributes[\"path\"] startsWith \"/health\"" },
            { "set": "attributes[\"copy\"] = attributes[\"path\"]" }
        ]);
        let lines = ["GET /a\"b 200 rest", "PUT /c", "GET /health 200", "no match", ""];
        let expected = [
            json!({"body": lines[0], "attributes": {"method": "GET", "path": "/a\"b", "status": "200", "copy": "/a\"b"}}),
            json!({"body": lines[1], "attributes": {"method": "PUT", "path": "/c", "copy": "/c"}}),
            json!({"body": lines[3], "attributes": {}}),
            json!({"attributes": {}}),
        ];
        assert_eq!(run(steps, &lines), (expected.to_vec(), 2));
    }

    #[test]
    fn a_field_of_an_object_is_read_without_its_escapes() {
        let steps = json!([
            { "parse_json": {} },
            { "parse_regex": { "field": "attributes[\"req\"]", "pattern": "^(?<verb>\\w+) \"(?<path>[^\"]*)\"$", "on_error": "drop" } }
        ]);
        let lines = [
            r#"{"req":"\u0047ET \"/x\"","verb":"old","verb":"older","n":1}"#,
            r#"{"req":7}"#,
            r#"{"n":1}"#,
            r#"{"req":"GET"}"#,
        ];
        let expected = [json!({"attributes": {"req": "GET \"/x\"", "verb": "GET", "path": "/x", "n": 1}})];
        assert_eq!(run(steps, &lines), (expected.to_vec(), 3));
    }

    #[test]
    fn the_body_beside_an_object() {
        let steps = json!([
            { "parse_json": {} },
            { "set": "body = attributes[\"msg\"]" },
            { "parse_regex": { "pattern": "user=(?<user>\\S+)" } }
        ]);
        let expected = [json!({"body": "user=\"x", "attributes": {"msg": "user=\"x", "user": "\"x"}})];
        assert_eq!(run(steps, &[r#"{"msg":"user=\"x"}"#]), (expected.to_vec(), 0));
    }

    #[test]
    fn wrong_options_are_told() {
        let problem = |step: Json| {
            let options: Options =
                serde_json::from_value(json!({ "steps": [{ "parse_regex": step }] })).expect("shape");
            options.problems_of(Signal::Logs).into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert!(problem(json!({ "pattern": "(?<a>" }))[0].contains("pattern is wrong"));
        assert!(problem(json!({ "pattern": "(a)" }))[0].contains("no named group"));
        let groups: String = (0..65).map(|n| format!("(?<g{n}>x)")).collect();
        assert!(problem(json!({ "pattern": groups }))[0].contains("65 named groups"));
        assert!(
            problem(json!({ "pattern": "(?<a>x)", "field": "severity_text" }))[0].contains("attribute or the body")
        );
        assert_eq!(problem(json!({ "pattern": "(?<a>x)" })), [""; 0]);
    }
}
