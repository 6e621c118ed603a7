//! Selectors whose histograms are asked for nothing but their counts and sums: they are read without their buckets.

use super::super::functions::{BucketFunction, Kind};
use super::super::tree::{Aggregation, Expr, Node, Operator};

/// What is around an expression.
#[derive(Clone, Copy, Default)]
struct Around {
    /// A function that needs counts and sums.
    summary: bool,
    /// Something that looks at buckets, or at resets that can only be told from them.
    buckets: bool,
}

/// Marks the selectors.
pub(super) fn mark(root: &mut Expr) {
    visit(root, Around::default());
}

fn visit(expr: &mut Expr, around: Around) {
    match &mut expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => {}
        Node::Select(selected) | Node::Range(selected, _) => selected.summaries = around.summary && !around.buckets,
        Node::Subquery(subquery) => visit(&mut subquery.inner, Around { buckets: true, ..around }),
        Node::Call(call) => {
            let name = call.function.name;
            let summary = matches!(name, "histogram_count" | "histogram_sum" | "histogram_avg");
            let buckets = matches!(
                call.function.kind,
                Kind::Buckets(BucketFunction::Quantile | BucketFunction::Quantiles | BucketFunction::Fraction)
            ) || matches!(name, "histogram_stddev" | "histogram_stdvar" | "changes");
            let around = Around { summary: around.summary || summary, buckets: around.buckets || buckets };
            call.arguments.iter_mut().for_each(|argument| visit(argument, around));
        }
        Node::Aggregate(aggregate) => {
            let buckets = around.buckets || aggregate.aggregation == Aggregation::CountValues;
            aggregate.parameter.iter_mut().for_each(|parameter| visit(parameter, Around::default()));
            visit(&mut aggregate.inner, Around { buckets, ..around });
        }
        Node::Binary(binary) => {
            let compares = matches!(
                binary.operator,
                Operator::TrimUpper | Operator::TrimLower | Operator::Equal | Operator::NotEqual
            );
            let around = Around { buckets: around.buckets || compares, ..around };
            visit(&mut binary.left, around);
            visit(&mut binary.right, around);
        }
        Node::Negate(inner) | Node::Paren(inner) => visit(inner, around),
    }
}
