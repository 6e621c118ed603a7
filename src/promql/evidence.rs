//! What an element of a query's result stands on: which series of each selector may be behind it, and whether their loss can
//! end it.
//!
//! A label of the element says which series those are only where it surely comes from that selector. A join gives the
//! element the labels of one side; of the other side it tells those by which both find each other. An aggregation leaves the
//! labels that it groups by, and `scalar()` none. What cannot be told is not told: too many series are named rather than
//! too few.

use std::collections::BTreeSet;

use super::functions::{BucketFunction, Kind, Special};
use super::query::{Query, Reach, Selector, ValueType};
use super::tree::{Aggregate, Aggregation, Binary, Call, Expr, Group, LabelList, Node, Operator};
use crate::data::LabelSet;

/// A selector of a query as what elements of the result stand on.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The selector.
    pub selector: Selector<'a>,
    ways: Ways,
}

impl Evidence<'_> {
    /// The labels of an element that its own series of the selector have, if they have a label of the name.
    pub fn own(&self, element: &LabelSet) -> LabelSet {
        self.ways.0.first().map_or_else(LabelSet::new, |(labels, _)| labels.of(element))
    }

    /// The same of the series whose loss can end the element: none where a loss can only begin it, and more than its own
    /// where those of others can end it too.
    pub fn ending(&self, element: &LabelSet) -> impl Iterator<Item = LabelSet> {
        let ends = |(labels, effect): &(Shared, Effect)| (*effect != Effect::Begins).then(|| labels.of(element));
        self.ways.0.iter().filter_map(ends)
    }
}

impl Query {
    /// What elements of the result stand on, in the order in which the selectors are written.
    pub fn evidence(&self) -> Vec<Evidence<'_>> {
        let mut found = Vec::new();
        let root = Ways(vec![(Shared::AllBut(BTreeSet::new()), Effect::Ends)]);
        visit(self.root(), &root, Reach::default(), &mut found);
        found
    }
}

type Names = BTreeSet<Box<str>>;

/// Labels that an element has from the series of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shared {
    These(Names),
    AllBut(Names),
}

impl Shared {
    fn nothing() -> Self {
        Self::These(Names::new())
    }

    fn listed(list: &LabelList) -> Self {
        let names = list.names.iter().cloned().collect();
        if list.these { Self::These(names) } else { Self::AllBut(names) }
    }

    fn these<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::These(names.into_iter().map(Into::into).collect())
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::These(names) => names.contains(name),
            Self::AllBut(names) => !names.contains(name),
        }
    }

    /// Those that both have.
    fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::These(names), other) | (other, Self::These(names)) => {
                Self::These(names.iter().filter(|name| other.has(name)).cloned().collect())
            }
            (Self::AllBut(one), Self::AllBut(other)) => Self::AllBut(one | other),
        }
    }

    fn with(&self, more: &[Box<str>]) -> Self {
        let more: Names = more.iter().cloned().collect();
        match self {
            Self::These(names) => Self::These(names | &more),
            Self::AllBut(names) => Self::AllBut(names - &more),
        }
    }

    fn without(&self, name: &str) -> Self {
        self.and(&Self::AllBut(Names::from([name.into()])))
    }

    fn of(&self, element: &LabelSet) -> LabelSet {
        element.iter().filter(|(name, _)| self.has(name)).collect()
    }
}

/// What the loss of series can do to an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Ends,
    /// It was kept away by them, as by the right side of `unless`.
    Begins,
    /// Its value is made of theirs.
    Both,
}

impl Effect {
    fn turned(self) -> Self {
        match self {
            Self::Ends => Self::Begins,
            Self::Begins => Self::Ends,
            Self::Both => Self::Both,
        }
    }
}

/// In which ways an element stands on an expression, the first by its own labels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ways(Vec<(Shared, Effect)>);

/// More ways are taken together as one that names every series.
const MOST_WAYS: usize = 8;

impl Ways {
    /// The value is made of all that there is.
    fn all() -> Self {
        Self(vec![(Shared::nothing(), Effect::Both)])
    }

    fn each(&self, way: impl Fn(&Shared, Effect) -> (Shared, Effect)) -> Self {
        let mut ways = Self(Vec::new());
        self.0.iter().for_each(|(labels, effect)| ways.add(way(labels, *effect)));
        ways
    }

    fn shared(&self, other: &Shared) -> Self {
        self.each(|labels, effect| (labels.and(other), effect))
    }

    fn both(&self) -> Self {
        self.each(|labels, _| (labels.clone(), Effect::Both))
    }

    /// Also by what stands in its way there, with which it shares these labels.
    fn and_rivals(&self, other: &Shared) -> Self {
        let mut ways = self.clone();
        self.0.iter().for_each(|(labels, effect)| ways.add((labels.and(other), effect.turned())));
        ways
    }

    fn add(&mut self, (labels, effect): (Shared, Effect)) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == labels) {
            if *known != effect {
                *known = Effect::Both;
            }
        } else if self.0.len() < MOST_WAYS {
            self.0.push((labels, effect));
        } else {
            *self = Self::all();
        }
    }
}

