//! Pins every selector of a query to one time: what it evaluates to is then the same at any other.

use super::super::tree::{At, Expr, Node, Shift};

/// Pins what is not pinned yet, to milliseconds since 1970; what is within a pinned subquery follows it. False where a
/// function reads the time of the evaluation all the same.
pub(in crate::promql) fn pin(expr: &mut Expr, time: i64) -> bool {
    let shift = |shift: &mut Shift| {
        // The first and the last step are that time too.
        if !matches!(shift.at, Some(At::Time(_))) {
            shift.at = Some(At::Time(time));
        }
        true
    };
    match &mut expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => true,
        Node::Select(selected) | Node::Range(selected, _) => shift(&mut selected.shift),
        Node::Subquery(subquery) => shift(&mut subquery.shift),
        Node::Call(call) => !call.function.varies && call.arguments.iter_mut().all(|argument| pin(argument, time)),
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter_mut().all(|parameter| pin(parameter, time)) && pin(&mut aggregate.inner, time)
        }
        Node::Binary(binary) => pin(&mut binary.left, time) && pin(&mut binary.right, time),
        Node::Negate(inner) | Node::Paren(inner) => pin(inner, time),
    }
}
