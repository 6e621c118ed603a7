//! Whether a query brings series of several nodes together. An agent that has the series of its own node alone would then
//! say something else than whoever has them all: its sum is that of its node.

use super::functions::{Kind, Special};
use super::query::Query;
use super::tree::{Aggregate, Binary, Expr, LabelList, Node};
use crate::series::{MatchOp, Matcher};

/// Which labels tell nodes apart.
#[derive(Clone, Copy, Debug)]
pub struct NodeLabels<'a> {
    /// Labels that name a node, or a target of one. Two series of different nodes differ in them.
    pub of_node: &'a [&'a str],
    /// Labels that name what lives on one node, such as a pod. Whoever groups by them groups within a node.
    pub within: &'a [&'a str],
}

impl Query {
    /// What in the query brings series of several nodes together, in words; nothing where an agent of each node can evaluate
    /// it. A selector that names a node by `=` reads one.
    pub fn across(&self, labels: NodeLabels<'_>) -> Vec<String> {
        let mut found = Vec::new();
        Walk { labels, found: &mut found }.may_be_many(self.root());
        found
    }
}

struct Walk<'a> {
    labels: NodeLabels<'a>,
    found: &'a mut Vec<String>,
}

impl Walk<'_> {
    /// Whether what the expression gives may be of several nodes.
    fn may_be_many(&mut self, expr: &Expr) -> bool {
        match &expr.node {
            Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => false,
            Node::Select(selected) | Node::Range(selected, _) => !self.names_a_node(&selected.matchers),
            Node::Subquery(subquery) => self.may_be_many(&subquery.inner),
            Node::Call(call) => {
                // All of them, whatever the first one is.
                let many = call.arguments.iter().fold(false, |many, argument| self.may_be_many(argument) | many);
                let (name, kind) = (call.function.name, call.function.kind);
                let makes_one =
                    matches!(kind, Kind::Evaluation(Special::Absent | Special::AbsentOverTime | Special::Scalar));
                if many && makes_one {
                    // What is absent on this node may be there on another one.
                    self.found.push(format!("`{name}` asks for series of all nodes"));
                }
                many && !makes_one
            }
            Node::Aggregate(aggregate) => self.aggregates(aggregate),
            Node::Binary(binary) => self.joins(binary),
            Node::Negate(inner) | Node::Paren(inner) => self.may_be_many(inner),
        }
    }

    fn names_a_node(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().any(|matcher| {
            matches!(matcher.op, MatchOp::Equal)
                && !matcher.value.is_empty()
                && self.labels.of_node.contains(&&*matcher.name)
        })
    }

    fn aggregates(&mut self, aggregate: &Aggregate) -> bool {
        if let Some(parameter) = &aggregate.parameter {
            self.may_be_many(parameter);
        }
        if !self.may_be_many(&aggregate.inner) {
            return false;
        }
        let keeps = self.keeps(&aggregate.grouping);
        if !keeps {
            let (name, list) = (aggregate.aggregation.name(), list("by", "without", &aggregate.grouping));
            self.found.push(format!("`{name}{list}` takes series of all nodes together"));
        }
        keeps
    }

    fn joins(&mut self, binary: &Binary) -> bool {
        let (left, right) = (self.may_be_many(&binary.left), self.may_be_many(&binary.right));
        if left && right && !self.keeps(&binary.matching.on) {
            let (sign, list) = (binary.operator.sign(), list("on", "ignoring", &binary.matching.on));
            self.found.push(format!("`{sign}{list}` may join series of different nodes"));
        }
        left || right
    }

    /// Whether what is grouped, or matched, by these labels is of one node.
    fn keeps(&self, list: &LabelList) -> bool {
        let any = |of: &[&str]| list.names.iter().any(|name| of.contains(&&**name));
        if list.these { any(self.labels.of_node) || any(self.labels.within) } else { !any(self.labels.of_node) }
    }
}

/// Labels as a query has them behind its operator.
fn list(these: &str, but_these: &str, list: &LabelList) -> String {
    match (list.these, &list.names[..]) {
        (true, names) => format!(" {these} ({})", names.join(", ")),
        (false, []) => String::new(),
        (false, names) => format!(" {but_these} ({})", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: NodeLabels<'_> = NodeLabels { of_node: &["instance", "node"], within: &["pod"] };

    fn across(query: &str) -> Vec<String> {
        Query::parse(query).expect("a query").across(LABELS)
    }

    #[test]
    fn what_stays_on_its_node_is_for_its_agent() {
        for query in [
            "up == 0",
            "time() - x > 5",
            "rate(x[5m]) > 1 and on (instance) up == 1",
            "sum by (job, instance) (rate(x[5m])) / sum by (job, instance) (rate(y[5m])) > 0.1",
            "sum by (node) (x)",
            "sum by (pod) (x)",
            "sum without (cpu) (x)",
            "sum without (pod) (x)",
            "sum(x{node=\"a\"}) > 5",
            "absent(up{job=\"node\", node=\"a\"})",
            "x / ignoring (mode) group_left y",
            "x > scalar(y{instance=\"a\"})",
            "vector(1)",
            "topk by (instance) (3, x)",
        ] {
            assert_eq!(across(query), [""; 0], "{query}");
        }
    }

    #[test]
    fn what_takes_nodes_together_is_told() {
        for (query, expected) in [
            ("sum(x) > 5", vec!["`sum by ()` takes series of all nodes together"]),
            ("sum by (job) (rate(x[5m]))", vec!["`sum by (job)` takes series of all nodes together"]),
            ("avg without (instance) (x)", vec!["`avg without (instance)` takes series of all nodes together"]),
            ("count by (job) (x) / count(y{node=\"a\"})", vec!["`count by (job)` takes series of all nodes together"]),
            ("x / on (job) y", vec!["`/ on (job)` may join series of different nodes"]),
            (
                "x unless ignoring (instance, cpu) y",
                vec!["`unless ignoring (instance, cpu)` may join series of different nodes"],
            ),
            ("topk(3, x)", vec!["`topk by ()` takes series of all nodes together"]),
            ("sum(x{node=~\"a|b\"})", vec!["`sum by ()` takes series of all nodes together"]),
            ("absent(up{job=\"node\"})", vec!["`absent` asks for series of all nodes"]),
            ("x > scalar(y)", vec!["`scalar` asks for series of all nodes"]),
            (
                "max_over_time(sum(x)[5m:1m]) > scalar(count(y))",
                vec![
                    "`sum by ()` takes series of all nodes together",
                    "`count by ()` takes series of all nodes together",
                ],
            ),
        ] {
            assert_eq!(across(query), expected, "{query}");
        }
    }
}
