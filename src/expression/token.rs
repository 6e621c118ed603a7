//! The words of the language: names, texts, numbers and signs, each with its place.

use super::ExpressionError;

/// First byte and the one behind the last.
pub type Place = (usize, usize);

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name, dots included: `body`, `and`, `scope.name`.
    Name(String),
    /// A text between double quotes, unescaped.
    Text(String),
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// One of `SIGNS`.
    Sign(&'static str),
    /// The end of the expression.
    End,
}

/// Signs, longer ones before those that they begin with.
const SIGNS: [&str; 12] = ["==", "!=", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ","];

impl Token {
    /// The word as an error message names it.
    pub fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Text(text) => format!("the text {text:?}"),
            Self::Int(number) => format!("the number {number}"),
            Self::Float(number) => format!("the number {number}"),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end of the expression".to_owned(),
        }
    }
}

/// Splits an expression into words; the last is [`Token::End`].
pub fn tokens(text: &str) -> Result<Vec<(Token, Place)>, ExpressionError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let (token, end) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' => quoted(text, at)?,
            c if c.is_ascii_alphabetic() || c == '_' => name(text, at),
            c if c.is_ascii_digit() || c == '-' => number(text, at)?,
            c => match SIGNS.into_iter().find(|sign| text[at..].starts_with(sign)) {
                Some(sign) => (Token::Sign(sign), at + sign.len()),
                None => return Err(unknown(text, at, c)),
            },
        };
        found.push((token, (at, end)));
        at = end;
    }
    found.push((Token::End, (text.len(), text.len())));
    Ok(found)
}

fn unknown(text: &str, at: usize, c: char) -> ExpressionError {
    let (len, help) = match c {
        '&' if text[at..].starts_with("&&") => (2, "write `and`"),
        '|' if text[at..].starts_with("||") => (2, "write `or`"),
        '!' => (1, "write `not`, or `!=` to compare"),
        '\'' => (1, "put texts between double quotes"),
        '/' => (1, "write a pattern as a text: `matches \"^/api\"`"),
        _ => return ExpressionError::new((at, at + c.len_utf8()), format!("`{c}` means nothing here")),
    };
    ExpressionError::new((at, at + len), format!("`{}` means nothing here", &text[at..at + len])).help(help)
}

fn name(text: &str, at: usize) -> (Token, usize) {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let len = text[at..].find(|c| !part(c)).unwrap_or(text.len() - at);
    (Token::Name(text[at..at + len].to_owned()), at + len)
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let rest = &text[at..];
    let exponent = |i: usize| i > 0 && matches!(rest.as_bytes()[i - 1], b'e' | b'E');
    let part = |&(i, c): &(usize, char)| {
        c.is_ascii_alphanumeric()
            || c == '.'
            || c == '_'
            || (c == '-' && (i == 0 || exponent(i)))
            || (c == '+' && exponent(i))
    };
    let len = rest.char_indices().take_while(part).count();
    let word = &rest[..len];
    let plain = word.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    let valid = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().all(|b| b"0123456789.eE+-".contains(&b));
    let token = match (plain, word.parse::<i64>(), word.parse::<f64>()) {
        (true, Ok(int), _) => Some(Token::Int(int)),
        (false, _, Ok(float)) if valid && float.is_finite() => Some(Token::Float(float)),
        _ => None,
    };
    let bad = || {
        ExpressionError::new((at, at + len), format!("`{word}` is not a number")).help(
        "write an integer of at most 64 bits (`42`), a number with a fraction (`0.5`), or a text between double quotes",
    )
    };
    token.map(|token| (token, at + len)).ok_or_else(bad)
}

fn quoted(text: &str, at: usize) -> Result<(Token, usize), ExpressionError> {
    let mut value = String::new();
    let mut chars = text[at + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        let here = at + 1 + i;
        match c {
            '"' => return Ok((Token::Text(value), here + 1)),
            '\\' => {
                let Some((_, escaped)) = chars.next() else { break };
                match escaped {
                    '"' | '\\' | '/' => value.push(escaped),
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    'u' => {
                        let hex = text.get(here + 2..here + 6).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
                        let code = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
                        let bad = || {
                            ExpressionError::new(
                                (here, (here + 2).min(text.len())),
                                "`\\u` wants four hexadecimal digits of a character",
                            )
                            .help("write characters beyond U+FFFF as themselves")
                        };
                        value.push(code.and_then(char::from_u32).ok_or_else(bad)?);
                        chars.nth(3);
                    }
                    other => {
                        let to = here + 1 + other.len_utf8();
                        return Err(ExpressionError::new((here, to), format!("`\\{other}` is no escape"))
                            .help(format!("write `\\\\{other}` for a backslash before `{other}`")));
                    }
                }
            }
            _ => value.push(c),
        }
    }
    Err(ExpressionError::new((at, text.len()), "the text is not closed").help("end it with `\"`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_words_with_their_places() {
        let found = tokens(r#"body == "a\"\u00e9" and x >= -1.5e+3"#).expect("valid");
        let words: Vec<_> = found.iter().map(|(token, _)| token.clone()).collect();
        let expected = [
            Token::Name("body".into()),
            Token::Sign("=="),
            Token::Text("a\"é".into()),
            Token::Name("and".into()),
            Token::Name("x".into()),
            Token::Sign(">="),
            Token::Float(-1500.0),
            Token::End,
        ];
        assert_eq!(words, expected);
        assert_eq!(found[2].1, (8, 19));
    }

    #[test]
    fn points_at_the_character_that_is_wrong() {
        for (text, place, help) in [
            ("a && b", (2, 4), "write `and`"),
            (r#"a matches "\d""#, (11, 13), "write `\\\\d`"),
            ("a == 'b'", (5, 6), "double quotes"),
            ("a == \"b", (5, 7), "end it"),
            ("a == 12x", (5, 8), "an integer"),
            ("a == 99999999999999999999", (5, 25), "64 bits"),
            (r#"a == "\ud800""#, (6, 8), "as themselves"),
        ] {
            let error = tokens(text).expect_err(text);
            assert_eq!((error.from, error.to), place, "{text}: {error}");
            assert!(error.help.as_deref().unwrap_or_default().contains(help), "{text}: {:?}", error.help);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = tokens(&text);
        }
    }
}
