//! Lists of labels behind a keyword, and matchers in braces.

use regex::Regex;

use super::super::literal::unquote;
use super::super::refusal::Refusal;
use super::super::token::Token;
use super::{Check, Room};
use crate::data::labels::METRIC_NAME;
use crate::relabel::compiled::{Compiled, reason};
use crate::relabel::dialect;

/// How large a compiled pattern may be, tried one after the other, so that what it holds is known by the limit that it
/// keeps to.
const SIZES: [usize; 3] = [32 << 10, 256 << 10, 1 << 20];

/// Where labels are listed, and where they are matched, as messages name it.
const LIST: &str = "grouping opts";
const MATCHING: &str = "label matching";

/// What the matchers in braces come to.
#[derive(Default)]
pub(super) struct Matchers {
    /// The metric's name, or what it is compared with, if it is.
    pub name: Option<String>,
    /// Whether every matcher matches the empty text, so that all series are selected.
    pub all_match_nothing: bool,
}

impl Check<'_> {
    /// `(a, b)`: the labels behind `by` and the like.
    pub(super) fn grouping(&mut self) -> Result<Vec<String>, Refusal> {
        if !self.take("(")? {
            return Err(self.unexpected().within(LIST, "\"(\""));
        }
        let mut labels = Vec::new();
        while !self.take(")")? {
            labels.push(self.label()?);
            if !self.take(",")? && !self.is(")")? {
                return Err(self.unexpected().within(LIST, "\",\" or \")\""));
            }
        }
        Ok(labels)
    }

    fn label(&mut self) -> Result<String, Refusal> {
        let label = match self.look()? {
            Some((Token::Word, word)) if !matches!(word.to_ascii_lowercase().as_str(), "inf" | "nan") => {
                word.to_owned()
            }
            Some((Token::Text, text)) => {
                let label = unquote(text).and_then(|bytes| String::from_utf8(bytes).ok());
                match label.filter(|label| !label.is_empty()) {
                    Some(label) => label,
                    None => return self.refuse(self.at, format!("invalid label name for grouping: {text}")),
                }
            }
            _ => return Err(self.unexpected().within(LIST, "label")),
        };
        self.at += 1;
        Ok(label)
    }

    /// `{a="b", …}`
    pub(super) fn matchers(&mut self) -> Result<Matchers, Refusal> {
        self.at += 1;
        let mut all = Matchers { name: None, all_match_nothing: true };
        while !self.take("}")? {
            self.matcher(&mut all)?;
            if !self.take(",")? && !self.is("}")? {
                return Err(self.unexpected_matcher("\",\" or \"}\""));
            }
        }
        Ok(all)
    }

    fn matcher(&mut self, all: &mut Matchers) -> Result<(), Refusal> {
        let first = self.at;
        let name = match self.look()? {
            Some((Token::Word, word)) => word.to_owned(),
            Some((Token::Text, text)) => read(text),
            _ => return Err(self.unexpected_matcher("identifier or \"}\"")),
        };
        self.at += 1;
        let quoted = self.tokens.all[first].token == Token::Text;
        let operator = match self.look()? {
            Some((Token::Sign, sign @ ("=" | "!=" | "=~" | "!~"))) => sign.to_owned(),
            // A text alone is the metric's name.
            _ if quoted => {
                all.all_match_nothing &= name.is_empty();
                all.name.get_or_insert(name);
                return Ok(());
            }
            _ => return Err(self.unexpected_matcher("label matching operator")),
        };
        self.at += 1;
        let Some((Token::Text, text)) = self.look()? else { return Err(self.unexpected_matcher("string")) };
        let value = read(text);
        let matches_nothing = match operator.as_str() {
            "=" => value.is_empty(),
            "!=" => !value.is_empty(),
            _ => {
                let pattern = compiled(&value, self.room);
                let pattern =
                    pattern.or_else(|problem| self.refuse(first, format!("error parsing regexp: {problem}")))?;
                let matches = pattern.is_match("");
                self.patterns.push((self.at, pattern));
                matches == (operator == "=~")
            }
        };
        all.all_match_nothing &= matches_nothing;
        if name == METRIC_NAME {
            all.name.get_or_insert(value);
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected_matcher(&self, expected: &str) -> Refusal {
        Refusal::unexpected_in_braces(self.tokens, self.at).within(MATCHING, expected)
    }
}

/// A text without its quotes. What is no UTF-8 is refused when the tree is made.
fn read(quoted: &str) -> String {
    String::from_utf8_lossy(&unquote(quoted).unwrap_or_default()).into_owned()
}

/// A pattern, or in few words what is wrong with which part of it: those of Go where both engines mean the same.
fn compiled(pattern: &str, room: &mut Room) -> Result<Regex, String> {
    let of_whole = |problem: &str| format!("{problem}: `{pattern}`");
    let translated = dialect::anchored(pattern).map_err(|bad| match bad.message.as_str() {
        "a `(` is not closed" => of_whole("missing closing )"),
        "this `)` closes nothing" => of_whole("unexpected )"),
        "this `[` is not closed" => of_whole("missing closing ]"),
        dialect::TOO_OFTEN => format!("invalid repeat count: `{}`", &pattern[bad.at.0..bad.at.1]),
        message => of_whole(message),
    })?;
    let compiled = Compiled::within(&SIZES, &translated).map_err(|error| match reason(&error).as_str() {
        "repetition operator missing expression" => of_whole("missing argument to repetition operator"),
        reason => of_whole(reason),
    })?;
    let left = room.0.checked_sub(compiled.held_bytes(1));
    let too_many = "the patterns that are read together take more than 64 MiB; write fewer or simpler ones";
    room.0 = left.ok_or_else(|| of_whole(too_many))?;
    Ok(compiled.regex)
}
