//! The plain text that the grammar is given. Each name, number, text and duration of the query becomes the number of an
//! [`Item`], in a form that the grammar takes for the same kind of thing; what the grammar lacks is written down beside
//! those and left out.

use std::fmt::Write as _;

use super::super::functions::Extension;
use super::super::query::ParseError;
use super::super::tree::{Aggregation, At, Operator};
use super::length::{Length, Reader};
use super::literal::{duration, number, unquote};
use super::token::{Token, Tokens};

/// The name and the value of a matcher that stands for a modifier of an instant selector.
pub(super) const MODIFIER: &str = "0";

/// What stands before the number of a matcher's value: how it compares, if not by `=`.
pub(super) const NOT_EQUAL: &str = "n";
pub(super) const MATCHES: &str = "m";
pub(super) const MATCHES_NOT: &str = "x";

/// What the grammar is given, and what it is not given.
pub(super) struct Plain {
    pub text: String,
    /// By number, from 1.
    pub items: Vec<Item>,
    /// Operators of the precedences of `==` and `atan2`, in their order: some of them are unknown to the grammar.
    pub operators: Vec<Operator>,
}

/// What a number in the plain text means.
#[derive(Debug)]
pub(super) struct Item {
    /// Its first token.
    pub token: usize,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A number, and whether it was written as a duration.
    Number(f64, bool),
    /// A quoted text, unquoted; nothing where its escapes make it no UTF-8.
    Text(Option<String>),
    /// A name as it was written.
    Name(String),
    /// A duration, and what follows the brackets that it stands in.
    Length(Length, Extension),
    /// A time behind `@`.
    At(At),
    /// A call without arguments.
    Call(String),
    /// A modifier of an instant selector.
    Extension(Extension),
}

/// Makes the plain text of a query that was checked.
pub(super) fn plain(tokens: &Tokens) -> Result<Plain, ParseError> {
    let text = String::with_capacity(tokens.text.len());
    let plain = Plain { text, items: Vec::new(), operators: Vec::new() };
    let mut writer =
        Writer { tokens, at: 0, plain, ended: false, in_braces: false, selector: Selector::None, comparison: "" };
    while writer.at < tokens.all.len() {
        writer.next()?;
    }
    Ok(writer.plain)
}

/// The selector that ended last: what `anchored` and `smoothed` are about.
#[derive(Clone, Copy)]
enum Selector {
    None,
    /// An instant selector, which ends here in the plain text.
    Instant(usize),
    /// A range selector, with the item of its range.
    Range(usize),
}

struct Writer<'a> {
    tokens: &'a Tokens<'a>,
    at: usize,
    plain: Plain,
    /// Whether an operand has just ended, so that an operator or a modifier may follow.
    ended: bool,
    in_braces: bool,
    selector: Selector,
    /// How the matcher at hand compares, if not by `=`.
    comparison: &'static str,
}

impl<'a> Writer<'a> {
    fn next(&mut self) -> Result<(), ParseError> {
        let token = self.tokens.all[self.at].token;
        let text = self.source(self.at);
        self.at += 1;
        match token {
            Token::Word if self.in_braces => self.name(text),
            Token::Word => self.word(text)?,
            Token::Number => self.number(number(text).unwrap_or(f64::NAN), false),
            Token::Duration => self.number(duration(text).unwrap_or(0) as f64 / 1000.0, true),
            Token::Text => {
                let value = unquote(text).unwrap_or_default();
                let item = self.item(self.at - 1, What::Text(String::from_utf8(value).ok()));
                let comparison = std::mem::take(&mut self.comparison);
                self.write(format_args!("\"{comparison}{item}\""));
                self.ended = true;
            }
            Token::Sign => self.sign(text)?,
        }
        Ok(())
    }

