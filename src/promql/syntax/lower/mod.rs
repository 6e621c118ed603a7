//! The grammar's tree becomes ours: numbers in the plain text become what they stand for again, and it is said what is the
//! same at every step. What makes no sense was refused before; what is refused here is what the grammar reads differently.

mod binary;
mod call;
mod items;
mod selector;

use promql_parser::parser as grammar;

use super::super::functions::{self, Place};
use super::super::query::{ParseError, ValueType};
use super::super::tree::{Call, Expr, Node, Operator};
use super::check::Patterns;
use super::plain::{Item, Plain, What};
use super::token::Tokens;

pub(super) fn lower(
    tokens: &Tokens,
    plain: Plain,
    patterns: Patterns,
    parsed: grammar::Expr,
) -> Result<Expr, ParseError> {
    let mut lowering = Lowering { tokens, items: plain.items, operators: plain.operators.into_iter(), patterns };
    lowering.expression(parsed)
}

/// The grammar does not take what was checked, or takes it for something else.
pub(super) fn lost(tokens: &Tokens) -> ParseError {
    ParseError { message: "the expression is not well-formed".to_owned(), at: Some(tokens.place(0)) }
}

struct Lowering<'a> {
    tokens: &'a Tokens<'a>,
    items: Vec<Item>,
    operators: std::vec::IntoIter<Operator>,
    patterns: Patterns,
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
                Ok(self.negate(inner, place))
            }
            grammar::Expr::Paren(paren) => {
                let inner = self.expression(*paren.expr)?;
                let place = self.before(inner.place, 1);
                let (value_type, constant) = (inner.value_type, inner.constant);
                Ok(expr(Node::Paren(Box::new(inner)), place, value_type, constant))
            }
            grammar::Expr::Extension(_) => Err(self.lost()),
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
                let Some(function) = functions::find(name) else { return Err(self.lost()) };
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
        Place(self.tokens.all.get(token).map_or(0, |token| token.at.start as u32))
    }

    fn token(&self, place: Place) -> Option<usize> {
        self.tokens.all.binary_search_by_key(&(place.0 as usize), |token| token.at.start).ok()
    }

    fn source(&self, token: usize) -> &str {
        self.tokens.source(token)
    }

    /// The place of a token before that of a place.
    fn before(&self, place: Place, tokens: usize) -> Place {
        self.token(place).and_then(|token| token.checked_sub(tokens)).map_or(place, |token| self.place(token))
    }

    fn error(&self, place: Place, message: String) -> ParseError {
        ParseError { message, at: Some(self.tokens.place(self.token(place).unwrap_or(0))) }
    }

    fn lost(&self) -> ParseError {
        lost(self.tokens)
    }
}

fn expr(node: Node, place: Place, value_type: ValueType, constant: bool) -> Expr {
    Expr { node, place, value_type, constant }
}
