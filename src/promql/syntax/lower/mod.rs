//! The grammar's tree becomes ours: numbers in the plain text become what they stand for again, types are checked, and it is
//! said what is the same at every step.

mod binary;
mod call;
mod items;
mod selector;

use std::ops::Range;

use promql_parser::parser as grammar;

use super::super::functions::{self, Place};
use super::super::query::{ParseError, ValueType};
use super::super::tree::{Call, Expr, Node, Operator};
use super::plain::{Item, Plain, What};
use super::token::{Placed, Token};

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

fn expr(node: Node, place: Place, value_type: ValueType, constant: bool) -> Expr {
    Expr { node, place, value_type, constant }
}