    fn source(&self, token: usize) -> &'a str {
        self.tokens.source(token)
    }

    fn word(&mut self, word: &'a str) -> Result<(), ParseError> {
        let lower = word.to_ascii_lowercase();
        let called = self.source(self.at) == "(";
        match lower.as_str() {
            "and" | "or" | "unless" | "atan2" if self.ended => {
                self.operator(&lower);
                self.write(format_args!("{lower}"));
            }
            "offset" if self.ended => {
                let first = self.at;
                let mut reader = Reader { tokens: self.tokens, at: self.at };
                let length = reader.offset()?;
                self.at = reader.at;
                let item = self.item(first, What::Length(length, Extension::None));
                self.write(format_args!("offset {item}ms"));
            }
            "anchored" => self.extension(word, Extension::Anchored),
            "smoothed" => self.extension(word, Extension::Smoothed),
            "inf" => self.number(f64::INFINITY, false),
            "nan" => self.number(f64::NAN, false),
            "time" | "pi" | "start" | "end" | "step" | "range" if called && self.source(self.at + 1) == ")" => {
                let item = self.item(self.at - 1, What::Call(lower));
                self.write(format_args!("{item}"));
                self.at += 2;
                self.ended = true;
                self.selector = Selector::None;
            }
            // Where no aggregation is, they name a metric.
            "by" | "without" if !self.ended && !self.behind_aggregation() => self.name(word),
            "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "bool" => {
                self.write(format_args!("{lower}"));
                self.ended = false;
            }
            "fill" | "fill_left" | "fill_right" if called => {
                self.write(format_args!("{lower}"));
                self.ended = false;
            }
            "sum" | "avg" | "count" | "min" | "max" | "group" | "stddev" | "stdvar" | "topk" | "bottomk" | "limitk"
            | "limit_ratio" | "quantile" | "count_values" => {
                let modified =
                    ["by", "without"].iter().any(|modifier| self.source(self.at).eq_ignore_ascii_case(modifier));
                if called || modified {
                    self.write(format_args!("{lower}"));
                    self.ended = false;
                } else {
                    self.name(word);
                }
            }
            _ if called => self.write(format_args!("{word}")),
            _ => self.name(word),
        }
        Ok(())
    }

    /// Whether the word just read stands behind the name of an aggregation.
    fn behind_aggregation(&self) -> bool {
        self.at > 1 && Aggregation::of(&self.source(self.at - 2).to_ascii_lowercase()).is_some()
    }

    fn sign(&mut self, sign: &'a str) -> Result<(), ParseError> {
        match sign {
            "{" | "}" => {
                // The grammar wants a matcher even where none need be: in what `info` joins.
                if sign == "}" && self.at > 1 && self.source(self.at - 2) == "{" {
                    let item = self.item(self.at - 1, What::Extension(Extension::None));
                    self.write(format_args!("\"{MODIFIER}\"=\"{item}\""));
                }
                self.in_braces = sign == "{";
                self.write(format_args!("{sign}"));
                self.ended = !self.in_braces;
                self.selector = Selector::Instant(self.plain.text.len());
                return Ok(());
            }
            "[" => return self.brackets(),
            "@" => {
                self.time();
                return Ok(());
            }
            "(" => self.ended = false,
            ")" => self.ended = true,
            "," => self.ended = false,
            // Whether a matcher makes sense is decided by what it really says: the grammar sees `=` alone.
            "=" | "!=" | "=~" | "!~" if self.in_braces => {
                self.comparison = match sign {
                    "!=" => NOT_EQUAL,
                    "=~" => MATCHES,
                    "!~" => MATCHES_NOT,
                    _ => "",
                };
                self.plain.text.push('=');
                return Ok(());
            }
            _ if self.in_braces => {}
            _ => self.operator(sign),
        }
        self.selector = Selector::None;
        // Trimming has the precedence of a comparison.
        let known = if matches!(sign, "</" | ">/") { "==" } else { sign };
        self.write(format_args!("{known}"));
        Ok(())
    }

    fn operator(&mut self, sign: &str) {
        if let ("==" | "</" | ">/", Some(operator)) = (sign, Operator::of(sign)) {
            self.plain.operators.push(operator);
        }
        self.ended = false;
    }

    /// `[range]` or `[range:step]`.
    fn brackets(&mut self) -> Result<(), ParseError> {
        let first = self.at;
        let mut reader = Reader { tokens: self.tokens, at: self.at };
        let range = reader.length()?;
        self.at = reader.at;
        let item = self.item(first, What::Length(range, Extension::None));
        self.write(format_args!("[{item}ms"));
        self.selector = Selector::Range(item);
        if self.source(self.at) == ":" {
            self.at += 1;
            self.plain.text.push(':');
            self.selector = Selector::None;
            if self.source(self.at) != "]" {
                let first = self.at;
                let mut reader = Reader { tokens: self.tokens, at: self.at };
                let step = reader.length()?;
                self.at = reader.at;
                let item = self.item(first, What::Length(step, Extension::None));
                self.write(format_args!("{item}ms"));
            }
        }
        self.at += 1;
        self.plain.text.push(']');
        self.ended = true;
        Ok(())
    }

    /// `@ 1609746000` or `@ start()`.
    fn time(&mut self) {
        let first = self.at;
        let at = match self.source(self.at).to_ascii_lowercase().as_str() {
            word @ ("start" | "end") => {
                self.at += 3;
                if word == "start" { At::Start } else { At::End }
            }
            sign => {
                self.at += usize::from(matches!(sign, "+" | "-"));
                let text = self.source(self.at);
                let seconds = number(text)
                    .or_else(|| duration(text).ok().map(|milliseconds| milliseconds as f64 / 1000.0))
                    .unwrap_or(f64::NAN);
                self.at += 1;
                At::Time(((if sign == "-" { -seconds } else { seconds }) * 1000.0).round() as i64)
            }
        };
        let item = self.item(first, What::At(at));
        self.write(format_args!("@ {item}"));
        self.ended = true;
    }

    fn extension(&mut self, word: &str, extension: Extension) {
        match self.selector {
            _ if !self.ended => self.name(word),
            Selector::Range(item) => {
                if let What::Length(_, known) = &mut self.plain.items[item - 1].what {
                    *known = extension;
                }
            }
            Selector::Instant(end) => {
                let item = self.item(self.at - 1, What::Extension(extension));
                let braces = self.plain.text[..end].ends_with('}');
                let matcher = format!("\"{MODIFIER}\"=\"{item}\"");
                let inner = self.plain.text[..end].trim_end_matches(['}', ' ']).chars().next_back();
                let matcher = match (braces, inner) {
                    (true, Some('{' | ',')) => format!("{matcher}}}"),
                    (true, _) => format!(",{matcher}}}"),
                    (false, _) => format!("{{{matcher}}}"),
                };
                let start = end - usize::from(braces);
                self.plain.text.replace_range(start..end, &matcher);
                self.selector = Selector::Instant(start + matcher.len());
            }
            // What is checked has none there.
            Selector::None => {}
        }
    }

    fn name(&mut self, name: &str) {
        let item = self.item(self.at - 1, What::Name(name.to_owned()));
        self.write(format_args!("i{item}"));
        self.ended = true;
        if !self.in_braces {
            self.selector = Selector::Instant(self.plain.text.len());
        }
    }

    fn number(&mut self, value: f64, is_duration: bool) {
        let item = self.item(self.at - 1, What::Number(value, is_duration));
        self.write(format_args!("{item}"));
        self.ended = true;
        self.selector = Selector::None;
    }

    fn item(&mut self, token: usize, what: What) -> usize {
        self.plain.items.push(Item { token, what });
        self.plain.items.len()
    }

    /// Writes a token, apart from the one before it.
    fn write(&mut self, token: std::fmt::Arguments<'_>) {
        let text = &mut self.plain.text;
        let end = text.len();
        // A text takes whatever is written.
        let _ = write!(text, "{token}");
        let apart =
            |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric() || "_=<>!~/".contains(char));
        if apart(text[..end].chars().next_back()) && apart(text[end..].chars().next()) {
            text.insert(end, ' ');
        }
    }
}
