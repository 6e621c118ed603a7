//! The grammar's tree becomes ours: numbers in the plain text become what they stand for again, types are checked, and it is
//! said what is the same at every step.

use std::ops::Range;

use promql_parser::label as grammar_label;
use promql_parser::parser as grammar;
use regex::Regex;

use super::super::functions::{self, Extension, Function, Kind, Place, TABLE};
use super::super::query::{ParseError, ValueType};
use super::super::tree::{
    Aggregate, Aggregation, At, Binary, Call, Expr, Group, LabelList, Matching, Node, Operator, Selected, Shift,
    Subquery,
};
use super::length::Length;
use super::plain::{self, Item, MODIFIER, Plain, What};
use super::token::{Placed, Token};
use crate::data::labels::METRIC_NAME;
use crate::relabel::dialect;
use crate::series::{MatchOp, Matcher};

/// Most memory of one compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

pub(super) fn lower(text: &str, tokens: &[Placed], plain: Plain, parsed: grammar::Expr) -> Result<Expr, ParseError> {
    let mut lowering = Lowering { text, tokens, items: plain.items, operators: plain.operators.into_iter() };
    lowering.expression(parsed)
}

struct Lowering<'a> {
    text: &'a str,
    tokens: &'a [Placed],
    items: Vec<Item>,
    operators: std::vec::IntoIter<Operator>,
}

