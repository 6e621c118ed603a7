//! The text form of matchers: `severity="page"`, `{severity=~"page|ticket", "a label"!=b}`.
//!
//! As in Alertmanager there are two grammars. In the one of today names and values are any UTF-8, quoted like strings of Go
//! where they have a reserved character. In the one before, names are those of Prometheus 2, and a value is whatever
//! stands behind the operator, quoted or not, with `\"`, `\n` and `\\` for what needs them and every other backslash as it
//! is. A text is read by the former; where only the latter can read it, or the two differ, by the latter.

use super::{Matcher, Op};
use crate::formats::go;

/// A text that is no matcher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadMatcher {
    /// What is wrong, and what to write.
    pub why: String,
    /// Which bytes of the text are meant.
    pub at: (usize, usize),
}

/// Reads any number of matchers, in braces or not.
///
/// # Errors
/// Where the text is none.
pub fn parse(text: &str) -> Result<Vec<Matcher>, BadMatcher> {
    match (today(text), classic(text)) {
        (Ok(today), Some(classic)) if today != classic => Ok(classic),
        (Ok(today), _) => Ok(today),
        (Err(_), Some(classic)) => Ok(classic),
        (Err(error), None) => Err(error),
    }
}

/// Reads one matcher, without braces.
///
/// # Errors
/// Where the text is none, or more than one.
pub fn parse_one(text: &str) -> Result<Matcher, BadMatcher> {
    let wrong = |why: &str| BadMatcher { why: why.to_owned(), at: (0, text.len()) };
    if text.starts_with('{') || text.ends_with('}') {
        return Err(wrong("one matcher stands without braces"));
    }
    let single = match today(text) {
        Ok(list) if list.len() == 1 => Ok(list.into_iter().next()),
        Ok(list) if list.is_empty() => Err(wrong("there is no matcher; write one such as severity=\"page\"")),
        Ok(_) => Err(wrong("here is place for one matcher alone")),
        Err(error) => Err(error),
    };
    match (single, classic_one(text)) {
        (Ok(Some(today)), Some(classic)) if today != classic => Ok(classic),
        (Ok(Some(today)), _) => Ok(today),
        (_, Some(classic)) => Ok(classic),
        (Ok(None), None) => Err(wrong("there is no matcher")),
        (Err(error), None) => Err(error),
    }
}

/// Whether a character ends an unquoted name or value.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '!' | '=' | '~' | ',' | '\\' | '"' | '\'' | '`')
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Op(Op),
    /// Without its quotes.
    Quoted(&'a str),
    Word(&'a str),
    End,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// The next token and where it begins.
    fn next(&mut self) -> Result<(Token<'a>, usize), BadMatcher> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        let start = self.text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            self.at = start;
            return Ok((Token::End, start));
        };
        let (token, length) = match first {
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '=' if rest.starts_with("=~") => (Token::Op(Op::Matches), 2),
            '=' => (Token::Op(Op::Equal), 1),
            '!' if rest.starts_with("!=") => (Token::Op(Op::NotEqual), 2),
            '!' if rest.starts_with("!~") => (Token::Op(Op::MatchesNot), 2),
            '"' => {
                let Some(end) = end_of_quoted(rest) else {
                    return Err(self.wrong(start, self.text.len(), "a quote is not closed"));
                };
                (Token::Quoted(&rest[1..end]), end + 1)
            }
            c if is_reserved(c) => {
                let why = format!("`{c}` cannot stand here; put names and values that have it into double quotes");
                return Err(self.wrong(start, start + c.len_utf8(), why));
            }
            _ => {
                let end = rest.find(is_reserved).unwrap_or(rest.len());
                (Token::Word(&rest[..end]), end)
            }
        };
        self.at = start + length;
        Ok((token, start))
    }

    fn peek(&self) -> Result<Token<'a>, BadMatcher> {
        Lexer { text: self.text, at: self.at }.next().map(|(token, _)| token)
    }

    /// A name or a value.
    fn word(&mut self, what: &str) -> Result<String, BadMatcher> {
        match self.next()? {
            (Token::Word(word), _) => Ok(word.to_owned()),
            (Token::Quoted(inner), start) => go::unquote(inner, '"')
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| self.wrong(start, self.at, "this is no string: check its escapes, such as `\\\\.`")),
            (_, start) => Err(self.wrong(start, self.at, format!("{what} is missing here"))),
        }
    }

    fn wrong(&self, from: usize, to: usize, why: impl Into<String>) -> BadMatcher {
        BadMatcher { why: why.into(), at: (from, to.min(self.text.len())) }
    }
}

