//! From a checked condition to one that is ready to run: paths are numbers, and what only the resource
//! decides stands apart, to be answered once a batch.

use regex::bytes::Regex;

use super::check::{Checked, CheckedTerm, Literal};
use super::parse::Test;
use super::subject::FieldId;
use super::value::ValueRef;
use crate::data::names::{Path, TooManyNames};
use crate::data::{NameId, Names, UnixNanos};

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) root: Node,
    /// Conditions that [`Node::Settled`] names, which read the resource alone.
    pub(super) settled: Vec<Node>,
    paths: Vec<NameId>,
    reads_severity: bool,
    reads_resource: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Or(Box<[Node]>),
    And(Box<[Node]>),
    Not(Box<Node>),
    Constant(bool),
    Settled(usize),
    Exists(Operand),
    Absent(Operand),
    Test(Test, Operand, Operand),
    Matches(Operand, Regex),
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A constant.
    Literal(Constant),
    /// A field of the record.
    Field(FieldId),
    /// An attribute of the record.
    Attribute(AttributePath),
    /// An event of a span, or an attribute of one: the event's name, then keys.
    Event(Box<[Box<str>]>),
    /// An attribute of the resource.
    Resource(Box<str>),
}

/// A constant, owning what its [`ValueRef`] borrows.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Text.
    Text(Box<[u8]>),
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// No value.
    Nil,
    /// An id's bytes.
    Id(Box<[u8]>),
    /// A point in time.
    Time(UnixNanos),
}

/// An attribute's path: by number where it was located, by its keys where it was not.
#[derive(Clone, Debug)]
pub struct AttributePath {
    /// Its number.
    pub id: NameId,
    /// The key, then the keys of nested objects.
    pub keys: Path,
}

impl AttributePath {
    /// Interns a path of at least one key.
    pub fn new(keys: &[Box<str>], names: &Names) -> Result<Self, TooManyNames> {
        let borrowed: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let id = names.intern(&borrowed)?;
        Ok(Self { id, keys: names.path(id) })
    }
}

impl Constant {
    /// The value.
    pub fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::Int(int) => ValueRef::Int(*int),
            Self::Double(double) => ValueRef::Double(*double),
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Nil => ValueRef::Missing,
            Self::Id(id) => ValueRef::Id(id),
            Self::Time(time) => ValueRef::Time(*time),
        }
    }
}

impl Operand {
    /// Compiles a checked value.
    pub fn new(term: &CheckedTerm, names: &Names) -> Result<Self, TooManyNames> {
        Ok(match term {
            CheckedTerm::Field(id, _) => Self::Field(*id),
            CheckedTerm::Attribute(keys) => Self::Attribute(AttributePath::new(keys, names)?),
            CheckedTerm::Event(keys) => Self::Event(keys.clone()),
            CheckedTerm::Resource(key) => Self::Resource(key.clone()),
            CheckedTerm::Literal(literal) => Self::Literal(match literal {
                Literal::Text(text) => Constant::Text(text.as_bytes().into()),
                Literal::Int(int) | Literal::Duration(int) => Constant::Int(*int),
                Literal::Double(double) => Constant::Double(*double),
                Literal::Bool(value) => Constant::Bool(*value),
                Literal::Nil => Constant::Nil,
                Literal::Id(id) => Constant::Id(id.clone()),
                Literal::Time(time) => Constant::Time(*time),
            }),
        })
    }

    /// The attribute path it reads.
    pub fn path(&self) -> Option<NameId> {
        if let Self::Attribute(path) = self { Some(path.id) } else { None }
    }

    /// Whether it reads the severity of a log record.
    pub fn reads_severity(&self) -> bool {
        matches!(self, Self::Field(super::logs::SEVERITY_NUMBER | super::logs::SEVERITY_TEXT))
    }

    /// Whether all records of a batch have the same value.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Resource(_))
    }
}

impl Program {
    /// Compiles a condition.
    pub fn new(checked: &Checked, names: &Names) -> Result<Self, TooManyNames> {
        let mut program = Self {
            root: Node::Constant(true),
            settled: Vec::new(),
            paths: Vec::new(),
            reads_severity: false,
            reads_resource: false,
        };
        program.root = program.node(checked, names)?;
        Ok(program)
    }

    /// The attribute paths that it reads.
    pub fn paths(&self) -> &[NameId] {
        &self.paths
    }

    /// Whether it reads the severity of a log record.
    pub fn reads_severity(&self) -> bool {
        self.reads_severity
    }

    /// Whether it reads the resource.
    pub fn reads_resource(&self) -> bool {
        self.reads_resource
    }

    fn node(&mut self, checked: &Checked, names: &Names) -> Result<Node, TooManyNames> {
        let node = match checked {
            Checked::Or(any) => Node::Or(any.iter().map(|tree| self.node(tree, names)).collect::<Result<_, _>>()?),
            Checked::And(all) => Node::And(all.iter().map(|tree| self.node(tree, names)).collect::<Result<_, _>>()?),
            Checked::Not(tree) => Node::Not(Box::new(self.node(tree, names)?)),
            Checked::Constant(value) => Node::Constant(*value),
            Checked::Exists(term) => Node::Exists(self.operand(term, names)?),
            Checked::Test(test, left, right) => {
                let nil = |term: &CheckedTerm| *term == CheckedTerm::Literal(Literal::Nil);
                let other = if nil(left) { right } else { left };
                match test {
                    Test::Equal if nil(left) || nil(right) => Node::Absent(self.operand(other, names)?),
                    Test::NotEqual if nil(left) || nil(right) => Node::Exists(self.operand(other, names)?),
                    _ => Node::Test(*test, self.operand(left, names)?, self.operand(right, names)?),
                }
            }
            Checked::Matches(term, regex) => Node::Matches(self.operand(term, names)?, regex.clone()),
        };
        let settled = match &node {
            Node::Exists(term) | Node::Absent(term) | Node::Matches(term, _) => term.is_settled(),
            Node::Test(_, left, right) => left.is_settled() && right.is_settled(),
            Node::Not(inner) => matches!(**inner, Node::Settled(_)),
            Node::Or(nodes) | Node::And(nodes) => {
                nodes.iter().all(|node| matches!(node, Node::Settled(_) | Node::Constant(_)))
            }
            Node::Constant(_) | Node::Settled(_) => false,
        };
        if !settled {
            return Ok(node);
        }
        self.settled.push(node);
        Ok(Node::Settled(self.settled.len() - 1))
    }

    fn operand(&mut self, term: &CheckedTerm, names: &Names) -> Result<Operand, TooManyNames> {
        let operand = Operand::new(term, names)?;
        self.paths.extend(operand.path());
        self.reads_severity |= operand.reads_severity();
        self.reads_resource |= matches!(operand, Operand::Resource(_));
        Ok(operand)
    }
}
