//! Whether a text is a query, and what is said if it is not: in the words of Prometheus 3.16 and with its places. The
//! grammar of the crate makes trees of what passes here; of what it refuses it says no more than that it does.
//!
//! One walk over the tokens, with a method for each construct. There are errors of two ranks, as in Prometheus. What is no
//! query in its form ends the walk. What has the form of one but makes no sense, types above all, is kept in
//! [`Operand::wrong`] until the form is known to be right.

mod binary;
mod call;
mod labels;
mod operand;
mod time;

use regex::Regex;

use super::super::query::{ParseError, ValueType};
use super::refusal::Refusal;
use super::token::{Token, Tokens};
use crate::promql::functions::Extension;

/// Most signs before operands, and powers: each nests what is behind it.
const NESTING_SIGNS: usize = 64;

/// Most operators. The grammar's work grows with their square.
const OPERATORS: usize = 500;

/// Most bytes that the patterns of what is read together may hold, about.
const PATTERN_BYTES: usize = 64 << 20;

/// How much of that is left.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(PATTERN_BYTES)
    }
}

/// The patterns of a query, each with the token that it was written as.
pub(super) type Patterns = Vec<(usize, Regex)>;

/// Checks a query.
pub(super) fn check(tokens: &Tokens, room: &mut Room) -> Result<Patterns, ParseError> {
    let mut check = Check { tokens, at: 0, operators: 0, nesting_signs: 0, patterns: Vec::new(), room };
    let whole = check.whole()?;
    whole.wrong.map_or(Ok(check.patterns), Err)
}

struct Check<'a> {
    tokens: &'a Tokens<'a>,
    /// Token that is read next.
    at: usize,
    operators: usize,
    nesting_signs: usize,
    patterns: Patterns,
    room: &'a mut Room,
}

/// An expression, as far as what is around it must know.
struct Operand {
    /// Its first token.
    first: usize,
    value_type: ValueType,
    kind: Kind,
    /// What makes no sense in it: the first thing that Prometheus would find.
    wrong: Option<ParseError>,
}

enum Kind {
    /// An instant selector, and whether a name stands before its braces.
    Instant {
        named: bool,
        shift: Shift,
    },
    Range(Shift),
    Subquery(Shift),
    Other,
}

/// Which modifiers a selector has already.
#[derive(Clone, Copy, Default)]
struct Shift {
    offset: bool,
    pinned: bool,
    extension: Extension,
}

impl Operand {
    /// Keeps an error if it is the first one.
    fn keep(&mut self, wrong: impl FnOnce() -> Option<ParseError>) {
        if self.wrong.is_none() {
            self.wrong = wrong();
        }
    }
}

impl Check<'_> {
    fn whole(&mut self) -> Result<Operand, Refusal> {
        if self.look()?.is_none() {
            return Err(ParseError { message: "no expression found in input".to_owned(), at: Some(0..0) }.into());
        }
        let whole = self.expression(0)?;
        match self.look()? {
            None => Ok(whole),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// The next token and its text.
    fn look(&self) -> Result<Option<(Token, &str)>, Refusal> {
        self.tokens.look(self.at)
    }

    /// Whether the next token is a sign.
    fn is(&self, sign: &str) -> Result<bool, Refusal> {
        Ok(self.look()? == Some((Token::Sign, sign)))
    }

    /// Whether the next token is one of these words, whatever their case.
    fn is_word(&self, words: &[&str]) -> Result<bool, Refusal> {
        Ok(
            matches!(self.look()?, Some((Token::Word, found)) if words.iter().any(|word| found.eq_ignore_ascii_case(word))),
        )
    }

    /// Takes a sign if it is the next token.
    fn take(&mut self, sign: &str) -> Result<bool, Refusal> {
        let found = self.is(sign)?;
        self.at += usize::from(found);
        Ok(found)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Refusal> {
        if self.take(sign)? { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Refusal {
        Refusal::unexpected(self.tokens, self.at)
    }

    fn error(&self, token: usize, message: impl Into<String>) -> ParseError {
        ParseError { message: message.into(), at: Some(self.tokens.place(token)) }
    }

    /// An error that ends the walk.
    fn refuse<T>(&self, token: usize, message: impl Into<String>) -> Result<T, Refusal> {
        Err(self.error(token, message).into())
    }
}