/// Where the quote that `text` begins with is closed.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn today(text: &str) -> Result<Vec<Matcher>, BadMatcher> {
    let mut lexer = Lexer { text, at: 0 };
    let mut matchers = Vec::new();
    let braced = lexer.peek()? == Token::Open;
    if braced {
        lexer.next()?;
    }
    while !matches!(lexer.peek()?, Token::Close | Token::End) {
        let name = lexer.word("the name of a label")?;
        let op = match lexer.next()? {
            (Token::Op(op), _) => op,
            (_, start) => return Err(lexer.wrong(start, lexer.at, "an operator is missing here: =, !=, =~ or !~")),
        };
        let before = lexer.at;
        let value = lexer.word("a value")?;
        let matcher = Matcher::new(op, &name, &value);
        matchers.push(matcher.map_err(|error| lexer.wrong(before, lexer.at, error.to_string()))?);
        match lexer.peek()? {
            Token::Comma => drop(lexer.next()?),
            Token::Close | Token::End => {}
            _ => return Err(lexer.wrong(lexer.at, text.len(), "a comma is missing between two matchers")),
        }
    }
    match (lexer.next()?, braced) {
        ((Token::Close, _), true) => {}
        ((Token::End, _), false) => return Ok(matchers),
        ((Token::Close, start), false) => return Err(lexer.wrong(start, start + 1, "this brace was never opened")),
        (_, true) => return Err(lexer.wrong(0, 1, "this brace is not closed")),
        ((_, start), false) => return Err(lexer.wrong(start, text.len(), "nothing can stand here")),
    }
    match lexer.next()? {
        (Token::End, _) => Ok(matchers),
        (_, start) => Err(lexer.wrong(start, text.len(), "nothing can stand behind the closing brace")),
    }
}

fn classic(text: &str) -> Option<Vec<Matcher>> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in inner.char_indices() {
        match c {
            ',' if !quoted => {
                parts.push(&inner[start..at]);
                start = at + 1;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            '"' => escaped = false,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = inner[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts.into_iter().map(classic_one).collect()
}

fn classic_one(text: &str) -> Option<Matcher> {
    // The spaces of Go's regular expressions are those of ASCII.
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
    let text = text.trim_matches(space);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'));
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | ':')).filter(|_| starts)?;
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(space);
    let (op, value) = [("=~", Op::Matches), ("=", Op::Equal), ("!=", Op::NotEqual), ("!~", Op::MatchesNot)]
        .into_iter()
        .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))?;
    Matcher::new(op, name, &classic_value(value.trim_start_matches(space))?).ok()
}

fn classic_value(raw: &str) -> Option<String> {
    let (mut open, raw) = match raw.strip_prefix('"') {
        Some(inner) => (true, inner),
        None => (false, raw),
    };
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('"' | '\\'))) => value.push(c),
                Some((_, c)) => value.extend(['\\', c]),
                None => value.push('\\'),
            },
            '"' if open && at + 1 == raw.len() => open = false,
            '"' => return None,
            c => value.push(c),
        }
    }
    (!open).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Err(error) => format!("{}-{}: {}", error.at.0, error.at.1, error.why),
        }
    }

    #[test]
    fn lists_stand_in_braces_or_not() {
        for (text, expected) in [
            ("", ""),
            ("{}", ""),
            ("{ }", ""),
            ("a=b", r#"a="b""#),
            (" a = b , ", r#"a="b""#),
            ("{a=b,}", r#"a="b""#),
            (r#"{a="b", c!="d,e", f=~"g|h", i!~"j{2}"}"#, r#"a="b",c!="d,e",f=~"g|h",i!~"j{2}""#),
            (r#""a b"="c""#, r#""a b"="c""#),
            ("é=ü", r#"é="ü""#),
            (r#"a="\u00e9""#, r#"a="\\u00e9""#),
            (r#""é"="\u00e9""#, r#"é="é""#),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_the_older_grammar_reads_is_read_by_it() {
        for (text, expected) in [
            (r"a=~b\.c", r#"a=~"b\\.c""#),
            (r#"a=~"b\.c""#, r#"a=~"b\\.c""#),
            ("a=", r#"a="""#),
            ("a=b c", r#"a="b c""#),
            ("a={b}", r#"a="{b""#),
            ("a=[b]=", r#"a="[b]=""#),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_with_its_place() {
        for (text, expected) in [
            ("a", "1-1: an operator is missing here: =, !=, =~ or !~"),
            ("=b", "0-1: the name of a label is missing here"),
            ("é=", "3-3: a value is missing here"),
            ("{é=b", "0-1: this brace is not closed"),
            ("é=b}", "4-5: this brace was never opened"),
            ("{é=b}c", "6-7: nothing can stand behind the closing brace"),
            ("é=b c=d", "4-8: a comma is missing between two matchers"),
            (r#"é="b"#, "3-5: a quote is not closed"),
            (r#"é=~"(b""#, "4-8: `(b` is no regular expression: a `(` is not closed"),
            (r#"é="\q""#, "3-7: this is no string: check its escapes, such as `\\\\.`"),
            ("é='b'", "3-4: `'` cannot stand here; put names and values that have it into double quotes"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert!(parse_one("{a=b}").is_err() && parse_one("a=b,c=d").is_ok_and(|one| one.value() == "b,c=d"));
        assert!(parse_one("").is_err() && parse_one("\"é\"=b,c=d").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_much(text in r#"[ab=!~{}",\\ é]{0,12}"#) {
            if let Ok(list) = parse(&text) {
                let again: Vec<String> = list.iter().map(ToString::to_string).collect();
                proptest::prop_assert_eq!(parse(&again.join(",")), Ok(list));
            }
        }
    }
}