impl Lowering<'_> {
    fn expression(&mut self, parsed: grammar::Expr) -> Result<Expr, ParseError> {
        match parsed {
            grammar::Expr::NumberLiteral(literal) => self.number(literal.val),
            grammar::Expr::StringLiteral(literal) => self.literal(&literal.val),
            grammar::Expr::VectorSelector(selector) => self.instant(selector),
            grammar::Expr::MatrixSelector(selector) => self.range(selector),
            grammar::Expr::Subquery(subquery) => self.subquery(subquery),
            grammar::Expr::Call(call) => self.call(call),
            grammar::Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            grammar::Expr::Binary(binary) => self.binary(binary),
            grammar::Expr::Unary(unary) => {
                let inner = self.expression(*unary.expr)?;
                let place = self.before(inner.place, 1);
                if !matches!(inner.value_type, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got \"{}\"",
                        inner.value_type
                    );
                    return Err(self.error(place, message));
                }
                Ok(self.negate(inner, place))
            }
            grammar::Expr::Paren(paren) => {
                let inner = self.expression(*paren.expr)?;
                let place = self.before(inner.place, 1);
                let (value_type, constant) = (inner.value_type, inner.constant);
                Ok(expr(Node::Paren(Box::new(inner)), place, value_type, constant))
            }
            grammar::Expr::Extension(_) => Err(self.error(Place(0), "unexpected extension of the grammar".to_owned())),
        }
    }

    fn literal(&self, plain: &str) -> Result<Expr, ParseError> {
        let (place, node) = match self.item(plain) {
            Some(Item { token, what: What::Text(Some(text)) }) => {
                (self.place(*token), Node::Text(text.as_str().into()))
            }
            Some(Item { token, what: What::Text(None) }) => {
                (self.place(*token), Node::Bytes(self.source(*token).into()))
            }
            _ => return Err(self.lost()),
        };
        Ok(expr(node, place, ValueType::String, true))
    }

    fn item(&self, plain: &str) -> Option<&Item> {
        self.items.get(plain.parse::<usize>().ok()?.checked_sub(1)?)
    }

    fn number(&mut self, number: f64) -> Result<Expr, ParseError> {
        let (index, negative) = (number.abs() as usize, number < 0.0);
        let item = self.items.get(index.wrapping_sub(1));
        let Some(Item { token, what }) = item else { return Err(self.lost()) };
        let place = self.place(*token);
        match what {
            What::Number(value, duration) => {
                let value = if negative { -value } else { *value };
                let place = if negative { self.before(place, 1) } else { place };
                let node = Node::Number { value, duration: *duration };
                Ok(expr(node, place, ValueType::Scalar, true))
            }
            What::Call(name) => {
                let Some(function) = functions::find(name) else {
                    return Err(self.error(place, format!("unknown function with name {name:?}")));
                };
                let call = Call { function, arguments: Vec::new() };
                let value_type = function.result;
                let call = expr(Node::Call(Box::new(call)), place, value_type, !function.varies);
                Ok(if negative { self.negate(call, self.before(place, 1)) } else { call })
            }
            _ => Err(self.lost()),
        }
    }

    fn negate(&self, inner: Expr, place: Place) -> Expr {
        let (value_type, constant) = (inner.value_type, inner.constant);
        expr(Node::Negate(Box::new(inner)), place, value_type, constant)
    }

    fn instant(&mut self, selector: grammar::VectorSelector) -> Result<Expr, ParseError> {
        let (place, selected) = self.selected(selector, false)?;
        let constant = selected.shift.at.is_some();
        Ok(expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant))
    }

    fn range(&mut self, selector: grammar::MatrixSelector) -> Result<Expr, ParseError> {
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

    fn selected(&mut self, selector: grammar::VectorSelector, info: bool) -> Result<(Place, Selected), ParseError> {
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

    fn subquery(&mut self, subquery: grammar::SubqueryExpr) -> Result<Expr, ParseError> {
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

    fn call(&mut self, call: grammar::Call) -> Result<Expr, ParseError> {
        let name = call.func.name;
        let Some(function) = functions::find(name) else {
            return Err(self.error(Place(0), format!("unknown function with name {name:?}")));
        };
        let mut arguments = Vec::with_capacity(call.args.len());
        for (index, argument) in call.args.args.into_iter().enumerate() {
            arguments.push(match *argument {
                // What `info` joins may be told by matchers that all match what is absent.
                grammar::Expr::VectorSelector(selector) if name == "info" && index == 1 => {
                    let (place, selected) = self.selected(selector, true)?;
                    if selected.name.is_some() {
                        let message = "expected label selectors only, got vector selector instead".to_owned();
                        return Err(self.error(place, message));
                    }
                    let constant = selected.shift.at.is_some();
                    expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant)
                }
                argument => {
                    let argument = self.expression(argument)?;
                    if name == "info" && index == 1 {
                        return Err(self.error(argument.place, "expected label selectors only".to_owned()));
                    }
                    argument
                }
            });
        }
        // A name and its parenthesis stand before the first argument.
        let place = arguments.first().map_or(Place(0), |first| self.before(first.place, 2));
        self.check_arguments(function, &arguments, place)?;
        let constant = is_constant(function, &arguments);
        let value_type = function.result;
        Ok(expr(Node::Call(Box::new(Call { function, arguments })), place, value_type, constant))
    }

    fn check_arguments(&self, function: &Function, arguments: &[Expr], place: Place) -> Result<(), ParseError> {
        let (name, given) = (function.name, arguments.len());
        let wrong = |bound: &str, number: usize| {
            self.error(place, format!("expected {bound}{number} argument(s) in call to {name:?}, got {given}"))
        };
        match (function.fewest, function.most) {
            (fewest, Some(most)) if fewest == most && given != most => return Err(wrong("", most)),
            (fewest, _) if given < fewest => return Err(wrong("at least ", fewest)),
            (_, Some(most)) if given > most => return Err(wrong("at most ", most)),
            _ => {}
        }
        for (index, argument) in arguments.iter().enumerate() {
            let Some(expected) = function.arguments.get(index).or_else(|| function.arguments.last()) else { break };
            if argument.value_type != *expected {
                let message =
                    format!("expected type {expected} in call to function {name:?}, got {}", argument.value_type);
                return Err(self.error(argument.place, message));
            }
        }
        self.check_extension(function, arguments)
    }

    /// Only some functions know what to do with samples around a range.
    fn check_extension(&self, function: &Function, arguments: &[Expr]) -> Result<(), ParseError> {
        for argument in arguments {
            let Node::Range(selected, _) = &argument.bare().node else { continue };
            let allows = |function: &Function| match (function.kind, selected.extension) {
                (_, Extension::None) => true,
                (Kind::Range(function), Extension::Anchored) => function.anchored,
                (Kind::Range(function), Extension::Smoothed) => function.smoothed,
                _ => false,
            };
            if !allows(function) {
                let word = if selected.extension == Extension::Anchored { "anchored" } else { "smoothed" };
                let allowed = TABLE.iter().filter(|function| allows(function)).map(|function| function.name);
                let allowed = allowed.collect::<Vec<_>>().join(", ");
                let message = format!("{word} modifier can only be used with: {allowed} - not with {}", function.name);
                return Err(self.error(argument.place, message));
            }
        }
        Ok(())
    }

    fn aggregate(&mut self, aggregate: grammar::AggregateExpr) -> Result<Expr, ParseError> {
        let Some(aggregation) = Aggregation::of(&aggregate.op.to_string()) else { return Err(self.lost()) };
        let grouping = match aggregate.modifier {
            Some(modifier) => self.list(modifier)?,
            None => LabelList { these: true, names: Vec::new() },
        };
        let parameter = match aggregate.param {
            Some(parameter) => Some(self.expression(*parameter)?),
            None => None,
        };
        let inner = self.expression(*aggregate.expr)?;
        let expected = if aggregation == Aggregation::CountValues { ValueType::String } else { ValueType::Scalar };
        if let Some(parameter) = parameter.as_ref().filter(|parameter| parameter.value_type != expected) {
            let message = format!("expected type {expected} in aggregation parameter, got {}", parameter.value_type);
            return Err(self.error(parameter.place, message));
        }
        if inner.value_type != ValueType::Vector {
            let message = format!("expected type instant vector in aggregation expression, got {}", inner.value_type);
            return Err(self.error(inner.place, message));
        }
        let place = self.aggregate_place(parameter.as_ref().unwrap_or(&inner).place);
        let constant = inner.constant && parameter.as_ref().is_none_or(|parameter| parameter.constant);
        let node = Node::Aggregate(Box::new(Aggregate { aggregation, grouping, parameter, inner }));
        Ok(expr(node, place, ValueType::Vector, constant))
    }

    /// Where an aggregation begins whose first argument is there: its name, perhaps its labels, and a parenthesis.
    fn aggregate_place(&self, argument: Place) -> Place {
        let Some(token) = self.token(argument).and_then(|token| token.checked_sub(2)) else { return argument };
        if self.source(token) != ")" {
            return self.place(token);
        }
        let open = (0..token).rev().find(|token| self.source(*token) == "(");
        open.and_then(|open| open.checked_sub(2)).map_or(argument, |token| self.place(token))
    }

    /// A chain of operators is as deep on its left as it is long, and so is gone through without recursion.
    fn binary(&mut self, binary: grammar::BinaryExpr) -> Result<Expr, ParseError> {
        let mut chain = Vec::new();
        let mut at = grammar::Expr::Binary(binary);
        while let grammar::Expr::Binary(mut binary) = at {
            at = std::mem::replace(&mut *binary.lhs, grammar::Expr::from(0.0));
            chain.push(binary);
        }
        let mut left = self.expression(at)?;
        while let Some(binary) = chain.pop() {
            left = self.operation(left, binary)?;
        }
        Ok(left)
    }

    /// One operation, its left side given.
    fn operation(&mut self, left: Expr, binary: grammar::BinaryExpr) -> Result<Expr, ParseError> {
        let sign = binary.op.to_string();
        let operator = if sign == "==" { self.operators.next() } else { Operator::of(&sign) };
        let Some(operator) = operator else { return Err(self.lost()) };
        let modifier = binary.modifier.unwrap_or_default();
        let on = match modifier.matching {
            Some(matching) => self.list(matching)?,
            None => LabelList { these: false, names: Vec::new() },
        };
        let group = match modifier.card {
            grammar::VectorMatchCardinality::ManyToOne(labels) => Group::Left(self.labels(labels)?),
            grammar::VectorMatchCardinality::OneToMany(labels) => Group::Right(self.labels(labels)?),
            _ => Group::None,
        };
        let fill_left = modifier.fill_values.lhs.map(|number| self.fill(number)).transpose()?;
        let fill_right = modifier.fill_values.rhs.map(|number| self.fill(number)).transpose()?;
        let right = self.expression(*binary.rhs)?;
        let matching = Matching { on, group, fill_left, fill_right };
        let returns_bool = modifier.return_bool;
        let binary = Binary { operator, left, right, returns_bool, matching };
        self.check_binary(&binary)?;
        let (left, right) = (&binary.left, &binary.right);
        let scalars = left.value_type == ValueType::Scalar && right.value_type == ValueType::Scalar;
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let (place, constant) = (left.place, left.constant && right.constant);
        Ok(expr(Node::Binary(Box::new(binary)), place, value_type, constant))
    }

    fn check_binary(&self, binary: &Binary) -> Result<(), ParseError> {
        let Binary { operator, left, right, returns_bool, matching } = binary;
        let place = left.place;
        let fail = |message: &str| Err(self.error(place, message.to_owned()));
        let is = |side: &Expr, value_type| side.value_type == value_type;
        if *returns_bool && !operator.compares() {
            return fail("bool modifier can only be used on comparison operators");
        }
        let scalar = is(left, ValueType::Scalar) || is(right, ValueType::Scalar);
        if operator.compares() && !returns_bool && is(left, ValueType::Scalar) && is(right, ValueType::Scalar) {
            return fail("comparisons between scalars must use BOOL modifier");
        }
        for side in [left, right] {
            if !matches!(side.value_type, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types".to_owned();
                return Err(self.error(side.place, message));
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if scalar && operator.is_set() {
            return fail(&format!("set operator {:?} not allowed in binary scalar expression", operator.sign()));
        }
        if scalar && !matching.on.names.is_empty() {
            return fail("vector matching only allowed between instant vectors");
        }
        if scalar && fills {
            return fail("filling in missing series only allowed between instant vectors");
        }
        if operator.is_set() && matching.group != Group::None {
            return fail(&format!("no grouping allowed for {:?} operation", operator.sign()));
        }
        if operator.is_set() && fills {
            return fail("filling in missing series not allowed for set operators");
        }
        if let Group::Left(labels) | Group::Right(labels) = &matching.group
            && matching.on.these
            && let Some(label) = labels.iter().find(|label| matching.on.names.contains(label))
        {
            return fail(&format!("label {:?} must not occur in ON and GROUP clause at once", &**label));
        }
        Ok(())
    }

    fn fill(&self, number: f64) -> Result<f64, ParseError> {
        match self.items.get((number.abs() as usize).wrapping_sub(1)) {
            Some(Item { what: What::Number(value, _), .. }) => Ok(if number < 0.0 { -value } else { *value }),
            _ => Err(self.lost()),
        }
    }

    fn list(&self, modifier: grammar::LabelModifier) -> Result<LabelList, ParseError> {
        Ok(match modifier {
            grammar::LabelModifier::Include(labels) => LabelList { these: true, names: self.labels(labels)? },
            grammar::LabelModifier::Exclude(labels) => LabelList { these: false, names: self.labels(labels)? },
        })
    }

    fn labels(&self, labels: grammar_label::Labels) -> Result<Vec<Box<str>>, ParseError> {
        labels.labels.iter().map(|label| Ok(self.label(label)?.1.into())).collect()
    }

    /// A label's name in the plain text: the number of a text, that of a name, or a keyword.
    fn label(&self, plain: &str) -> Result<(Option<Place>, String), ParseError> {
        let (place, name) = if plain.starts_with(|char: char| char.is_ascii_digit()) {
            let (place, name) = self.text(plain)?;
            (Some(place), name)
        } else {
            let (place, name) = self.name(plain)?;
            if name.contains(':') {
                let message = format!("unexpected {name:?} in label list, expected label");
                return Err(self.error(place.unwrap_or_default(), message));
            }
            (place, name)
        };
        if name.is_empty() {
            return Err(self.error(place.unwrap_or_default(), "a label's name must not be empty".to_owned()));
        }
        Ok((place, name))
    }

    fn name(&self, plain: &str) -> Result<(Option<Place>, String), ParseError> {
        let index = plain.strip_prefix('i').and_then(|digits| digits.parse::<usize>().ok());
        match index.and_then(|index| self.items.get(index.wrapping_sub(1))) {
            Some(Item { token, what: What::Name(name) }) => Ok((Some(self.place(*token)), name.clone())),
            Some(_) => Err(self.lost()),
            None => Ok((None, plain.to_owned())),
        }
    }

    fn text(&self, plain: &str) -> Result<(Place, String), ParseError> {
        match self.item(plain) {
            Some(Item { token, what: What::Text(Some(text)) }) => Ok((self.place(*token), text.clone())),
            Some(Item { token, what: What::Text(None) }) => {
                Err(self.error(self.place(*token), format!("{} is not UTF-8", self.source(*token))))
            }
            _ => Err(self.lost()),
        }
    }

    fn length(&self, index: u128) -> Result<(Place, Length, Extension), ParseError> {
        match usize::try_from(index).ok().and_then(|index| self.items.get(index.wrapping_sub(1))) {
            Some(Item { token, what: What::Length(length, extension) }) => {
                Ok((self.place(*token), length.clone(), *extension))
            }
            _ => Err(self.lost()),
        }
    }

    fn place(&self, token: usize) -> Place {
        Place(self.tokens.get(token).map_or(0, |token| token.at.start as u32))
    }

    fn token(&self, place: Place) -> Option<usize> {
        self.tokens.binary_search_by_key(&(place.0 as usize), |token| token.at.start).ok()
    }

    fn source(&self, token: usize) -> &str {
        self.tokens.get(token).map_or("", |token| &self.text[token.at.clone()])
    }

    /// The place of a token before that of a place.
    fn before(&self, place: Place, tokens: usize) -> Place {
        self.token(place).and_then(|token| token.checked_sub(tokens)).map_or(place, |token| self.place(token))
    }

    fn error(&self, place: Place, message: String) -> ParseError {
        let at = self.token(place).map(|token| self.tokens[token].at.clone());
        ParseError { message, at: at.or(Some(Range { start: 0, end: 0 })) }
    }

    /// A number of the plain text that means something else than where it stands: the query mixes up what only the
    /// grammar keeps apart.
    fn lost(&self) -> ParseError {
        let at = self.tokens.iter().find(|token| token.token != Token::Sign).map(|token| token.at.clone());
        ParseError { message: "the expression is not well-formed".to_owned(), at }
    }
}

/// Whether a call gives the same at every step.
fn is_constant(function: &Function, arguments: &[Expr]) -> bool {
    let constant = arguments.iter().all(|argument| argument.constant);
    // The time of a selector's sample is that of the sample; that of any other expression is that of the step.
    let of_selector = || matches!(arguments, [Expr { node: Node::Select(_), .. }]);
    // When info metrics are read depends on more than the argument's value.
    constant && function.name != "info" && (!function.varies || function.name == "timestamp" && of_selector())
}

fn expr(node: Node, place: Place, value_type: ValueType, constant: bool) -> Expr {
    Expr { node, place, value_type, constant }
}