fn visit<'a>(expr: &'a Expr, ways: &Ways, reach: Reach, found: &mut Vec<Evidence<'a>>) {
    match &expr.node {
        Node::Number { .. } | Node::Text(_) | Node::Bytes(_) => {}
        Node::Select(selected) => {
            found.push(Evidence { selector: reach.selector(selected, None), ways: ways.clone() });
        }
        Node::Range(selected, range) => {
            found.push(Evidence { selector: reach.selector(selected, Some(range)), ways: ways.clone() });
        }
        Node::Subquery(subquery) => visit(&subquery.inner, ways, reach.within(subquery), found),
        Node::Call(call) => {
            for (number, argument) in call.arguments.iter().enumerate() {
                visit(argument, &of_argument(call, number, argument, ways), reach, found);
            }
        }
        Node::Aggregate(aggregate) => {
            aggregate.parameter.iter().for_each(|parameter| visit(parameter, &Ways::all(), reach, found));
            visit(&aggregate.inner, &of_aggregated(aggregate, ways), reach, found);
        }
        Node::Binary(binary) => {
            let (left, right) = of_sides(binary, ways);
            visit(&binary.left, &left, reach, found);
            visit(&binary.right, &right, reach, found);
        }
        Node::Negate(inner) | Node::Paren(inner) => visit(inner, ways, reach, found),
    }
}

fn of_argument(call: &Call, number: usize, argument: &Expr, ways: &Ways) -> Ways {
    let is_scalar = argument.value_type == ValueType::Scalar || call.function.result == ValueType::Scalar;
    // The label that a function sets is not that of the series.
    let set = || call.arguments.get(1).map_or("", text);
    match call.function.kind {
        Kind::Evaluation(Special::Absent | Special::AbsentOverTime) => {
            ways.each(|_, effect| (Shared::nothing(), effect.turned()))
        }
        _ if is_scalar => Ways::all(),
        Kind::Labels(_) => ways.each(|labels, effect| (labels.without(set()), effect)),
        Kind::Buckets(BucketFunction::Quantiles) => ways.each(|labels, _| (labels.without(set()), Effect::Both)),
        Kind::Buckets(_) => ways.both(),
        Kind::Evaluation(Special::Info) if number > 0 => ways.shared(&Shared::these(["instance", "job"])).both(),
        _ if call.function.name == "present_over_time" => ways.clone(),
        // What is computed from a range that lacks samples is another value.
        _ if argument.value_type == ValueType::Matrix => ways.both(),
        _ => ways.clone(),
    }
}

fn of_aggregated(aggregate: &Aggregate, ways: &Ways) -> Ways {
    let group = Shared::listed(&aggregate.grouping);
    match aggregate.aggregation {
        picking if picking.picks() => ways.and_rivals(&group),
        Aggregation::Group => ways.shared(&group),
        Aggregation::CountValues => {
            let set = aggregate.parameter.as_ref().map_or("", text);
            ways.shared(&group).each(|labels, _| (labels.without(set), Effect::Both))
        }
        _ => ways.shared(&group).both(),
    }
}

/// Of the left and the right side of an operation.
fn of_sides(binary: &Binary, ways: &Ways) -> (Ways, Ways) {
    match (binary.left.value_type, binary.right.value_type) {
        (ValueType::Vector, ValueType::Vector) => {}
        (ValueType::Vector, _) => return (ways.clone(), Ways::all()),
        (_, ValueType::Vector) => return (Ways::all(), ways.clone()),
        _ => return (Ways::all(), Ways::all()),
    }
    let on = Shared::listed(&binary.matching.on);
    match binary.operator {
        Operator::And => return (ways.clone(), ways.shared(&on)),
        Operator::Unless => return (ways.clone(), ways.each(|labels, effect| (labels.and(&on), effect.turned()))),
        Operator::Or => return (ways.and_rivals(&on), ways.clone()),
        _ => {}
    }
    let is_filled = binary.matching.fill_left.is_some() || binary.matching.fill_right.is_some();
    let ways = if is_filled { &ways.both() } else { ways };
    // Several may match one, which gives them some of its labels.
    let many = |taken: &[Box<str>]| {
        ways.each(|labels, effect| (taken.iter().fold(labels.clone(), |labels, name| labels.without(name)), effect))
    };
    match &binary.matching.group {
        Group::None => (ways.shared(&on), ways.shared(&on)),
        Group::Left(taken) => (many(taken), ways.shared(&on.with(taken))),
        Group::Right(taken) => (ways.shared(&on.with(taken)), many(taken)),
    }
}

