//! Tokens of a query, with where they stand. The grammar's own lexer is behind this one: it knows neither places nor all
//! of today's language, and it trusts what it is given.

use std::ops::Range;

use super::super::query::ParseError;
use super::literal;
use super::refusal::Refusal;

/// Longest query in bytes.
const LENGTH: usize = 256 << 10;

/// Deepest nesting of parentheses.
const DEPTH: usize = 64;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, keyword or not; in brackets only those that durations are computed from.
    Word,
    /// A number.
    Number,
    /// A duration such as `1h30m`.
    Duration,
    /// A text with its quotes.
    Text,
    /// An operator or a bracket, by its text.
    Sign,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub token: Token,
    pub at: Range<usize>,
}

/// The tokens of a query; comments and blanks are left out.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    pub text: &'a str,
    pub all: Vec<Placed>,
    /// What follows the last token if it is none. It is said only where all before it makes sense.
    refused: Option<ParseError>,
}

/// Which names may stand without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Names {
    /// ASCII letters, digits and `_`, as in Prometheus's API.
    Ascii,
    /// All letters and dots too, as in Prometheus's own scripts.
    Unicode,
}

impl<'a> Tokens<'a> {
    /// Cuts a query into tokens.
    pub fn of(text: &'a str, names: Names) -> Self {
        let mut lexer = Lexer { text, names, at: 0, tokens: Vec::new(), depth: 0, within: Within::Nothing };
        let refused = if text.len() > LENGTH {
            Some(ParseError { message: format!("query is longer than {LENGTH} bytes"), at: None })
        } else {
            loop {
                match lexer.next() {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(error) => break Some(error),
                }
            }
        };
        Self { text, all: lexer.tokens, refused }
    }

    /// The text of a token; nothing behind the last one.
    pub fn source(&self, token: usize) -> &'a str {
        self.all.get(token).map_or("", |token| &self.text[token.at.clone()])
    }

    /// Where a token stands.
    pub fn place(&self, token: usize) -> Range<usize> {
        self.all.get(token).map_or(self.text.len()..self.text.len(), |token| token.at.clone())
    }

    /// A token and its text, or the end.
    ///
    /// # Errors
    /// Where what stands there is no token.
    pub fn look(&self, token: usize) -> Result<Option<(Token, &'a str)>, Refusal> {
        match (self.all.get(token), &self.refused) {
            (Some(placed), _) => Ok(Some((placed.token, &self.text[placed.at.clone()]))),
            (None, Some(refused)) => Err(refused.clone().into()),
            (None, None) => Ok(None),
        }
    }
}

/// Where the lexer is: what a character means depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Braces,
    /// Brackets, before the first number or duration in them.
    Duration,
    /// Brackets, behind it, and whether behind their colon.
    Brackets(bool),
}

