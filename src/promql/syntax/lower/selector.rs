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
use crate::series::{MatchOp, Matcher};

impl Lowering<'_> {
    pub(super) fn instant(&mut self, selector: grammar::VectorSelector) -> Result<Expr, ParseError> {
        let (place, selected) = self.selected(selector)?;
        let constant = selected.shift.at.is_some();
        Ok(expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant))
    }

    pub(super) fn range(&mut self, selector: grammar::MatrixSelector) -> Result<Expr, ParseError> {
        let (place, mut selected) = self.selected(selector.vs)?;
        let (_, length, extension) = self.length(selector.range.as_millis())?;
        if extension != Extension::None {
            selected.extension = extension;
        }
        let constant = selected.shift.at.is_some();
        Ok(expr(Node::Range(Box::new(selected), length), place, ValueType::Matrix, constant))
    }

    pub(super) fn selected(&mut self, selector: grammar::VectorSelector) -> Result<(Place, Selected), ParseError> {
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
            return Err(self.lost());
        }
        for matcher in matchers.matchers {
            if matcher.name == MODIFIER {
                let item = self.item(&matcher.value);
                let Some(Item { what: What::Extension(found), .. }) = item else { return Err(self.lost()) };
                if *found != Extension::None {
                    extension = *found;
                }
                continue;
            }
            let (at, matcher) = self.matcher(matcher)?;
            // A selector without a name before it begins with its brace.
            place.get_or_insert_with(|| self.before(at, 1));
            lowered.push(matcher);
        }
        let place = place.unwrap_or_default();
        if let Some(name) = &name {
            lowered.push(Matcher { name: METRIC_NAME.into(), op: MatchOp::Equal, value: name.as_str().into() });
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
            (value_place, METRIC_NAME.to_owned())
        } else {
            let (place, name) = self.label(&name)?;
            (place.unwrap_or(value_place), name)
        };
        let op = match comparison {
            plain::NOT_EQUAL => MatchOp::NotEqual,
            plain::MATCHES => MatchOp::Matches(self.pattern(value_place)?),
            plain::MATCHES_NOT => MatchOp::MatchesNot(self.pattern(value_place)?),
            _ => MatchOp::Equal,
        };
        Ok((place, Matcher { name: name.into(), op, value: value.into() }))
    }

    /// The pattern that stands there.
    fn pattern(&self, place: Place) -> Result<Regex, ParseError> {
        let token = self.token(place).ok_or_else(|| self.lost())?;
        let found = self.patterns.binary_search_by_key(&token, |(token, _)| *token);
        found.map(|index| self.patterns[index].1.clone()).map_err(|_| self.lost())
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
