//! Why the grammar did not take a text, in Prometheus's words and with its place.

use super::super::query::ParseError;
use super::token::{Placed, Token};

/// What the grammar did not take, in Prometheus's words. Of a text that is no expression it says no more than that; then
/// the first token that cannot follow the one before it is shown.
pub(super) fn explain(text: &str, tokens: &[Placed], message: &str) -> ParseError {
    if message != "invalid promql query" {
        return ParseError { message: prometheus(message), at: None };
    }
    // For each open parenthesis, whether it is one of a list of labels behind a keyword.
    let (mut ended, mut in_braces, mut open) = (false, false, Vec::new());
    let mut before = String::new();
    for (index, token) in tokens.iter().enumerate() {
        let source = &text[token.at.clone()];
        let next = tokens.get(index + 1).map_or("", |token| &text[token.at.clone()]);
        let lower = source.to_ascii_lowercase();
        let unexpected =
            |what: &str| ParseError { message: format!("unexpected {what} {source:?}"), at: Some(token.at.clone()) };
        let is_modifier = |word: &str| {
            matches!(
                word,
                "by" | "without"
                    | "on"
                    | "ignoring"
                    | "group_left"
                    | "group_right"
                    | "fill"
                    | "fill_left"
                    | "fill_right"
            )
        };
        match (token.token, source) {
            (_, "}") => (in_braces, ended) = (false, true),
            _ if in_braces => {}
            (Token::Word, _) => match lower.as_str() {
                "and" | "or" | "unless" | "atan2" if ended => ended = false,
                "offset" | "anchored" | "smoothed" if ended => return unexpected("modifier"),
                "bool" => {}
                word if is_modifier(word) => {}
                _ if ended => return unexpected("identifier"),
                _ => ended = next != "(" && !is_modifier(&next.to_ascii_lowercase()),
            },
            (Token::Number | Token::Duration, _) if ended => return unexpected("number"),
            (Token::Text, _) if ended => return unexpected("string"),
            (Token::Number | Token::Duration | Token::Text, _) => ended = true,
            (Token::Sign, "{") => in_braces = true,
            (Token::Sign, "(") if ended && !is_modifier(&before) => return unexpected("left parenthesis"),
            (Token::Sign, "(") => {
                open.push(is_modifier(&before));
                ended = false;
            }
            (Token::Sign, ")") => {
                // Behind a list of labels stands an operand, or nothing if the list itself is behind one.
                let list = open.pop().unwrap_or(false);
                ended = !list || next.is_empty() || matches!(next, ")" | ",");
            }
            (Token::Sign, "[" | ":" | "@" | ",") => ended = false,
            (Token::Sign, "]") => ended = true,
            (Token::Sign, "+" | "-") => ended = false,
            (Token::Sign, _) if !ended && before != ")" => return unexpected("operator"),
            (Token::Sign, _) => ended = false,
        }
        before = lower;
    }
    let depth = open.len();
    let end = text.len();
    let message = match (tokens.is_empty(), depth, ended) {
        (true, ..) => "no expression found in input",
        (_, 1.., _) => "unclosed left parenthesis",
        (_, _, false) => "unexpected end of input",
        _ => "the expression is not well-formed",
    };
    ParseError { message: message.to_owned(), at: Some(end..end) }
}

/// The grammar's message in the words of Prometheus, which differ in the names of types and in quotes.
fn prometheus(message: &str) -> String {
    let mut words = message.replace('\'', "\"");
    for (theirs, ours) in [
        ("type vector", "type instant vector"),
        ("type matrix", "type range vector"),
        ("got vector", "got instant vector"),
        ("got matrix", "got range vector"),
        ("allowed on vector", "allowed on instant vector"),
        ("scalar or vector", "scalar or instant vector"),
        ("between vectors", "between instant vectors"),
        (
            "preceded by an vector selector or matrix selector",
            "preceded by an instant vector selector or range vector selector",
        ),
    ] {
        words = words.replace(theirs, ours);
    }
    words
}
