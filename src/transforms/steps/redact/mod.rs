//! The step `redact`: replaces secrets wherever they stand in a record, however they are escaped.
//!
//! First every record is read: where a fast pass over its bytes suspects nothing, nothing more happens.
//! Where something is found, only the secrets' own bytes are replaced: by a cut in the object, or by a new
//! value of a located member. Only where edits or located members lie around a secret in each other, or a
//! key holds one, is the object written anew.

pub mod digits;
pub mod json;
pub mod pattern;
pub mod records;
pub mod search;
pub mod spans;

use schemars::JsonSchema;
use serde::de::Error as _;

use self::json::Replacement;
use self::pattern::Pattern;
use self::records::Search;
use self::search::Finder;
use super::edit::Workbench;
use super::fields::Fields;
use super::spans::{OfTexts, SpanStep};
use super::step::{Step, StepKind, StepPlan};
use super::target::Place;
use crate::data::names::Interest;
use crate::data::{LogBatch, Names, Signal};
use crate::expression::check::regex;
use crate::expression::option::{BAD_EXPRESSION, CompileError};
use crate::expression::{ExpressionError, Subject};
use crate::options::{Problem, Spanned};

/// The list's entry.
pub const KIND: StepKind = StepKind {
    name: "redact",
    summary: "Replaces secrets such as card numbers and e-mail addresses by a fixed text.",
    plan: |options| {
        let options = erased_serde::deserialize::<Options>(options)?;
        if options.patterns.is_empty() && options.regexes.is_empty() {
            let words =
                "`redact` is not told what to look for: write `patterns: [card_number, email, jwt]` or `regexes: […]`";
            return Err(erased_serde::Error::custom(words));
        }
        Ok(Box::new(options))
    },
    schema: |generator| Options::json_schema(generator),
};

/// Secrets are found also where JSON escapes them (`\u0040` for `@`). A number that is a secret becomes a
/// text. A line without a secret costs about one fast pass over its bytes.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The fields that are searched, with everything inside them: `attributes["user"]`, `body`. Default: the
    /// body and all attributes, every string, number and key at any depth, every occurrence of a key that is
    /// given twice; of a span its name, its status message, and all attributes of it, its events and its links.
    #[serde(default)]
    fields: Option<Fields>,
    /// What is searched, by name. At least one pattern or expression is needed.
    #[serde(default)]
    patterns: Vec<Pattern>,
    /// Regular expressions for what else is searched, in the syntax of <https://docs.rs/regex#syntax>. Each is
    /// searched in every text, which costs more than the patterns. With a group `(?<secret>…)` only what that
    /// group captures is replaced. Limit: an expression must not compile to more than 1 MiB.
    #[serde(default)]
    regexes: Vec<Spanned<String>>,
    /// What is written instead. Default: `[REDACTED:email]` and so on with the pattern's name, `[REDACTED]`
    /// for an expression. Where several keys of a record held secrets, a number behind it tells them apart.
    #[serde(default)]
    replacement: Option<Spanned<String>>,
}

impl Options {
    fn finder(&self) -> Result<Finder, ExpressionError> {
        let compile = |text: &Spanned<String>| {
            let error = |message| ExpressionError { from: 0, to: text.value.len(), message, help: None };
            regex(&text.value).map_err(|why| error(format!("the expression is wrong: {why}")))
        };
        let regexes = self.regexes.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Finder::new(self.patterns.clone(), regexes))
    }

    fn replacements(&self) -> Vec<Replacement> {
        let text = |named: String| self.replacement.as_ref().map_or(named, |text| text.value.clone());
        let patterns = self.patterns.iter().map(|pattern| text(format!("[REDACTED:{}]", pattern.name())));
        let regexes = self.regexes.iter().map(|_| text("[REDACTED]".to_owned()));
        patterns.chain(regexes).map(|text| Replacement::new(&text)).collect()
    }
}

impl StepPlan for Options {
    fn problems(&self, subject: &Subject) -> Vec<Problem> {
        let mut problems: Vec<_> = self.fields.iter().flat_map(|fields| fields.problems(subject)).collect();
        for text in &self.regexes {
            let problem =
                |message: &str| Problem::new(BAD_EXPRESSION, text.span, message.to_owned()).within(0, text.value.len());
            match regex(&text.value) {
                Err(why) => problems.push(
                    problem(&format!("the expression is wrong: {why}"))
                        .help("the syntax is that of https://docs.rs/regex#syntax"),
                ),
                Ok(regex) if regex.is_match(b"") => problems.push(
                    problem("the expression matches the empty text").help("write `+` instead of `*`, or anchor it"),
                ),
                Ok(_) => {}
            }
        }
        problems
    }

    fn takes(&self, signal: Signal) -> bool {
        matches!(signal, Signal::Logs | Signal::Traces)
    }

    fn on_spans(&self, _: &Names) -> Option<Result<Box<dyn SpanStep>, CompileError>> {
        let redactor = self.finder().map(|finder| spans::Redactor::new(finder, self.replacements()));
        Some(redactor.map_err(CompileError::from).and_then(|redactor| OfTexts::boxed(self.fields.as_ref(), redactor)))
    }

    fn edits_resource(&self) -> bool {
        self.fields.as_ref().is_some_and(Fields::name_a_resource)
    }

    fn prepare(&self, subject: &Subject, names: &Names) -> Result<Box<dyn Step>, CompileError> {
        let places = self.fields.as_ref().map(|fields| fields.places(subject, names)).transpose()?;
        let search = Search::new(self.finder()?, self.replacements());
        Ok(Box::new(Prepared { places, search }))
    }
}

#[derive(Clone)]
struct Prepared {
    places: Option<Vec<Place>>,
    search: Search,
}

impl Step for Prepared {
    fn interest(&self, interest: &mut Interest) {
        self.places.iter().flatten().for_each(|place| place.interest(interest));
    }

    fn run(&mut self, batch: &mut LogBatch, records: &[u32], bench: &mut Workbench) {
        let search = &mut self.search;
        match &self.places {
            None => search.step(batch, records, bench, |search, view, record, bench| {
                search.body(view, record, bench);
                search.object(view, record, bench);
                search.attributes(view, record, bench);
            }),
            Some(places) => {
                for place in places {
                    search.step(batch, records, bench, |search, view, record, bench| match place {
                        Place::Attribute(target) => search.target(target, view, record, bench),
                        _ => search.body(view, record, bench),
                    });
                }
            }
        }
    }

    fn copy(&self) -> Box<dyn Step> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