struct Lexer<'a> {
    text: &'a str,
    names: Names,
    at: usize,
    tokens: Vec<Placed>,
    /// Open parentheses.
    depth: usize,
    within: Within,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<bool, ParseError> {
        let start = self.at;
        let Some(first) = self.peek() else {
            let message = match self.within {
                Within::Braces => "unexpected end of input inside braces",
                Within::Duration => "unexpected end of input in duration expression",
                _ if self.depth > 0 => "unclosed left parenthesis",
                Within::Brackets(_) => "unclosed left bracket",
                Within::Nothing => return Ok(false),
            };
            return Err(self.error(start, message));
        };
        let named = self.within != Within::Duration;
        let token = match first {
            ' ' | '\t' | '\n' | '\r' => {
                self.at += 1;
                return Ok(true);
            }
            '#' if named => {
                self.skip(|char| char != '\n' && char != '\r');
                return Ok(true);
            }
            '"' | '\'' | '`' if named => {
                self.quoted(first)?;
                Token::Text
            }
            '0'..='9' if self.within != Within::Braces => self.number()?,
            '.' if self.within != Within::Braces
                && self.text[start + 1..].starts_with(|c: char| c.is_ascii_digit()) =>
            {
                self.number()?
            }
            _ if self.names.start(first) || first == ':' && self.within == Within::Nothing => {
                self.word(first)?;
                Token::Word
            }
            _ => {
                self.sign(first)?;
                Token::Sign
            }
        };
        self.tokens.push(Placed { token, at: start..self.at });
        Ok(true)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|char| !wanted(char)).unwrap_or(rest.len());
    }

    fn word(&mut self, first: char) -> Result<(), ParseError> {
        let start = self.at;
        let colons = self.within == Within::Nothing;
        let names = self.names;
        self.skip(|char| names.go_on(char) || colons && char == ':');
        if matches!(self.within, Within::Nothing | Within::Braces) {
            return Ok(());
        }
        let computes = ["step", "range", "min_of", "max_of"];
        if computes.iter().any(|word| self.text[start..self.at].eq_ignore_ascii_case(word)) {
            return Ok(());
        }
        Err(match self.within {
            Within::Duration => self.error(start, &format!("unexpected character in duration expression: {first:?}")),
            _ => self.error(start, &format!("unexpected character: {first:?}, expected ':'")),
        })
    }

    fn quoted(&mut self, quote: char) -> Result<(), ParseError> {
        let start = self.at;
        let (mut escaped, mut end) = (false, self.text.len());
        for (at, char) in self.text[start..].char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if char == '\\' && quote != '`' {
                escaped = true;
            } else if char == quote {
                self.at = start + at + 1;
                let problem = literal::bad_escape(&self.text[start..self.at]);
                return problem.map_or(Ok(()), |message| Err(self.error(start, &message)));
            } else if char == '\n' && quote != '`' {
                end = start + at;
                break;
            }
        }
        let problem = literal::bad_escape(&self.text[start..end]);
        let open = match quote {
            '`' => "unterminated raw string",
            _ if escaped => "escape sequence not terminated",
            _ => "unterminated quoted string",
        };
        Err(self.error(start, problem.as_deref().unwrap_or(open)))
    }

    fn number(&mut self) -> Result<Token, ParseError> {
        let start = self.at;
        let (length, token) = literal::scan(&self.text[start..]);
        self.at += length;
        let Some(token) = token else {
            return Err(self.error(start, &format!("bad number or duration syntax: {:?}", &self.text[start..self.at])));
        };
        if self.within == Within::Duration {
            self.within = Within::Brackets(false);
        }
        Ok(token)
    }

    fn sign(&mut self, first: char) -> Result<(), ParseError> {
        let start = self.at;
        let second = self.text[start + first.len_utf8()..].chars().next();
        let length = match self.within {
            Within::Braces => self.sign_in_braces(first, second)?,
            Within::Duration => self.sign_in_duration(first)?,
            Within::Nothing | Within::Brackets(_) => self.sign_between(first, second)?,
        };
        self.at = start + length;
        match first {
            '(' => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(self.error(start, &format!("query is nested more than {DEPTH} levels deep")));
                }
            }
            ')' => match self.depth.checked_sub(1) {
                Some(depth) => self.depth = depth,
                None => return Err(self.error(self.at, "unexpected right parenthesis ')'")),
            },
            _ => {}
        }
        Ok(())
    }

    fn sign_in_braces(&mut self, first: char, second: Option<char>) -> Result<usize, ParseError> {
        let fail = |message: String| Err(self.error(self.at, &message));
        match (first, second) {
            ('=' | '!', Some('~')) | ('!', Some('=')) => Ok(2),
            ('!', _) => {
                fail(format!("unexpected character after '!' inside braces: {:?}", second.unwrap_or('\u{fffd}')))
            }
            ('=' | ',', _) => Ok(1),
            ('}', _) => {
                self.within = Within::Nothing;
                Ok(1)
            }
            ('{', _) => fail("unexpected left brace '{'".to_owned()),
            _ => fail(format!("unexpected character inside braces: {first:?}")),
        }
    }

    fn sign_in_duration(&mut self, first: char) -> Result<usize, ParseError> {
        match first {
            ']' => self.within = Within::Nothing,
            ':' => return Err(self.error(self.at + 1, "unexpected colon before duration in duration expression")),
            '+' | '-' | '*' | '/' | '%' | '^' | '(' | ')' | ',' => {}
            _ => return Err(self.error(self.at, &format!("unexpected character in duration expression: {first:?}"))),
        }
        Ok(1)
    }

    fn sign_between(&mut self, first: char, second: Option<char>) -> Result<usize, ParseError> {
        let fail = |message: String| Err(self.error(self.at, &message));
        match (first, second) {
            ('=', Some('~')) => return fail("unexpected character after '=': '~'".to_owned()),
            ('!', _) if second != Some('=') => {
                return fail(format!("unexpected character after '!': {:?}", second.unwrap_or('\u{fffd}')));
            }
            ('=' | '!', Some('=')) | ('<' | '>', Some('=' | '/')) => return Ok(2),
            ('{', _) => self.within = Within::Braces,
            ('[', _) if self.within == Within::Nothing => self.within = Within::Duration,
            ('[', _) => return fail("unexpected left bracket '['".to_owned()),
            (']', _) if self.within == Within::Nothing => return fail("unexpected right bracket ']'".to_owned()),
            (']', _) => self.within = Within::Nothing,
            (':', _) if self.within == Within::Brackets(false) => self.within = Within::Brackets(true),
            (':', _) => return fail("unexpected colon ':'".to_owned()),
            ('=' | '<' | '>' | '+' | '-' | '*' | '/' | '%' | '^' | '(' | ')' | ',' | '@', _) => {}
            _ => return fail(format!("unexpected character: {first:?}")),
        }
        Ok(1)
    }

    fn error(&self, at: usize, message: &str) -> ParseError {
        ParseError { message: message.to_owned(), at: Some(at..self.at.max(at)) }
    }
}

impl Names {
    fn start(self, char: char) -> bool {
        char == '_' || char.is_ascii_alphabetic() || self == Self::Unicode && char.is_alphabetic()
    }

    fn go_on(self, char: char) -> bool {
        let more = self == Self::Unicode && (char == '.' || char.is_numeric());
        self.start(char) || char.is_ascii_digit() || more
    }
}
