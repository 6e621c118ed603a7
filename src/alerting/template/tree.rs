//! A template, parsed. Every part knows where it was written and writes itself as Go does, because errors show it.

use std::fmt;
use std::sync::Arc;

use super::functions::Function;

/// A text that templates were parsed from.
#[derive(Debug)]
pub(super) struct Source {
    pub name: Box<str>,
    pub text: Box<str>,
}

impl Source {
    /// `name:line:column` of a byte, as Go counts: lines from 1, columns from 0 in the first line and from 0 in others.
    pub fn locate(&self, at: usize) -> String {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = before.len() - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        format!("{}:{line}:{column}", self.name)
    }
}

/// A template by its name.
#[derive(Debug)]
pub(super) struct Tree {
    pub name: Box<str>,
    pub source: Arc<Source>,
    pub body: List,
}

pub(super) type List = Vec<Node>;

#[derive(Debug)]
pub(super) enum Node {
    Text(Box<str>),
    Action(Action),
    If(Choice),
    With(Choice),
    Range(Loop),
    Template(Invocation),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Action {
    pub at: usize,
    pub pipe: Pipe,
}

/// `if` or `with`, and what follows as `else if` or `else with`.
#[derive(Debug)]
pub(super) struct Choice {
    pub branches: Vec<(Pipe, List)>,
    pub otherwise: Option<List>,
}

#[derive(Debug)]
pub(super) struct Loop {
    pub pipe: Pipe,
    pub body: List,
    pub otherwise: Option<List>,
}

#[derive(Debug)]
pub(super) struct Invocation {
    pub at: usize,
    pub name: Box<str>,
    pub pipe: Option<Pipe>,
}

#[derive(Debug)]
pub(super) struct Pipe {
    pub at: usize,
    /// Variables that are declared, or set.
    pub variables: Vec<Variable>,
    /// Whether they are set.
    pub assign: bool,
    /// At least one.
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub at: usize,
    /// At least one.
    pub operands: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub at: usize,
    pub term: Term,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    /// A text, and how it was written.
    Text {
        value: Arc<str>,
        written: Box<str>,
    },
    Field(Vec<Box<str>>),
    Variable {
        variable: Variable,
        fields: Vec<Box<str>>,
    },
    Function(&'static Function),
    Chain {
        of: Box<Operand>,
        fields: Vec<Box<str>>,
    },
    Pipe(Pipe),
}

/// A variable of a text: variables of one name have one number.
#[derive(Debug)]
pub(super) struct Variable {
    pub number: u32,
    pub name: Box<str>,
}

impl Variable {
    /// The number of `$`, which holds what a template is given.
    pub const DATA: u32 = 0;
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A constant: its type is that of the parameter it is given to.
#[derive(Debug)]
pub(super) struct Number {
    pub written: Box<str>,
    pub int: Option<i64>,
    pub float: Option<f64>,
    /// Whether it is a float where its type is open.
    pub is_float: bool,
}

/// Something that an error can point at.
pub(super) trait Spot: fmt::Display {
    /// Where it was written.
    fn at(&self) -> usize;
}

macro_rules! spots {
    ($($part:ty),*) => { $(impl Spot for $part { fn at(&self) -> usize { self.at } })* };
}
spots!(Action, Invocation, Pipe, Command, Operand);

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{{}}}}}", self.pipe)
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", super::format::quote(&self.name, false))?;
        match &self.pipe {
            Some(pipe) => write!(f, " {pipe}}}}}"),
            None => f.write_str("}}"),
        }
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            joined(f, ", ", &self.variables)?;
            f.write_str(if self.assign { " = " } else { " := " })?;
        }
        joined(f, " | ", &self.commands)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " " })?;
            match &operand.term {
                Term::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{operand}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (written, fields): (&dyn fmt::Display, &[Box<str>]) = match &self.term {
            Term::Dot => (&".", &[]),
            Term::Nil => (&"nil", &[]),
            Term::Bool(truth) => (truth, &[]),
            Term::Number(number) => (&number.written, &[]),
            Term::Text { written, .. } => (written, &[]),
            Term::Function(function) => (&function.name, &[]),
            Term::Pipe(pipe) => (pipe, &[]),
            Term::Field(fields) => (&"", fields),
            Term::Variable { variable, fields } => (variable, fields),
            Term::Chain { of, fields } => {
                match &of.term {
                    Term::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{of}")?,
                }
                (&"", fields)
            }
        };
        write!(f, "{written}")?;
        fields.iter().try_for_each(|field| write!(f, ".{field}"))
    }
}

fn joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, separator: &str, parts: &[T]) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        write!(f, "{}{part}", if index == 0 { "" } else { separator })?;
    }
    Ok(())
}
