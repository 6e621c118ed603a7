//! What is left of a condition when all but one field of a record is known: labels decide it once a series,
//! and only what they leave open is asked of each value.

use super::compile::{Constant, Node, Operand};
use super::eval::{Record, compare};
use super::parse::Test;
use super::subject::FieldId;
use super::value::{Buffers, ValueRef};

/// A condition about a record of which one field is unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Residue {
    /// The unknown field makes no difference.
    Decided(bool),
    /// It does.
    Open(Open),
}

/// What is left to be asked of the unknown field.
#[derive(Clone, Debug, PartialEq)]
pub enum Open {
    /// Any of them.
    Or(Vec<Open>),
    /// All of them.
    And(Vec<Open>),
    /// The opposite.
    Not(Box<Open>),
    /// Whether there is a value.
    Exists,
    /// The field compared with a constant, or with itself.
    Test(Test, Side, Side),
}

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// The unknown field.
    Unknown,
    /// What the record's other fields gave.
    Known(Constant),
}

impl Residue {
    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        match self {
            Self::Decided(known) => Self::Decided(!known),
            Self::Open(Open::Not(inner)) => Self::Open(*inner),
            Self::Open(open) => Self::Open(Open::Not(Box::new(open))),
        }
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Decided(false), _) | (_, Self::Decided(false)) => Self::Decided(false),
            (Self::Decided(true), rest) | (rest, Self::Decided(true)) => rest,
            (Self::Open(one), Self::Open(other)) => Self::Open(Open::And(vec![one, other])),
        }
    }
}

impl Open {
    /// The answer, now that the field is known. Allocates nothing for numbers.
    pub fn holds(&self, value: ValueRef<'_>) -> bool {
        match self {
            Self::Or(any) => any.iter().any(|open| open.holds(value)),
            Self::And(all) => all.iter().all(|open| open.holds(value)),
            Self::Not(open) => !open.holds(value),
            Self::Exists => !value.is_missing(),
            Self::Test(test, left, right) => {
                compare(*test, left.value(value), right.value(value), &mut Buffers::default())
            }
        }
    }
}

impl Side {
    fn value<'a>(&'a self, unknown: ValueRef<'a>) -> ValueRef<'a> {
        match self {
            Self::Unknown => unknown,
            Self::Known(constant) => constant.value(),
        }
    }
}

pub(super) fn of<'a>(
    node: &Node,
    record: &impl Record<'a>,
    unknown: FieldId,
    answers: &[bool],
    buffers: &mut Buffers,
) -> Residue {
    let is = |operand: &Operand| matches!(operand, Operand::Field(field) if *field == unknown);
    match node {
        Node::Or(nodes) => join(nodes, true, |node| of(node, record, unknown, answers, buffers)),
        Node::And(nodes) => join(nodes, false, |node| of(node, record, unknown, answers, buffers)),
        Node::Not(node) => of(node, record, unknown, answers, buffers).negated(),
        Node::Exists(operand) if is(operand) => Residue::Open(Open::Exists),
        Node::Absent(operand) if is(operand) => Residue::Open(Open::Exists).negated(),
        Node::Test(test, left, right) if is(left) || is(right) => {
            let side = |operand: &Operand| match is(operand) {
                true => Side::Unknown,
                false => Side::Known(constant(operand.read(record))),
            };
            Residue::Open(Open::Test(*test, side(left), side(right)))
        }
        // A pattern is searched in texts; the field that is asked for here is a number, which has none.
        Node::Matches(operand, _) if is(operand) => Residue::Decided(false),
        known => Residue::Decided(known.holds(record, answers, buffers)),
    }
}

/// Joins answers of which one that is `decisive` is the answer of all.
fn join(nodes: &[Node], decisive: bool, mut ask: impl FnMut(&Node) -> Residue) -> Residue {
    let mut open = Vec::new();
    for node in nodes {
        match ask(node) {
            Residue::Decided(known) if known == decisive => return Residue::Decided(decisive),
            Residue::Decided(_) => {}
            Residue::Open(left) => open.push(left),
        }
    }
    match open.len() {
        0 => Residue::Decided(!decisive),
        1 => Residue::Open(open.remove(0)),
        _ if decisive => Residue::Open(Open::Or(open)),
        _ => Residue::Open(Open::And(open)),
    }
}

fn constant(value: ValueRef<'_>) -> Constant {
    match value {
        ValueRef::Missing => Constant::Nil,
        ValueRef::Text(text)
        | ValueRef::Escaped(text)
        | ValueRef::Number(text)
        | ValueRef::Json(text)
        | ValueRef::Encoded(text) => Constant::Text(text.into()),
        ValueRef::Int(int) => Constant::Int(int),
        ValueRef::Double(double) => Constant::Double(double),
        ValueRef::Bool(value) => Constant::Bool(value),
        ValueRef::Id(id) => Constant::Id(id.into()),
        ValueRef::Time(time) => Constant::Time(time),
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{SUBJECT, SeriesView, VALUE};
    use super::super::{Condition, Evaluator};
    use super::*;
    use crate::data::{LabelSet, Names, Resource};

    #[test]
    fn labels_decide_what_they_can() {
        let labels: LabelSet = [("__name__", "up"), ("job", "node")].into_iter().collect();
        let resource = std::sync::Arc::new(Resource::default());
        let residue = |text: &str| {
            let program = Condition::of(text).compile(&SUBJECT, &Names::default()).expect(text);
            let mut evaluator = Evaluator::new(program);
            match evaluator.begin(&resource) {
                Some(known) => Residue::Decided(known),
                None => evaluator.holds_but_for(&SeriesView { labels: &labels, resource: &resource }, VALUE),
            }
        };
        for (text, decided) in [
            ("name == \"up\"", true),
            ("name == \"down\" and value > 1", false),
            ("labels[\"job\"] == \"node\" or value > 1", true),
            ("not (labels[\"x\"] != nil and value > 1)", true),
        ] {
            assert_eq!(residue(text), Residue::Decided(decided), "{text}");
        }
        for (text, holds, fails) in [
            ("name == \"up\" and value > 1", Some(2.0), Some(1.0)),
            ("not (value > 1 and labels[\"job\"] == \"node\")", Some(1.0), Some(2.0)),
            ("value == nil or value < 0", None, Some(0.0)),
            ("value != 3", Some(f64::NAN), None),
        ] {
            let Residue::Open(open) = residue(text) else { panic!("{text} is open") };
            let value = |value: Option<f64>| value.map_or(ValueRef::Missing, ValueRef::Double);
            assert!(open.holds(value(holds)) && !open.holds(value(fails)), "{text}: {open:?}");
        }
    }
}
