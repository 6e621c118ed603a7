//! Calls of functions and aggregations: how many arguments they have, and of which types.

use super::super::super::functions::{self, Function};
use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::Aggregation;
use super::super::refusal::Refusal;
use super::{Check, Kind, Operand};

impl Check<'_> {
    /// A function, its name read.
    pub(super) fn call(&mut self, first: usize, name: &str) -> Result<Operand, Refusal> {
        let mut arguments = self.arguments()?;
        // What durations are computed from are words of the language, whatever their case.
        let lower = name.to_ascii_lowercase();
        let is_word = matches!(lower.as_str(), "start" | "end" | "step" | "range" | "min_of" | "max_of");
        let Some(function) = functions::find(if is_word { &lower } else { name }) else {
            return self.refuse(first, format!("unknown function with name {name:?}"));
        };
        let wrong = self.misfit(first, function, &mut arguments);
        Ok(Operand { first, value_type: function.result, kind: Kind::Other, wrong })
    }

    /// `(a, b)`
    fn arguments(&mut self) -> Result<Vec<Operand>, Refusal> {
        self.at += 1;
        let mut arguments = Vec::new();
        if self.take(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            let comma = self.at;
            if self.take(")")? {
                return Ok(arguments);
            }
            self.expect(",")?;
            if !self.begins_operand()? {
                return self.refuse(comma, "trailing commas not allowed in function call args");
            }
        }
    }

    fn misfit(&self, first: usize, function: &Function, arguments: &mut [Operand]) -> Option<ParseError> {
        let (name, given) = (function.name, arguments.len());
        let count = |bound: &str, number: usize| {
            Some(self.error(first, format!("expected {bound}{number} argument(s) in call to {name:?}, got {given}")))
        };
        match (function.fewest, function.most) {
            (fewest, Some(most)) if fewest == most && given != most => return count("", most),
            (fewest, _) if given < fewest => return count("at least ", fewest),
            (_, Some(most)) if given > most => return count("at most ", most),
            _ => {}
        }
        if let (true, Some(joined)) = (name == "info", arguments.get_mut(1)) {
            let problem = match (&joined.kind, joined.value_type) {
                (Kind::Instant { named: true, .. }, _) => "expected label selectors only, got vector selector instead",
                (Kind::Instant { .. }, _) => "",
                (_, ValueType::Vector) => "expected label selectors only",
                (_, other) => {
                    let message = format!("expected type instant vector in call to function \"info\", got {other}");
                    return Some(self.error(first, message));
                }
            };
            if !problem.is_empty() {
                return Some(self.error(joined.first, problem));
            }
            // What is joined may be told by matchers that all match what is absent.
            joined.wrong = None;
        }
        let what = format!("call to function {name:?}");
        arguments.iter().enumerate().find_map(|(index, argument)| {
            let expected = function.arguments.get(index).or_else(|| function.arguments.last())?;
            self.mistyped(argument, *expected, &what)
        })
    }

    fn mistyped(&self, argument: &Operand, expected: ValueType, what: &str) -> Option<ParseError> {
        let found = argument.value_type;
        argument.wrong.clone().or_else(|| {
            let message = format!("expected type {expected} in {what}, got {found}");
            (found != expected).then(|| self.error(argument.first, message))
        })
    }

    /// An aggregation, its name read: its labels stand before or behind its arguments.
    pub(super) fn aggregate(&mut self, first: usize, aggregation: Aggregation) -> Result<Operand, Refusal> {
        let within = |refusal: Refusal| refusal.within("aggregation", "");
        let before = self.by_or_without()?;
        if !self.is("(")? {
            return Err(within(self.unexpected()));
        }
        let arguments = self.arguments().map_err(within)?;
        if !before {
            self.by_or_without()?;
        }
        let parameter = parameter(aggregation);
        let expected = 1 + usize::from(parameter.is_some());
        let message = match arguments.len() {
            0 => "no arguments for aggregate expression provided".to_owned(),
            given if given != expected => {
                let wrong = "wrong number of arguments for aggregate expression provided";
                format!("{wrong}, expected {expected}, got {given}")
            }
            _ => String::new(),
        };
        if !message.is_empty() {
            return self.refuse(first, message);
        }
        let inner = arguments.last();
        let wrong = inner.and_then(|inner| self.mistyped(inner, ValueType::Vector, "aggregation expression"));
        let wrong = wrong.or_else(|| self.mistyped(&arguments[0], parameter?, "aggregation parameter"));
        Ok(Operand { first, value_type: ValueType::Vector, kind: Kind::Other, wrong })
    }

    /// Reads `by (…)` or `without (…)` if it comes next.
    fn by_or_without(&mut self) -> Result<bool, Refusal> {
        let found = self.is_word(&["by", "without"])?;
        if found {
            self.at += 1;
            self.grouping()?;
        }
        Ok(found)
    }
}

/// The type of what stands before the vector that is aggregated, where something does.
fn parameter(aggregation: Aggregation) -> Option<ValueType> {
    match aggregation {
        Aggregation::CountValues => Some(ValueType::String),
        Aggregation::Quantile => Some(ValueType::Scalar),
        other => other.picks().then_some(ValueType::Scalar),
    }
}
