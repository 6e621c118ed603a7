//! Why a text is no query, while it is not settled yet: what a token that cannot stand where it does was taken for is known
//! to whoever reads what is around it.

use super::super::query::ParseError;
use super::super::tree::Aggregation;
use super::token::{Token, Tokens};

/// Most characters that are shown of a number or a text.
const SHOWN: usize = 10;

/// An error that what is around it may still be added to.
#[derive(Debug)]
pub(super) struct Refusal {
    error: ParseError,
    /// Whether nobody has said yet within what the token was unexpected.
    open: bool,
}

impl Refusal {
    /// A token that cannot stand where it does.
    pub fn unexpected(tokens: &Tokens, token: usize) -> Self {
        Self::of(tokens, token, shown)
    }

    /// The same within braces, in which there are no keywords.
    pub fn unexpected_in_braces(tokens: &Tokens, token: usize) -> Self {
        Self::of(tokens, token, |token, source| match token {
            Token::Word => format!("identifier {source:?}"),
            _ => shown(token, source),
        })
    }

    fn of(tokens: &Tokens, token: usize, shown: impl Fn(Token, &str) -> String) -> Self {
        match tokens.look(token) {
            Ok(Some((found, source))) => {
                let message = format!("unexpected {}", shown(found, source));
                Self { error: ParseError { message, at: Some(tokens.place(token)) }, open: true }
            }
            Ok(None) => {
                let message = "unexpected end of input".to_owned();
                Self { error: ParseError { message, at: Some(tokens.place(token)) }, open: true }
            }
            Err(refusal) => refusal,
        }
    }

    /// Says within what it was, unless something further inside said so, and what was expected, if there is a word for it.
    pub fn within(mut self, what: &str, expected: &str) -> Self {
        if self.open {
            self.error.message += &format!(" in {what}");
            if !expected.is_empty() {
                self.error.message += &format!(", expected {expected}");
            }
            self.open = false;
        }
        self
    }
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self { error, open: false }
    }
}

impl From<Refusal> for ParseError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// A token as Prometheus names it.
fn shown(token: Token, source: &str) -> String {
    match token {
        Token::Number => format!("number {}", shortened(source)),
        Token::Duration => format!("duration {}", shortened(source)),
        Token::Text => format!("string {}", shortened(source)),
        Token::Sign if matches!(source, "=" | "(" | ")" | "{" | "}" | "[" | "]" | "," | ":") => format!("{source:?}"),
        Token::Sign => format!("<op:{source}>"),
        Token::Word => {
            let lower = source.to_ascii_lowercase();
            match lower.as_str() {
                "inf" | "nan" => format!("number {source:?}"),
                "and" | "or" | "unless" | "atan2" => format!("<op:{source}>"),
                "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "bool" | "offset"
                | "anchored" | "smoothed" => format!("<{source}>"),
                "start" | "end" | "step" | "range" | "min_of" | "max_of" => format!("{source:?}"),
                word if Aggregation::of(word).is_some() => format!("<aggr:{source}>"),
                _ if source.contains(':') => format!("metric identifier {source:?}"),
                _ => format!("identifier {source:?}"),
            }
        }
    }
}

fn shortened(source: &str) -> String {
    match source.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", &source[..end]),
        None => format!("{source:?}"),
    }
}
