//! Calls of functions and aggregations: their arguments.

use promql_parser::parser as grammar;

use super::super::super::functions::{self, Function, Place};
use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::{Aggregate, Aggregation, Call, Expr, LabelList, Node};
use super::{Lowering, expr};

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: grammar::Call) -> Result<Expr, ParseError> {
        let name = call.func.name;
        let Some(function) = functions::find(name) else { return Err(self.lost()) };
        let mut arguments = Vec::with_capacity(call.args.len());
        for (index, argument) in call.args.args.into_iter().enumerate() {
            arguments.push(match *argument {
                // What `info` joins may be told by matchers that all match what is absent.
                grammar::Expr::VectorSelector(selector) if name == "info" && index == 1 => {
                    let (place, selected) = self.selected(selector)?;
                    let constant = selected.shift.at.is_some();
                    expr(Node::Select(Box::new(selected)), place, ValueType::Vector, constant)
                }
                argument => self.expression(argument)?,
            });
        }
        // A name and its parenthesis stand before the first argument.
        let place = arguments.first().map_or(Place(0), |first| self.before(first.place, 2));
        let constant = is_constant(function, &arguments);
        let value_type = function.result;
        Ok(expr(Node::Call(Box::new(Call { function, arguments })), place, value_type, constant))
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
