//! From a text to the typed tree. The grammar is crate `promql-parser`'s. It is handed a *plain* text, in which names,
//! numbers, texts and durations are replaced by short ones that say which of our tokens is meant ([`plain`]): so what they
//! hold is read here, with its place; the grammar cannot trip over it (a range of 1e30 makes it panic); and what it does not
//! know is taken out before it. [`lower`] puts the tokens back while it makes the tree, and checks types.

mod explain;
mod length;
mod lower;
mod pin;
mod plain;
mod pretty;
mod print;
mod summaries;
mod token;

use promql_parser::parser as grammar;

pub(super) use length::{Clock, Length};
pub(super) use pin::pin;
pub(super) use pretty::pretty;

use super::query::ParseError;
use super::tree::Expr;

/// Parses and checks a query.
pub(super) fn parse(text: &str) -> Result<Expr, ParseError> {
    let tokens = token::tokens(text)?;
    let plain = plain::plain(text, &tokens)?;
    let parsed = grammar::parse(&plain.text).map_err(|message| explain::explain(text, &tokens, &message))?;
    let mut root = lower::lower(text, &tokens, plain, parsed)?;
    summaries::mark(&mut root);
    Ok(root)
}

#[cfg(test)]
mod tests;
