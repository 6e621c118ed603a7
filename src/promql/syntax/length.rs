//! Durations in a query: of ranges, offsets and subqueries. They may be computed, also from the step and the range of the
//! evaluation, so that what they come to is known only then.

use std::fmt;
use std::ops::Range;

use super::super::query::ParseError;
use super::token::{Placed, Token, duration, number};

/// Deepest nesting of a duration's expression.
const DEPTH: usize = 64;

/// A duration, perhaps to be computed.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Length {
    /// Milliseconds that were written as such.
    Fixed(i64),
    /// To be computed.
    Computed(Box<Computed>),
}

/// An expression of durations, in seconds, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Computed {
    root: Node,
    at: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Seconds; whether they were written as a duration.
    Number(f64, bool),
    Step,
    Range,
    Negate(Box<Node>),
    Paren(Box<Node>),
    Either(&'static str, Box<[Node; 2]>),
    Binary(char, Box<[Node; 2]>),
}

/// What durations are computed from: milliseconds.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Clock {
    /// The step of the evaluation.
    pub step: i64,
    /// Its range, from the first step to the last.
    pub range: i64,
}

impl Length {
    /// Milliseconds of a duration that may be negative.
    pub fn signed(&self, clock: Clock) -> Result<i64, String> {
        let Self::Computed(computed) = self else {
            let Self::Fixed(fixed) = self else { return Ok(0) };
            return Ok(*fixed);
        };
        let Range { start, end } = computed.at;
        let seconds = computed.root.evaluate(clock).map_err(|message| format!("{start}:{end}: {message}"))?;
        if !seconds.is_finite() {
            return Err(format!("{start}:{end}: duration is NaN or infinite"));
        }
        if seconds.abs() > MOST {
            return Err(format!("{start}:{end}: duration is out of range"));
        }
        Ok((seconds * 1000.0) as i64)
    }

    /// Milliseconds of a duration that must be above zero.
    pub fn positive(&self, clock: Clock) -> Result<i64, String> {
        match (self.signed(clock)?, self) {
            (1.., _) => self.signed(clock),
            (0, Self::Computed(computed)) if computed.root.evaluate(clock).is_ok_and(|seconds| seconds > 0.0) => Ok(1),
            (_, Self::Computed(computed)) => {
                Err(format!("{}:{}: duration must be greater than 0", computed.at.start, computed.at.end))
            }
            _ => Err("duration must be greater than 0".to_owned()),
        }
    }

    /// Milliseconds if it is written as such.
    pub fn fixed(&self) -> Option<i64> {
        match self {
            Self::Fixed(fixed) => Some(*fixed),
            Self::Computed(_) => None,
        }
    }
}

/// Most seconds that a duration may have: nanoseconds of them fit 64 bits.
const MOST: f64 = (1u64 << 63) as f64 / 1e9;

impl Node {
    fn evaluate(&self, clock: Clock) -> Result<f64, String> {
        Ok(match self {
            Self::Number(seconds, _) => *seconds,
            Self::Step => clock.step as f64 / 1000.0,
            Self::Range => clock.range as f64 / 1000.0,
            Self::Negate(inner) => -inner.evaluate(clock)?,
            Self::Paren(inner) => inner.evaluate(clock)?,
            Self::Either(which, sides) => {
                let (left, right) = (sides[0].evaluate(clock)?, sides[1].evaluate(clock)?);
                if *which == "min_of" { left.min(right) } else { left.max(right) }
            }
            Self::Binary(sign, sides) => {
                let (left, right) = (sides[0].evaluate(clock)?, sides[1].evaluate(clock)?);
                match sign {
                    '+' => left + right,
                    '-' => left - right,
                    '*' => left * right,
                    '/' if right == 0.0 => return Err("division by zero".to_owned()),
                    '/' => left / right,
                    '%' if right == 0.0 => return Err("modulo by zero".to_owned()),
                    '%' => left % right,
                    _ => left.powf(right),
                }
            }
        })
    }
}

/// Reads a duration from tokens.
pub(super) struct Reader<'a> {
    pub text: &'a str,
    pub tokens: &'a [Placed],
    /// Token that is read next.
    pub at: usize,
}

