//! Selectors and subqueries: what they select, over which range, and how far it is shifted.

use promql_parser::label as grammar_label;
use promql_parser::parser as grammar;
use regex::Regex;

use super::super::super::functions::{Extension, Place};
use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::{At, Expr, Node, Selected, Shift, Subquery};
use super::super::plain::{self, Item, MODIFIER, What};
use super::{Lowering, expr};
use crate::data::labels::METRIC_NAME;
use crate::relabel::dialect;
use crate::series::{MatchOp, Matcher};

/// Most memory of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

impl Lowering<'_> {
    pub(super) fn instant(&mut self, selector: grammar::VectorSelector) -> Result<Expr, ParseError> {
        let (place, selected) = self.selected(selector, false)?;
        let constant = selected.shift.at.is_some();
        Ok(expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant))
    }

    pub(super) fn range(&mut self, selector: grammar::MatrixSelector) -> Result<Expr, ParseError> {
        let (place, mut selected) = self.selected(selector.vs, false)?;
        let (_, length, extension) = self.length(selector.range.as_millis())?;
        if selected.extension != Extension::None && extension != Extension::None && selected.extension != extension {
            return Err(self.error(place, "anchored and smoothed modifiers cannot be used together".to_owned()));
        }
        if extension != Extension::None {
            selected.extension = extension;
        }
        let constant = selected.shift.at.is_some();
        Ok(expr(Node::Range(Box::new(selected), length), place, ValueType::Matrix, constant))
    }

    pub(super) fn selected(
        &mut self,
        selector: grammar::VectorSelector,
        info: bool,
    ) -> Result<(Place, Selected), ParseError> {
        let grammar::VectorSelector { name, matchers, offset, at } = selector;
        let mut place = None;
        let name = match name {
            Some(name) => {
                let (at, name) = self.name(&name)?;
                place = at;
                Some(name)
            }
            None => None,
        };
        let mut extension = Extension::None;
        let mut lowered = Vec::with_capacity(matchers.matchers.len() + 1);
        if !matchers.or_matchers.is_empty() {
            return Err(self.error(place.unwrap_or_default(), "unexpected \"or\" inside braces".to_owned()));
        }
        for matcher in matchers.matchers {
            if matcher.name == MODIFIER {
                let item = self.item(&matcher.value);
                let Some(Item { what: What::Extension(found), .. }) = item else { return Err(self.lost()) };
                if extension != Extension::None && extension != *found {
                    let message = "anchored and smoothed modifiers cannot be used together".to_owned();
                    return Err(self.error(place.unwrap_or_default(), message));
                }
                extension = *found;
                continue;
            }
            let (at, matcher) = self.matcher(matcher)?;
            // A selector without a name before it begins with its brace.
            place.get_or_insert_with(|| self.before(at, 1));
            lowered.push(matcher);
        }
        let place = place.unwrap_or_default();
        let mut named = lowered.iter().filter(|matcher| &*matcher.name == METRIC_NAME);
        if let (Some(name), Some(again)) = (&name, named.next()) {
            let message = format!("metric name must not be set twice: {name:?} or {:?}", &*again.value);
            return Err(self.error(place, message));
        }
        if let Some(name) = &name {
            lowered.push(Matcher { name: METRIC_NAME.into(), op: MatchOp::Equal, value: name.as_str().into() });
        } else if !info && lowered.iter().all(|matcher| matcher.matches("")) {
            return Err(self.error(place, "vector selector must contain at least one non-empty matcher".to_owned()));
        }
        let shift = self.shift(offset, at)?;
        Ok((place, Selected { name: name.map(Into::into), matchers: lowered, shift, extension, summaries: false }))
    }

    fn matcher(&mut self, matcher: grammar_label::Matcher) -> Result<(Place, Matcher), ParseError> {
        let grammar_label::Matcher { name, value, .. } = matcher;
        let digits = value.find(|char: char| char.is_ascii_digit()).unwrap_or(0);
        let (comparison, value) = value.split_at(digits);
        let (value_place, value) = self.text(value)?;
        // A text alone among matchers is the metric's name, and is given this one by the grammar.
        let (place, name) = if name == METRIC_NAME {
            if value.is_empty() {
                return Err(self.error(value_place, "metric name must not be empty".to_owned()));
            }
            (value_place, METRIC_NAME.to_owned())
        } else {
            let (place, name) = self.label(&name)?;
            (place.unwrap_or(value_place), name)
        };
        let op = match comparison {
            plain::NOT_EQUAL => MatchOp::NotEqual,
            plain::MATCHES => MatchOp::Matches(self.pattern(value_place, &value)?),
            plain::MATCHES_NOT => MatchOp::MatchesNot(self.pattern(value_place, &value)?),
            _ => MatchOp::Equal,
        };
        Ok((place, Matcher { name: name.into(), op, value: value.into() }))
    }

    fn pattern(&self, place: Place, pattern: &str) -> Result<Regex, ParseError> {
        let bad =
            |error: &dyn std::fmt::Display| self.error(place, format!("error parsing regexp {pattern:?}: {error}"));
        let translated = dialect::anchored(pattern).map_err(|error| bad(&error.message))?;
        let built = regex::RegexBuilder::new(&translated).size_limit(PATTERN_BYTES).build();
        built.map_err(|error| bad(&error))
    }

    fn shift(&mut self, offset: Option<grammar::Offset>, at: Option<grammar::AtModifier>) -> Result<Shift, ParseError> {
        let offset = match offset {
            Some(grammar::Offset::Pos(item) | grammar::Offset::Neg(item)) => Some(self.length(item.as_millis())?.1),
            None => None,
        };
        let at = match at {
            Some(grammar::AtModifier::At(time)) => {
                let index = time.duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
                match usize::try_from(index).ok().and_then(|index| self.items.get(index.wrapping_sub(1))) {
                    Some(Item { what: What::At(at), .. }) => Some(*at),
                    _ => return Err(self.lost()),
                }
            }
            Some(grammar::AtModifier::Start) => Some(At::Start),
            Some(grammar::AtModifier::End) => Some(At::End),
            None => None,
        };
        Ok(Shift { at, offset })
    }

    pub(super) fn subquery(&mut self, subquery: grammar::SubqueryExpr) -> Result<Expr, ParseError> {
        let inner = self.expression(*subquery.expr)?;
        let place = inner.place;
        if inner.value_type != ValueType::Vector {
            let message = format!("subquery is only allowed on instant vector, got {} instead", inner.value_type);
            return Err(self.error(place, message));
        }
        let (_, range, _) = self.length(subquery.range.as_millis())?;
        let step = match subquery.step {
            Some(step) => Some(self.length(step.as_millis())?.1),
            None => None,
        };
        let shift = self.shift(subquery.offset, subquery.at)?;
        let constant = shift.at.is_some();
        let node = Node::Subquery(Box::new(Subquery { inner, range, step, shift }));
        Ok(expr(node, place, ValueType::Matrix, constant))
    }
}
