//! Binary operators: how they bind, what stands between them and their right side, and what they may stand between.

use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::Operator;
use super::super::refusal::Refusal;
use super::super::token::Token;
use super::{Check, Kind, Operand};

/// How tightly a power binds, which is more than any other operator.
pub(super) const POWER: u8 = 6;

/// What stands between an operator and its right side.
#[derive(Default)]
struct Modifiers {
    returns_bool: bool,
    /// Whether it is `on`, and its labels.
    on: bool,
    labels: Vec<String>,
    /// The labels of `group_left` or `group_right`.
    group: Option<Vec<String>>,
    fills: bool,
}

impl Check<'_> {
    /// Operands and operators that bind at least so tightly.
    pub(super) fn expression(&mut self, least: u8) -> Result<Operand, Refusal> {
        let mut left = self.operand()?;
        while let Some((operator, binds)) = self.operator()?
            && binds >= least
        {
            let at = self.at;
            self.count_operator(binds == POWER)?;
            self.at += 1;
            let modifiers = self.matching()?;
            // Powers associate to the right.
            let right = self.expression(if binds == POWER { binds } else { binds + 1 })?;
            left = self.operation(left, operator, at, &modifiers, right);
        }
        Ok(left)
    }

    fn operator(&self) -> Result<Option<(Operator, u8)>, Refusal> {
        let Some((Token::Word | Token::Sign, source)) = self.look()? else { return Ok(None) };
        Ok(Operator::of(&source.to_ascii_lowercase()).map(|operator| {
            let binds = match operator.sign() {
                "or" => 1,
                "and" | "unless" => 2,
                "+" | "-" => 4,
                "*" | "/" | "%" | "atan2" => 5,
                "^" => POWER,
                _ => 3,
            };
            (operator, binds)
        }))
    }

    fn matching(&mut self) -> Result<Modifiers, Refusal> {
        let mut found = Modifiers::default();
        if self.is_word(&["bool"])? {
            self.at += 1;
            found.returns_bool = true;
        }
        if self.is_word(&["on", "ignoring"])? {
            found.on = self.is_word(&["on"])?;
            self.at += 1;
            found.labels = self.grouping()?;
            if self.is_word(&["group_left", "group_right"])? {
                self.at += 1;
                let none = self.begins_operand()? && !self.is("(")?;
                found.group = Some(if none { Vec::new() } else { self.grouping()? });
            }
        }
        if self.takes_fill(&["fill"])? {
            self.fill()?;
            found.fills = true;
        } else {
            for (one, other) in [("fill_left", "fill_right"), ("fill_right", "fill_left")] {
                if !found.fills && self.takes_fill(&[one])? {
                    self.fill()?;
                    found.fills = true;
                    if self.takes_fill(&[other])? {
                        self.fill()?;
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether one of these words and a parenthesis come next: without the latter they name a metric.
    fn takes_fill(&self, words: &[&str]) -> Result<bool, Refusal> {
        Ok(self.is_word(words)? && matches!(self.tokens.look(self.at + 1), Ok(Some((Token::Sign, "(")))))
    }

    fn fill(&mut self) -> Result<(), Refusal> {
        self.at += 2;
        if self.is("+")? || self.is("-")? {
            self.at += 1;
        }
        self.number()?;
        self.expect(")")
    }

    fn operation(&self, left: Operand, operator: Operator, at: usize, with: &Modifiers, right: Operand) -> Operand {
        let is = |side: &Operand, value_type| side.value_type == value_type;
        let scalars = is(&left, ValueType::Scalar) && is(&right, ValueType::Scalar);
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let nonsense = || self.nonsense(&left, operator, at, with, &right);
        let wrong = left.wrong.clone().or_else(|| right.wrong.clone()).or_else(nonsense);
        Operand { first: left.first, value_type, kind: Kind::Other, wrong }
    }

    fn nonsense(
        &self,
        left: &Operand,
        operator: Operator,
        at: usize,
        with: &Modifiers,
        right: &Operand,
    ) -> Option<ParseError> {
        let at_operator = |message: &str| Some(self.error(at, message));
        let fail = |message: &str| Some(self.error(left.first, message));
        let scalar = |side: &Operand| side.value_type == ValueType::Scalar;
        if with.returns_bool && !operator.compares() {
            return at_operator("bool modifier can only be used on comparison operators");
        }
        if operator.compares() && !with.returns_bool && scalar(left) && scalar(right) {
            return at_operator("comparisons between scalars must use BOOL modifier");
        }
        if let Some(label) = with.group.iter().flatten().find(|label| with.on && with.labels.contains(label)) {
            return at_operator(&format!("label {label:?} must not occur in ON and GROUP clause at once"));
        }
        for side in [left, right] {
            if !matches!(side.value_type, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return Some(self.error(side.first, message));
            }
        }
        if scalar(left) || scalar(right) {
            if !with.labels.is_empty() {
                return fail("vector matching only allowed between instant vectors");
            }
            if with.fills {
                return fail("filling in missing series only allowed between instant vectors");
            }
            let message = format!("set operator {:?} not allowed in binary scalar expression", operator.sign());
            return if operator.is_set() { fail(&message) } else { None };
        }
        if operator.is_set() && with.group.is_some() {
            return fail(&format!("no grouping allowed for {:?} operation", operator.sign()));
        }
        if operator.is_set() && with.fills {
            return fail("filling in missing series not allowed for set operators");
        }
        None
    }
}