impl Reader<'_> {
    /// The duration of a range or of a subquery's step: a whole expression, above zero.
    pub fn length(&mut self) -> Result<Length, ParseError> {
        let start = self.at;
        let root = self.expression(0, 0)?;
        let length = self.finish(start, root);
        match length {
            Length::Fixed(..=0) => Err(self.error(start, "duration must be greater than 0")),
            _ => Ok(length),
        }
    }

    /// The duration of an offset: one operand, with a sign perhaps.
    pub fn offset(&mut self) -> Result<Length, ParseError> {
        let start = self.at;
        let root = self.operand(0)?;
        Ok(self.finish(start, root))
    }

    fn finish(&self, start: usize, root: Node) -> Length {
        match root {
            Node::Number(seconds, _) => Length::Fixed((seconds * 1000.0).round() as i64),
            root => {
                let at = self.tokens[start].at.start..self.tokens[self.at - 1].at.end;
                Length::Computed(Box::new(Computed { root, at }))
            }
        }
    }

    fn expression(&mut self, least: u8, depth: usize) -> Result<Node, ParseError> {
        let mut left = self.operand(depth)?;
        while let Some((sign, binds)) = self.sign().and_then(binding)
            && binds >= least
        {
            let at = self.at;
            self.at += 1;
            // `^` is the one that associates to the right.
            let right = self.expression(if sign == '^' { binds } else { binds + 1 }, depth + 1)?;
            match (sign, &right) {
                ('/', Node::Number(0.0, _)) => return Err(self.error(at, "division by zero")),
                ('%', Node::Number(0.0, _)) => return Err(self.error(at, "modulo by zero")),
                _ => {}
            }
            left = Node::Binary(sign, Box::new([left, right]));
        }
        Ok(left)
    }

    fn operand(&mut self, depth: usize) -> Result<Node, ParseError> {
        if depth > DEPTH {
            return Err(self.error(self.at, "duration expression is nested too deeply"));
        }
        let Some(token) = self.tokens.get(self.at) else {
            return Err(self.error(self.at, "unexpected end of input in duration expression"));
        };
        let text = &self.text[token.at.clone()];
        self.at += 1;
        match (token.token, text) {
            (Token::Number, _) => {
                let seconds = number(text).unwrap_or(f64::NAN);
                if seconds.is_nan() || seconds > MOST {
                    return Err(self.error(self.at - 1, "duration out of range"));
                }
                Ok(Node::Number(seconds, false))
            }
            (Token::Duration, _) => {
                let milliseconds = duration(text).unwrap_or(i64::MAX) as f64;
                if milliseconds / 1000.0 > MOST {
                    return Err(self.error(self.at - 1, "duration out of range"));
                }
                Ok(Node::Number(milliseconds / 1000.0, true))
            }
            (Token::Sign, "+" | "-") => {
                // A sign binds as tightly as `*`, so that `-2^2` is -4; within an offset it takes one operand.
                let inner = if depth == 0 && !self.in_brackets() {
                    self.operand(depth + 1)?
                } else {
                    self.expression(2, depth + 1)?
                };
                Ok(match (text, inner) {
                    ("+", inner) => inner,
                    (_, Node::Number(seconds, written)) => Node::Number(-seconds, written),
                    (_, inner) => Node::Negate(Box::new(inner)),
                })
            }
            (Token::Sign, "(") => {
                let inner = self.expression(0, depth + 1)?;
                self.expect(")")?;
                Ok(match inner {
                    Node::Number(..) => inner,
                    inner => Node::Paren(Box::new(inner)),
                })
            }
            (Token::Word, word) => match word.to_ascii_lowercase().as_str() {
                "step" => self.empty_call(Node::Step),
                "range" => self.empty_call(Node::Range),
                "min_of" => self.either("min_of", depth),
                "max_of" => self.either("max_of", depth),
                _ => Err(self.error(self.at - 1, &format!("unexpected {word:?} in duration expression"))),
            },
            _ => Err(self.error(self.at - 1, &format!("unexpected {text:?} in duration expression"))),
        }
    }

    /// Whether the tokens behind the one just read still stand in brackets.
    fn in_brackets(&self) -> bool {
        self.tokens[self.at..]
            .iter()
            .filter(|token| token.token == Token::Sign)
            .find_map(|token| match &self.text[token.at.clone()] {
                "]" => Some(true),
                "[" => Some(false),
                _ => None,
            })
            .unwrap_or(false)
    }

    fn empty_call(&mut self, node: Node) -> Result<Node, ParseError> {
        self.expect("(")?;
        self.expect(")")?;
        Ok(node)
    }

    fn either(&mut self, which: &'static str, depth: usize) -> Result<Node, ParseError> {
        self.expect("(")?;
        let left = self.expression(0, depth + 1)?;
        self.expect(",")?;
        let right = self.expression(0, depth + 1)?;
        self.expect(")")?;
        Ok(Node::Either(which, Box::new([left, right])))
    }

    fn sign(&self) -> Option<&str> {
        let token = self.tokens.get(self.at).filter(|token| token.token == Token::Sign)?;
        Some(&self.text[token.at.clone()])
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.sign() != Some(sign) {
            return Err(self.error(self.at, &format!("expected {sign:?} in duration expression")));
        }
        self.at += 1;
        Ok(())
    }

    fn error(&self, token: usize, message: &str) -> ParseError {
        let at = self.tokens.get(token).map_or(self.text.len()..self.text.len(), |token| token.at.clone());
        ParseError { message: message.to_owned(), at: Some(at) }
    }
}