fn text(expr: &Expr) -> &str {
    match &expr.bare().node {
        Node::Text(text) => text,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each selector with the labels that say which of its series may end an element with the labels a to d.
    fn ending(query: &str) -> Vec<String> {
        let element: LabelSet = ["a", "b", "c", "d"].map(|name| (name, "1")).into_iter().collect();
        let query = Query::parse(query).expect("a query");
        let names = |labels: LabelSet| labels.iter().map(|(name, _)| name).collect::<String>();
        let shown = |evidence: &Evidence<'_>| {
            let ways: Vec<String> = evidence.ending(&element).map(names).collect();
            format!("{} {}", evidence.selector.matchers[0].value, ways.join("/")).trim_end().to_owned()
        };
        query.evidence().iter().map(shown).collect()
    }

    fn check(cases: &[(&str, &[&str])]) {
        for (query, expected) in cases {
            assert_eq!(&ending(query), expected, "{query}");
        }
    }

    #[test]
    fn a_selector_alone_has_all_labels() {
        let one: &[&str] = &["x abcd"];
        for query in ["x", "-(x)", "x > 5", "5 < x", "x offset 1h", "rate(x[5m])", "max_over_time(x[1h:1m])", "abs(x)"]
        {
            assert_eq!(ending(query), one, "{query}");
        }
    }

    #[test]
    fn a_join_tells_of_the_other_side_by_what_both_find_each_other() {
        check(&[
            ("x and on(a) y", &["x abcd", "y a"]),
            ("x and ignoring(a) y", &["x abcd", "y bcd"]),
            ("x and y", &["x abcd", "y abcd"]),
            ("x > on(a) y", &["x a", "y a"]),
            ("x / ignoring(a) y", &["x bcd", "y bcd"]),
            ("x * on(a) group_left y", &["x abcd", "y a"]),
            ("x * on(a) group_left(b) y", &["x acd", "y ab"]),
            ("x * ignoring(a, b) group_left(b) y", &["x acd", "y bcd"]),
            ("x * on(a) group_right(b) y", &["x ab", "y acd"]),
            ("x > on(a) group_left max by (a, b) (y)", &["x abcd", "y a"]),
        ]);
    }

    #[test]
    fn what_only_keeps_an_element_away_does_not_end_it() {
        check(&[
            ("x unless on(a) y", &["x abcd", "y"]),
            ("x unless on(a) (y unless z)", &["x abcd", "y", "z a"]),
            ("x unless on(a) (count by (a) (y) < 3)", &["x abcd", "y a"]),
            ("x unless on(a) rate(y[5m]) < 3", &["x abcd", "y a"]),
            ("absent(x)", &["x"]),
            ("absent_over_time(x[5m])", &["x"]),
            ("x and on() absent(y)", &["x abcd", "y"]),
            ("x or y", &["x abcd", "y abcd"]),
            ("(x unless z) or on(a) y", &["x abcd", "z a", "y abcd"]),
        ]);
    }

    #[test]
    fn what_keeps_away_what_keeps_an_element_away_ends_it() {
        let query = Query::parse("x unless on(a) absent(y)").expect("a query");
        let element: LabelSet = [("a", "1")].into_iter().collect();
        let ways: Vec<LabelSet> = query.evidence()[1].ending(&element).collect();
        assert_eq!(ways, [LabelSet::new()]);
    }

    #[test]
    fn a_scalar_is_made_of_all_that_there_is() {
        let query = Query::parse("x > scalar(y)").expect("a query");
        let element: LabelSet = [("a", "1")].into_iter().collect();
        let ways: Vec<LabelSet> = query.evidence()[1].ending(&element).collect();
        assert_eq!(ways, [LabelSet::new()]);
        assert_eq!(query.evidence()[0].own(&element), element);
    }

    #[test]
    fn an_aggregation_leaves_what_it_groups_by() {
        check(&[
            ("sum(x)", &["x"]),
            ("sum by (a) (x)", &["x a"]),
            ("sum without (a) (rate(x[5m]))", &["x bcd"]),
            ("count_values by (a) (\"b\", x)", &["x a"]),
            ("topk(3, x)", &["x abcd"]),
            ("topk by (a) (3, x unless y)", &["x abcd", "y a"]),
            ("topk by (a) (3, rate(x[5m]))", &["x abcd/a"]),
            ("x * on(a) group_left(b) topk by (a) (1, max by (a, b, c) (y))", &["x acd", "y ab/a"]),
            ("histogram_quantile(0.9, sum by (le, a) (rate(x[5m])))", &["x a"]),
        ]);
    }

    #[test]
    fn a_label_that_a_function_sets_is_not_that_of_the_series() {
        check(&[
            ("label_replace(x, \"a\", \"$1\", \"b\", \"(.*)\")", &["x bcd"]),
            ("label_join(x, \"b\", \",\", \"c\")", &["x acd"]),
            ("x and on(a) label_replace(y, \"a\", \"$1\", \"e\", \"(.*)\")", &["x abcd", "y"]),
        ]);
    }

    /// Each level could double the ways of the one below.
    #[test]
    fn deep_queries_have_few_ways() {
        let mut text = "rate(x[5m])".to_owned();
        for level in 0..60 {
            text = format!("({text} or on(a, b, c, l{level}) absent(y{level}))");
        }
        let query = Query::parse(&text).expect("a query");
        assert_eq!(query.evidence().len(), 61);
        assert!(query.evidence().iter().all(|evidence| evidence.ways.0.len() <= MOST_WAYS));
    }
}
