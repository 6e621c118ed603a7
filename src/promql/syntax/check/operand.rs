//! Operands: literals, selectors, parentheses, and the signs before them.

use super::super::super::query::ValueType;
use super::super::super::tree::Aggregation;
use super::super::literal::{checked_number, duration};
use super::super::refusal::Refusal;
use super::super::token::Token;
use super::binary::POWER;
use super::{Check, Kind, NESTING_SIGNS, Operand, Shift};

/// Words that are never the name of a metric.
const RESERVED: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];

/// Words that are one, even before a parenthesis.
const NEVER_CALLED: [&str; 11] =
    ["and", "or", "unless", "by", "without", "offset", "fill", "fill_left", "fill_right", "anchored", "smoothed"];

impl Check<'_> {
    /// An operand with the signs before it and the modifiers behind it.
    pub(super) fn operand(&mut self) -> Result<Operand, Refusal> {
        let first = self.at;
        if !self.is("+")? && !self.is("-")? {
            let operand = self.primary()?;
            return self.modifiers(operand);
        }
        self.count_operator(true)?;
        self.at += 1;
        // A sign binds less than a power.
        let mut operand = self.expression(POWER)?;
        let value_type = operand.value_type;
        operand.keep(|| {
            let message = "unary expression only allowed on expressions of type scalar or instant vector";
            let allowed = matches!(value_type, ValueType::Scalar | ValueType::Vector);
            (!allowed).then(|| self.error(first, format!("{message}, got \"{value_type}\"")))
        });
        Ok(Operand { first, kind: Kind::Other, ..operand })
    }

    /// Counts an operator, and whether what is behind it is nested in it.
    pub(super) fn count_operator(&mut self, nests: bool) -> Result<(), Refusal> {
        self.operators += 1;
        self.nesting_signs += usize::from(nests);
        if self.nesting_signs > NESTING_SIGNS {
            return self
                .refuse(self.at, format!("query has more than {NESTING_SIGNS} signs before operands and powers"));
        }
        if self.operators > super::OPERATORS {
            return self.refuse(self.at, format!("query has more than {} operators", super::OPERATORS));
        }
        Ok(())
    }

    /// Whether an operand begins here.
    pub(super) fn begins_operand(&self) -> Result<bool, Refusal> {
        Ok(match self.look()? {
            Some((Token::Sign, sign)) => matches!(sign, "(" | "{" | "+" | "-"),
            Some((Token::Word, _)) => !self.is_word(&RESERVED)?,
            Some(_) => true,
            None => false,
        })
    }

    fn primary(&mut self) -> Result<Operand, Refusal> {
        let first = self.at;
        let literal = |value_type| Operand { first, value_type, kind: Kind::Other, wrong: None };
        let Some((token, source)) = self.look()? else { return Err(self.unexpected()) };
        match (token, source) {
            (Token::Number | Token::Duration, _) => {
                self.number()?;
                Ok(literal(ValueType::Scalar))
            }
            (Token::Text, _) => {
                self.at += 1;
                Ok(literal(ValueType::String))
            }
            (Token::Sign, "(") => {
                self.at += 1;
                let inner = self.expression(0)?;
                self.expect(")")?;
                Ok(Operand { first, kind: Kind::Other, ..inner })
            }
            (Token::Sign, "{") => self.selector(None),
            (Token::Word, word) => {
                let word = word.to_owned();
                self.named(&word)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A number, or a duration in its place.
    pub(super) fn number(&mut self) -> Result<f64, Refusal> {
        let value = match self.look()? {
            Some((Token::Number, text)) => checked_number(text),
            Some((Token::Duration, text)) => duration(text).map(|milliseconds| milliseconds as f64 / 1000.0),
            Some((Token::Word, word)) if word.eq_ignore_ascii_case("inf") => Ok(f64::INFINITY),
            Some((Token::Word, word)) if word.eq_ignore_ascii_case("nan") => Ok(f64::NAN),
            _ => return Err(self.unexpected()),
        };
        let value = value.or_else(|message| self.refuse(self.at, message))?;
        self.at += 1;
        Ok(value)
    }

    /// What begins with a word.
    fn named(&mut self, word: &str) -> Result<Operand, Refusal> {
        let first = self.at;
        let lower = word.to_ascii_lowercase();
        if matches!(lower.as_str(), "inf" | "nan") {
            self.number()?;
            return Ok(Operand { first, value_type: ValueType::Scalar, kind: Kind::Other, wrong: None });
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(self.unexpected());
        }
        self.at += 1;
        let called = self.is("(")?;
        if let Some(aggregation) = Aggregation::of(&lower)
            && (called || self.is_word(&["by", "without"])?)
        {
            return self.aggregate(first, aggregation);
        }
        if called && !word.contains(':') && !NEVER_CALLED.contains(&lower.as_str()) {
            return self.call(first, word);
        }
        self.selector(Some(word))
    }

    /// A selector whose name, if it has one before its braces, was read.
    fn selector(&mut self, name: Option<&str>) -> Result<Operand, Refusal> {
        let first = self.at - usize::from(name.is_some());
        let braces = if self.is("{")? { self.matchers()? } else { super::labels::Matchers::default() };
        let wrong = match (name, braces.name) {
            (Some(name), Some(again)) => {
                Some(self.error(first, format!("metric name must not be set twice: {name:?} or {again:?}")))
            }
            (None, _) if braces.all_match_nothing => {
                Some(self.error(first, "vector selector must contain at least one non-empty matcher"))
            }
            _ => None,
        };
        let kind = Kind::Instant { named: name.is_some(), shift: Shift::default() };
        Ok(Operand { first, value_type: ValueType::Vector, kind, wrong })
    }
}
