//! Durations in a query: of ranges, offsets and subqueries. They may be computed, also from the step and the range of the
//! evaluation, so that what they come to is known only then.

use std::fmt;
use std::ops::Range;

use super::super::query::ParseError;
use super::literal::{checked_number, duration};
use super::refusal::Refusal;
use super::token::{Token, Tokens};

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
    pub tokens: &'a Tokens<'a>,
    /// Token that is read next.
    pub at: usize,
}

impl Reader<'_> {
    /// The duration of a range or of a subquery's step: a whole expression, above zero.
    pub fn length(&mut self) -> Result<Length, Refusal> {
        let start = self.at;
        let root = self.expression(0, 0)?;
        if matches!(root, Node::Number(..=0.0, _)) {
            return Err(self.error(start, "duration must be greater than 0".to_owned()));
        }
        Ok(self.finish(start, root))
    }

    /// The duration of an offset: one operand, with a sign perhaps.
    pub fn offset(&mut self) -> Result<Length, Refusal> {
        let start = self.at;
        let root = self.operand(0)?;
        Ok(self.finish(start, root))
    }

    fn finish(&self, start: usize, root: Node) -> Length {
        match root {
            Node::Number(seconds, _) => Length::Fixed((seconds * 1000.0).round() as i64),
            root => {
                let at = self.tokens.place(start).start..self.tokens.place(self.at - 1).end;
                Length::Computed(Box::new(Computed { root, at }))
            }
        }
    }

    fn expression(&mut self, least: u8, depth: usize) -> Result<Node, Refusal> {
        let mut left = self.operand(depth)?;
        while let Some((sign, binds)) = self.sign()?.and_then(binding)
            && binds >= least
        {
            let at = self.at;
            self.at += 1;
            // `^` is the one that associates to the right.
            let right = self.expression(if sign == '^' { binds } else { binds + 1 }, depth + 1)?;
            match (sign, &right) {
                ('/', Node::Number(0.0, _)) => return Err(self.error(at, "division by zero".to_owned())),
                ('%', Node::Number(0.0, _)) => return Err(self.error(at, "modulo by zero".to_owned())),
                _ => {}
            }
            left = Node::Binary(sign, Box::new([left, right]));
        }
        Ok(left)
    }

    fn operand(&mut self, depth: usize) -> Result<Node, Refusal> {
        if depth > DEPTH {
            return Err(self.error(self.at, "duration expression is nested too deeply".to_owned()));
        }
        let Some((token, text)) = self.tokens.look(self.at)? else { return Err(self.unexpected()) };
        match (token, text) {
            (Token::Number, _) => self.number(checked_number(text), false),
            (Token::Duration, _) => self.number(duration(text).map(|milliseconds| milliseconds as f64 / 1000.0), true),
            (Token::Sign, "+" | "-") => {
                self.at += 1;
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
                self.at += 1;
                let inner = self.expression(0, depth + 1)?;
                self.expect(")")?;
                Ok(match inner {
                    Node::Number(..) => inner,
                    inner => Node::Paren(Box::new(inner)),
                })
            }
            (Token::Word, word) => match word.to_ascii_lowercase().as_str() {
                "inf" => self.number(Ok(f64::INFINITY), false),
                "nan" => self.number(Ok(0.0), false),
                "step" => self.empty_call(Node::Step),
                "range" => self.empty_call(Node::Range),
                "min_of" => self.either("min_of", depth),
                "max_of" => self.either("max_of", depth),
                _ => Err(self.unexpected()),
            },
            _ => Err(self.unexpected()),
        }
    }

    fn number(&mut self, seconds: Result<f64, String>, is_duration: bool) -> Result<Node, Refusal> {
        let seconds = seconds.map_err(|message| self.error(self.at, message))?;
        if seconds > MOST {
            return Err(self.error(self.at, "duration out of range".to_owned()));
        }
        self.at += 1;
        Ok(Node::Number(seconds, is_duration))
    }

    /// Whether the tokens behind the one just read still stand in brackets.
    fn in_brackets(&self) -> bool {
        let signs = self.tokens.all[self.at..].iter().filter(|token| token.token == Token::Sign);
        signs
            .map(|token| &self.tokens.text[token.at.clone()])
            .find_map(|sign| match sign {
                "]" => Some(true),
                "[" => Some(false),
                _ => None,
            })
            .unwrap_or(false)
    }

    fn empty_call(&mut self, node: Node) -> Result<Node, Refusal> {
        self.at += 1;
        self.expect("(")?;
        self.expect(")")?;
        Ok(node)
    }

    fn either(&mut self, which: &'static str, depth: usize) -> Result<Node, Refusal> {
        self.at += 1;
        self.expect("(")?;
        let left = self.expression(0, depth + 1)?;
        self.expect(",")?;
        let right = self.expression(0, depth + 1)?;
        self.expect(")")?;
        Ok(Node::Either(which, Box::new([left, right])))
    }

    fn sign(&self) -> Result<Option<&str>, Refusal> {
        Ok(self.tokens.look(self.at)?.filter(|(token, _)| *token == Token::Sign).map(|(_, sign)| sign))
    }

    fn expect(&mut self, sign: &str) -> Result<(), Refusal> {
        if self.sign()? != Some(sign) {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self) -> Refusal {
        Refusal::unexpected(self.tokens, self.at)
    }

    fn error(&self, token: usize, message: String) -> Refusal {
        ParseError { message, at: Some(self.tokens.place(token)) }.into()
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
    use super::*;

    fn read(text: &str) -> Result<Length, String> {
        let whole = format!("x[{text}]");
        let tokens = Tokens::of(&whole, super::super::token::Names::Ascii);
        let mut reader = Reader { tokens: &tokens, at: 2 };
        reader.length().map_err(|refusal| ParseError::from(refusal).message)
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
