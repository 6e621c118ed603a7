//! Answers conditions about records.

use std::cmp::Ordering;
use std::sync::Arc;

use super::compile::{AttributePath, Node, Operand, Program};
use super::parse::Test;
use super::residue::{self, Residue};
use super::subject::FieldId;
use super::value::{Buffers, ValueRef, equal, order};
use crate::data::Resource;
use crate::data::resource::ResourceValue;

/// What an expression can ask of a record: one implementation a signal.
pub trait Record<'a> {
    /// The value of a field of the signal's table.
    fn field(&self, field: FieldId) -> ValueRef<'a>;

    /// The value of an attribute; of several with one key, the last.
    fn attribute(&self, path: &AttributePath) -> ValueRef<'a>;

    /// The event of this name, or what is at the keys behind it among its attributes. Only spans have events.
    fn event(&self, _: &[Box<str>]) -> ValueRef<'a> {
        ValueRef::Missing
    }

    /// The resource.
    fn resource(&self) -> &'a Resource;
}

/// A condition in use by one worker.
#[derive(Clone, Debug)]
pub struct Evaluator {
    program: Program,
    /// The resource that `answers` are about; held, so that no other can take its address.
    resource: Option<Arc<Resource>>,
    answers: Vec<bool>,
    buffers: Buffers,
}

/// A batch without a record: only the resource can be asked.
struct Origin<'a>(&'a Resource);

impl<'a> Record<'a> for Origin<'a> {
    fn field(&self, _: FieldId) -> ValueRef<'a> {
        ValueRef::Missing
    }

    fn attribute(&self, _: &AttributePath) -> ValueRef<'a> {
        ValueRef::Missing
    }

    fn resource(&self) -> &'a Resource {
        self.0
    }
}

impl Evaluator {
    /// An evaluator of `program`.
    pub fn new(program: Program) -> Self {
        Self { program, resource: None, answers: Vec::new(), buffers: Buffers::default() }
    }

    /// Answers what the resource alone decides; to be called before the first record of each batch. If
    /// that decides the whole condition, its answer is returned and no record need be asked.
    pub fn begin(&mut self, resource: &Arc<Resource>) -> Option<bool> {
        if !self.resource.as_ref().is_some_and(|known| Arc::ptr_eq(known, resource)) {
            self.answers.clear();
            let origin = Origin(resource);
            for node in &self.program.settled {
                let answer = node.holds(&origin, &self.answers, &mut self.buffers);
                self.answers.push(answer);
            }
            self.resource = Some(resource.clone());
        }
        match self.program.root {
            Node::Settled(index) => Some(self.answers[index]),
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the condition holds for a record of the batch that [`Evaluator::begin`] was told of.
    pub fn holds<'a>(&mut self, record: &impl Record<'a>) -> bool {
        self.program.root.holds(record, &self.answers, &mut self.buffers)
    }

    /// The same where one field of the record is not known yet: the answer, or what is left to be asked once
    /// it is.
    pub fn holds_but_for<'a>(&mut self, record: &impl Record<'a>, unknown: FieldId) -> Residue {
        residue::of(&self.program.root, record, unknown, &self.answers, &mut self.buffers)
    }
}

impl Node {
    pub(super) fn holds<'a>(&self, record: &impl Record<'a>, answers: &[bool], buffers: &mut Buffers) -> bool {
        match self {
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(record, answers, buffers)),
            Self::And(nodes) => nodes.iter().all(|node| node.holds(record, answers, buffers)),
            Self::Not(node) => !node.holds(record, answers, buffers),
            Self::Constant(value) => *value,
            Self::Settled(index) => answers[*index],
            Self::Exists(operand) => !operand.read(record).is_missing(),
            Self::Absent(operand) => operand.read(record).is_missing(),
            Self::Test(test, left, right) => compare(*test, left.read(record), right.read(record), buffers),
            Self::Matches(operand, regex) => {
                operand.read(record).text(&mut buffers.0).is_some_and(|text| regex.is_match(text))
            }
        }
    }
}

pub(super) fn compare(test: Test, left: ValueRef<'_>, right: ValueRef<'_>, buffers: &mut Buffers) -> bool {
    if left.is_missing() || right.is_missing() {
        return false;
    }
    let by_order = |buffers: &mut Buffers, holds: fn(Ordering) -> bool| order(left, right, buffers).is_some_and(holds);
    let by_text = |buffers: &mut Buffers, holds: fn(&[u8], &[u8]) -> bool| {
        let Buffers(one, other) = buffers;
        matches!((left.text(one), right.text(other)), (Some(text), Some(part)) if holds(text, part))
    };
    match test {
        Test::Equal => equal(left, right, buffers),
        Test::NotEqual => !equal(left, right, buffers),
        Test::Less => by_order(buffers, Ordering::is_lt),
        Test::LessOrEqual => by_order(buffers, Ordering::is_le),
        Test::Greater => by_order(buffers, Ordering::is_gt),
        Test::GreaterOrEqual => by_order(buffers, Ordering::is_ge),
        Test::StartsWith => by_text(buffers, |text, part| text.starts_with(part)),
        Test::EndsWith => by_text(buffers, |text, part| text.ends_with(part)),
        Test::Contains => by_text(buffers, |text, part| memchr::memmem::find(text, part).is_some()),
        // The checker gives patterns a node of their own.
        Test::Matches => false,
    }
}

impl Operand {
    /// The value in a record.
    pub fn read<'r, 'a: 'r>(&'r self, record: &impl Record<'a>) -> ValueRef<'r> {
        match self {
            Self::Literal(constant) => constant.value(),
            Self::Field(field) => record.field(*field),
            Self::Attribute(path) => record.attribute(path),
            Self::Event(keys) => record.event(keys),
            Self::Resource(key) => match record.resource().get(key) {
                None => ValueRef::Missing,
                Some(ResourceValue::Text(text)) => ValueRef::Text(text.as_bytes()),
                Some(ResourceValue::Int(int)) => ValueRef::Int(*int),
                Some(ResourceValue::Double(double)) => ValueRef::Double(*double),
                Some(ResourceValue::Bool(value)) => ValueRef::Bool(*value),
                Some(ResourceValue::Json(json)) => ValueRef::Json(json.as_bytes()),
            },
        }
    }
}

#[cfg(test)]
mod tests;
