//! Queries over several lines, as Prometheus formats them: what is wider than a line is broken at its parentheses and
//! operators, and what is within them stands further in.

use super::super::tree::{Expr, Node};
use super::print::{Head, Operation, Reach};

/// Widest line that is not broken.
const WIDEST: usize = 100;

/// The query, broken up where it is wide. `level` says how far in it stands.
pub(in crate::promql) fn pretty(expr: &Expr, level: usize) -> String {
    let (line, indent) = (expr.to_string(), "  ".repeat(level));
    let breaks = line.len() > WIDEST;
    match &expr.node {
        // As in Prometheus, a short one is not set in.
        Node::Subquery(_) if !breaks => line,
        Node::Subquery(subquery) => format!("{}{}", pretty(&subquery.inner, level), Reach(subquery)),
        Node::Negate(inner) => format!("{indent}-{}", pretty(inner, level).trim()),
        Node::Call(call) if breaks => {
            let arguments: Vec<_> = call.arguments.iter().map(|argument| pretty(argument, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", call.function.name, arguments.join(",\n"))
        }
        Node::Aggregate(aggregate) if breaks => {
            let parameter = aggregate.parameter.as_ref().map(|parameter| pretty(parameter, level + 1) + ",\n");
            let (head, inner) = (Head(aggregate), pretty(&aggregate.inner, level + 1));
            format!("{indent}{head}(\n{}{inner}\n{indent})", parameter.unwrap_or_default())
        }
        Node::Binary(binary) if breaks => {
            let (left, right) = (pretty(&binary.left, level + 1), pretty(&binary.right, level + 1));
            format!("{left}\n{indent}{}\n{right}", Operation(binary))
        }
        Node::Paren(inner) if breaks => format!("{indent}(\n{}\n{indent})", pretty(inner, level + 1)),
        _ => indent + &line,
    }
}
