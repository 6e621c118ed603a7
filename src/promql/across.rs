//! Whether a query puts series together that differ in certain labels: a rule that does so with the labels that tell nodes
//! apart cannot be evaluated on one of them.

use super::functions::{Kind, Special};
use super::query::Query;
use super::tree::{Binary, Expr, LabelList, Node};

impl Query {
    /// The first expression of the query, as Prometheus prints it, that puts series together which differ in these labels:
    /// an aggregation that keeps none of them, an operator that matches on none of them, or a function such as `absent`.
    /// Nothing where series of different nodes stay apart, if a node is told by any of the labels.
    pub fn across(&self, labels: &[&str]) -> Option<String> {
        across(self.root(), labels).map(ToString::to_string)
    }
}

fn across<'a>(expr: &'a Expr, labels: &[&str]) -> Option<&'a Expr> {
    match &expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) | Node::Select(_) | Node::Range(..) => None,
        Node::Subquery(subquery) => across(&subquery.inner, labels),
        Node::Call(call) => {
            let inner = call.arguments.iter().find_map(|argument| across(argument, labels));
            let joins = matches!(
                call.function.kind,
                Kind::Evaluation(Special::Absent | Special::AbsentOverTime | Special::Scalar)
            );
            inner.or_else(|| (joins && call.arguments.iter().any(reads)).then_some(expr))
        }
        Node::Aggregate(aggregate) => {
            let parameter = aggregate.parameter.iter().find_map(|parameter| across(parameter, labels));
            let inner = parameter.or_else(|| across(&aggregate.inner, labels));
            inner.or_else(|| (reads(&aggregate.inner) && !keeps(&aggregate.grouping, labels)).then_some(expr))
        }
        Node::Binary(binary) => {
            let Binary { left, right, matching, .. } = &**binary;
            let inner = across(left, labels).or_else(|| across(right, labels));
            inner.or_else(|| (reads(left) && reads(right) && !keeps(&matching.on, labels)).then_some(expr))
        }
        Node::Negate(inner) | Node::Paren(inner) => across(inner, labels),
    }
}

/// Whether one of the labels is kept.
fn keeps(list: &LabelList, labels: &[&str]) -> bool {
    labels.iter().any(|label| list.names.iter().any(|name| **name == **label) == list.these)
}

/// Whether an expression reads series.
fn reads(expr: &Expr) -> bool {
    match &expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => false,
        Node::Select(_) | Node::Range(..) | Node::Subquery(_) => true,
        Node::Call(call) => call.arguments.iter().any(reads),
        Node::Aggregate(aggregate) => reads(&aggregate.inner),
        Node::Binary(binary) => reads(&binary.left) || reads(&binary.right),
        Node::Negate(inner) | Node::Paren(inner) => reads(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_nodes_apart_is_not_across_them() {
        for (text, found) in [
            ("up == 0", None),
            ("rate(errors[5m]) / rate(requests[5m]) > 0.1", None),
            ("sum(up)", Some("sum(up)")),
            ("sum by (job) (up) > 3", Some("sum by (job) (up)")),
            ("sum by (job, node) (up)", None),
            ("sum by (instance) (rate(a[5m]))", None),
            ("sum without (cpu) (a)", None),
            ("sum without (instance, node) (a)", Some("sum without (instance, node) (a)")),
            ("topk(3, a)", Some("topk(3, a)")),
            ("a * on (job) group_left b", Some("a * on (job) group_left () b")),
            ("a * on (node) b", None),
            ("a and on () vector(1)", None),
            ("a and on () (b > 0)", Some("a and on () (b > 0)")),
            ("absent(up)", Some("absent(up)")),
            ("a > scalar(b)", Some("scalar(b)")),
            ("max_over_time(sum(a)[1h:])", Some("sum(a)")),
            ("vector(time())", None),
        ] {
            let query = Query::parse(text).expect(text);
            assert_eq!(query.across(&["node", "instance"]).as_deref(), found, "{text}");
        }
    }
}