fn binding(sign: &str) -> Option<(char, u8)> {
    Some(match sign {
        "+" => ('+', 1),
        "-" => ('-', 1),
        "*" => ('*', 2),
        "/" => ('/', 2),
        "%" => ('%', 2),
        "^" => ('^', 3),
        _ => return None,
    })
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(milliseconds) => Milliseconds(*milliseconds).fmt(f),
            Self::Computed(computed) => computed.root.fmt(f),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(seconds, true) => Milliseconds((seconds * 1000.0).round() as i64).fmt(f),
            Self::Number(seconds, false) => seconds.fmt(f),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Negate(inner) => write!(f, "-{inner}"),
            Self::Paren(inner) => write!(f, "({inner})"),
            Self::Either(which, sides) => write!(f, "{which}({}, {})", sides[0], sides[1]),
            Self::Binary(sign, sides) => write!(f, "{} {sign} {}", sides[0], sides[1]),
        }
    }
}

/// Milliseconds as Prometheus writes a duration.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Milliseconds(pub i64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (unit, milliseconds, whole) in [
            ("y", 365 * 86_400_000, true),
            ("w", 7 * 86_400_000, true),
            ("d", 86_400_000, false),
            ("h", 3_600_000, false),
            ("m", 60_000, false),
            ("s", 1_000, false),
            ("ms", 1, false),
        ] {
            // `90d` is easier to read than `12w6d`: long units are for what they fit wholly.
            if rest >= milliseconds && (!whole || rest.is_multiple_of(milliseconds)) {
                write!(f, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn read(text: &str) -> Result<Length, String> {
        let whole = format!("x[{text}]");
        let tokens = tokens(&whole).map_err(|error| error.message)?;
        let mut reader = Reader { text: &whole, tokens: &tokens, at: 2 };
        reader.length().map_err(|error| error.message)
    }

    #[test]
    fn durations_are_computed_and_printed() {
        let clock = Clock { step: 30_000, range: 600_000 };
        for (text, milliseconds, printed) in [
            ("5m", 300_000, "5m"),
            ("90", 90_000, "1m30s"),
            ("1h + 30m", 5_400_000, "1h + 30m"),
            ("2 * 3 + 4", 10_000, "2 * 3 + 4"),
            ("2 ^ 3 ^ 2", 512_000, "2 ^ 3 ^ 2"),
            ("-2 ^ 2 + 5", 1_000, "-2 ^ 2 + 5"),
            ("(1m + step()) * 2", 180_000, "(1m + step()) * 2"),
            ("max_of(step(), range())", 600_000, "max_of(step(), range())"),
            ("min_of(1m, 7s) % 4", 3_000, "min_of(1m, 7s) % 4"),
        ] {
            let length = read(text).expect("a duration");
            assert_eq!(length.positive(clock), Ok(milliseconds), "{text}");
            assert_eq!(length.to_string(), printed);
        }
        assert_eq!(read("0"), Err("duration must be greater than 0".to_owned()));
        assert_eq!(read("1 / 0"), Err("division by zero".to_owned()));
        assert!(read("step() - 5m").expect("a duration").positive(clock).is_err());
        assert!(read(&"(".repeat(1000)).is_err());
    }
}
