//! Calls of functions and aggregations: their arguments, and whether they fit.

use promql_parser::parser as grammar;

use super::super::super::functions::{self, Extension, Function, Kind, Place, TABLE};
use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::{Aggregate, Aggregation, Call, Expr, LabelList, Node};
use super::{Lowering, expr};

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: grammar::Call) -> Result<Expr, ParseError> {
        let name = call.func.name;
        let Some(function) = functions::find(name) else {
            return Err(self.error(Place(0), format!("unknown function with name {name:?}")));
        };
        let mut arguments = Vec::with_capacity(call.args.len());
        for (index, argument) in call.args.args.into_iter().enumerate() {
            arguments.push(match *argument {
                // What `info` joins may be told by matchers that all match what is absent.
                grammar::Expr::VectorSelector(selector) if name == "info" && index == 1 => {
                    let (place, selected) = self.selected(selector, true)?;
                    if selected.name.is_some() {
                        let message = "expected label selectors only, got vector selector instead".to_owned();
                        return Err(self.error(place, message));
                    }
                    let constant = selected.shift.at.is_some();
                    expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant)
                }
                argument => {
                    let argument = self.expression(argument)?;
                    if name == "info" && index == 1 {
                        return Err(self.error(argument.place, "expected label selectors only".to_owned()));
                    }
                    argument
                }
            });
        }
        // A name and its parenthesis stand before the first argument.
        let place = arguments.first().map_or(Place(0), |first| self.before(first.place, 2));
        self.check_arguments(function, &arguments, place)?;
        let constant = is_constant(function, &arguments);
        let value_type = function.result;
        Ok(expr(Node::Call(Box::new(Call { function, arguments })), place, value_type, constant))
    }

    fn check_arguments(&self, function: &Function, arguments: &[Expr], place: Place) -> Result<(), ParseError> {
        let (name, given) = (function.name, arguments.len());
        let wrong = |bound: &str, number: usize| {
            self.error(place, format!("expected {bound}{number} argument(s) in call to {name:?}, got {given}"))
        };
        match (function.fewest, function.most) {
            (fewest, Some(most)) if fewest == most && given != most => return Err(wrong("", most)),
            (fewest, _) if given < fewest => return Err(wrong("at least ", fewest)),
            (_, Some(most)) if given > most => return Err(wrong("at most ", most)),
            _ => {}
        }
        for (index, argument) in arguments.iter().enumerate() {
            let Some(expected) = function.arguments.get(index).or_else(|| function.arguments.last()) else { break };
            if argument.value_type != *expected {
                let message =
                    format!("expected type {expected} in call to function {name:?}, got {}", argument.value_type);
                return Err(self.error(argument.place, message));
            }
        }
        self.check_extension(function, arguments)
    }

    /// Only some functions know what to do with samples around a range.
    fn check_extension(&self, function: &Function, arguments: &[Expr]) -> Result<(), ParseError> {
        for argument in arguments {
            let Node::Range(selected, _) = &argument.bare().node else { continue };
            let allows = |function: &Function| match (function.kind, selected.extension) {
                (_, Extension::None) => true,
                (Kind::Range(function), Extension::Anchored) => function.anchored,
                (Kind::Range(function), Extension::Smoothed) => function.smoothed,
                _ => false,
            };
            if !allows(function) {
                let word = if selected.extension == Extension::Anchored { "anchored" } else { "smoothed" };
                let allowed = TABLE.iter().filter(|function| allows(function)).map(|function| function.name);
                let allowed = allowed.collect::<Vec<_>>().join(", ");
                let message = format!("{word} modifier can only be used with: {allowed} - not with {}", function.name);
                return Err(self.error(argument.place, message));
            }
        }
        Ok(())
    }

    pub(super) fn aggregate(&mut self, aggregate: grammar::AggregateExpr) -> Result<Expr, ParseError> {
        let Some(aggregation) = Aggregation::of(&aggregate.op.to_string()) else { return Err(self.lost()) };
        let grouping = match aggregate.modifier {
            Some(modifier) => self.list(modifier)?,
            None => LabelList { these: true, names: Vec::new() },
        };
        let parameter = match aggregate.param {
            Some(parameter) => Some(self.expression(*parameter)?),
            None => None,
        };
        let inner = self.expression(*aggregate.expr)?;
        let expected = if aggregation == Aggregation::CountValues { ValueType::String } else { ValueType::Scalar };
        if let Some(parameter) = parameter.as_ref().filter(|parameter| parameter.value_type != expected) {
            let message = format!("expected type {expected} in aggregation parameter, got {}", parameter.value_type);
            return Err(self.error(parameter.place, message));
        }
        if inner.value_type != ValueType::Vector {
            let message = format!("expected type instant vector in aggregation expression, got {}", inner.value_type);
            return Err(self.error(inner.place, message));
        }
        let place = self.aggregate_place(parameter.as_ref().unwrap_or(&inner).place);
        let constant = inner.constant && parameter.as_ref().is_none_or(|parameter| parameter.constant);
        let node = Node::Aggregate(Box::new(Aggregate { aggregation, grouping, parameter, inner }));
        Ok(expr(node, place, ValueType::Vector, constant))
    }

    /// Where an aggregation begins whose first argument is there: its name, perhaps its labels, and a parenthesis.
    fn aggregate_place(&self, argument: Place) -> Place {
        let Some(token) = self.token(argument).and_then(|token| token.checked_sub(2)) else { return argument };
        if self.source(token) != ")" {
            return self.place(token);
        }
        let open = (0..token).rev().find(|token| self.source(*token) == "(");
        open.and_then(|open| open.checked_sub(2)).map_or(argument, |token| self.place(token))
    }
}

/// Whether a call gives the same at every step.
fn is_constant(function: &Function, arguments: &[Expr]) -> bool {
    let constant = arguments.iter().all(|argument| argument.constant);
    // The time of a selector's sample is that of the sample; that of any other expression is that of the step.
    let of_selector = || matches!(arguments, [Expr { node: Node::Select(_), .. }]);
    // When info metrics are read depends on more than the argument's value.
    constant && function.name != "info" && (!function.varies || function.name == "timestamp" && of_selector())
}
