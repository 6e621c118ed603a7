//! From a text to the typed tree. [`check`] says whether the text is a query, and if not why and where. The grammar that then
//! makes a tree is crate `promql-parser`'s. It is handed a *plain* text, in which names, numbers, texts and durations are
//! replaced by short ones that say which of our tokens is meant ([`plain`]): so the grammar cannot trip over what they hold (a
//! range of 1e30 makes it panic), and what it does not know is taken out before it. [`lower`] puts the tokens back.

mod check;
mod length;
mod literal;
mod lower;
mod pin;
mod plain;
mod pretty;
mod print;
mod refusal;
mod summaries;
mod token;

use promql_parser::parser as grammar;

pub(super) use check::Room;
pub(super) use length::{Clock, Length};
pub(super) use pin::pin;
pub(super) use pretty::pretty;
pub(super) use token::Names;

use super::query::ParseError;
use super::tree::Expr;

/// Parses and checks a query.
pub(super) fn parse(text: &str, names: Names) -> Result<Expr, ParseError> {
    parse_within(text, names, &mut Room::default())
}

/// The same as one of several, whose patterns share their room.
pub(super) fn parse_within(text: &str, names: Names, room: &mut Room) -> Result<Expr, ParseError> {
    let tokens = token::Tokens::of(text, names);
    let patterns = check::check(&tokens, room)?;
    let plain = plain::plain(&tokens)?;
    // The grammar names no places, and not the words of the query but their numbers.
    let parsed = grammar::parse(&plain.text).map_err(|_| lower::lost(&tokens))?;
    let mut root = lower::lower(&tokens, plain, patterns, parsed)?;
    summaries::mark(&mut root);
    Ok(root)
}

#[cfg(test)]
mod tests;
