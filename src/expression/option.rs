//! Expressions as options: parsed when the configuration is read, with their place kept for messages.

use serde::de::{Deserialize, Deserializer};

use super::check::{self, Checked, CheckedTerm};
use super::compile::{Operand, Program};
use super::parse::{self, Term, Tree};
use super::subject::FieldId;
use super::{ExpressionError, Subject};
use crate::data::names::TooManyNames;
use crate::data::{Names, Signal};
use crate::options::{Code, Problem, Span, Spanned};

/// An expression that cannot be read, or does not fit its signal.
pub const BAD_EXPRESSION: Code = Code("TW0401");

/// An option that is written in the expression language: what its text was parsed to.
#[derive(Clone, Debug)]
pub struct Parsed<T> {
    span: Span,
    tree: Result<T, ExpressionError>,
}

/// A condition.
pub type Condition = Parsed<Tree>;

/// The path of a field.
pub type PathOption = Parsed<Term>;

/// A path or a constant.
pub type ValueOption = Parsed<AnyTerm>;

/// A term that may be a constant.
#[derive(Clone, Debug)]
pub struct AnyTerm(Term);

/// `target = value`.
pub type Assignment = Parsed<(Term, Term)>;

/// What can be parsed from an option's text.
pub trait Grammar: Sized {
    /// What the reference says about such an option.
    const DESCRIPTION: &'static str;
    /// Parses the text.
    fn parse(text: &str) -> Result<Self, ExpressionError>;
}

impl Grammar for Tree {
    const DESCRIPTION: &'static str = "A condition: `attributes[\"level\"] == \"debug\" and severity_number < WARN`.";

    fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::condition(text)
    }
}

impl Grammar for Term {
    const DESCRIPTION: &'static str = "A field: `body`, `attributes[\"user\"][\"email\"]`.";

    fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::path(text)
    }
}

impl Grammar for AnyTerm {
    const DESCRIPTION: &'static str =
        "A value: `attributes[\"status\"]`, `resource[\"k8s.pod.name\"]`, `\"text\"`, `1`.";

    fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::value(text).map(Self)
    }
}

impl Grammar for (Term, Term) {
    const DESCRIPTION: &'static str = "An assignment: `attributes[\"team\"] = resource[\"k8s.pod.label.team\"]`.";

    fn parse(text: &str) -> Result<Self, ExpressionError> {
        parse::assignment(text)
    }
}

/// Why an expression could not be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The configuration's problems were not asked for.
    #[error("{0}")]
    Expression(#[from] ExpressionError),
    /// It stands where its signal has none.
    #[error("a step is not for this signal")]
    Signal,
    /// The process knows too many paths.
    #[error(transparent)]
    Names(#[from] TooManyNames),
}

impl<T: Grammar> Parsed<T> {
    /// Parses a text that stands in no file.
    pub fn of(text: &str) -> Self {
        Self { span: Span::UNKNOWN, tree: T::parse(text) }
    }

    /// Parses a text that stands at a place.
    pub fn at(text: &str, span: Span) -> Self {
        Self { span, tree: T::parse(text) }
    }

    /// Where it was written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// What is wrong with it whatever it is about: that it cannot be read.
    pub fn unreadable(&self) -> Option<Problem> {
        self.tree.as_ref().err().map(|error| self.problem(error.clone()))
    }

    fn tree(&self) -> Result<&T, ExpressionError> {
        self.tree.as_ref().map_err(Clone::clone)
    }

    /// An error of this expression, with its place in the configuration.
    pub fn problem(&self, error: ExpressionError) -> Problem {
        let problem = Problem::new(BAD_EXPRESSION, self.span, error.message).within(error.from, error.to);
        match error.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl Condition {
    /// The condition, typed.
    pub fn checked(&self, subject: &Subject) -> Result<Checked, ExpressionError> {
        check::condition(self.tree()?.clone(), subject)
    }

    /// What is wrong with it.
    pub fn problems(&self, subject: &Subject) -> Option<Problem> {
        self.checked(subject).err().map(|error| self.problem(error))
    }

    /// Whether it reads this field, of any signal that it fits.
    pub fn reads(&self, subject: &Subject, field: FieldId) -> bool {
        self.checked(subject).is_ok_and(|checked| checked.reads(field))
    }

    /// Whether it asks for nothing but the resource.
    pub fn is_settled(&self, subject: &Subject) -> bool {
        self.checked(subject).is_ok_and(|checked| checked.is_settled())
    }

    /// Compiles it.
    pub fn compile(&self, subject: &Subject, names: &Names) -> Result<Program, CompileError> {
        Ok(Program::new(&self.checked(subject)?, names)?)
    }
}

impl PathOption {
    /// The field, typed; never a constant.
    pub fn checked(&self, subject: &Subject) -> Result<CheckedTerm, ExpressionError> {
        check::path(self.tree()?, subject)
    }

    /// What is wrong with it.
    pub fn problems(&self, subject: &Subject) -> Option<Problem> {
        self.checked(subject).err().map(|error| self.problem(error))
    }

    /// Compiles it.
    pub fn compile(&self, subject: &Subject, names: &Names) -> Result<Operand, CompileError> {
        Ok(Operand::new(&self.checked(subject)?, names)?)
    }

    /// The attribute, the body or the label that it names: what steps move, delete and redact; of spans also an
    /// attribute of the resource. Other fields are an
    /// error that points at them.
    pub fn editable(&self, subject: &Subject) -> Result<CheckedTerm, ExpressionError> {
        match self.checked(subject)? {
            CheckedTerm::Field(field, _) if field != super::logs::BODY => {}
            CheckedTerm::Resource(_) if subject.signal != Signal::Traces => {}
            CheckedTerm::Event(_) | CheckedTerm::Literal(_) => {}
            editable => return Ok(editable),
        }
        let (what, write) = match subject.signal {
            Signal::Logs => ("an attribute or the body", " or `body`"),
            Signal::Metrics => ("a label", ""),
            Signal::Traces => ("an attribute of the span or of its resource", " or `resource[\"key\"]`"),
        };
        let error = ExpressionError::new(self.tree()?.place, format!("only {what} can be named here"));
        Err(error.help(format!("write `{}[\"key\"]`{write}", subject.attributes)))
    }
}

impl ValueOption {
    /// The value, typed.
    pub fn checked(&self, subject: &Subject) -> Result<CheckedTerm, ExpressionError> {
        check::path(&self.tree()?.0, subject)
    }

    /// What is wrong with it.
    pub fn problems(&self, subject: &Subject) -> Option<Problem> {
        self.checked(subject).err().map(|error| self.problem(error))
    }

    /// Compiles it.
    pub fn compile(&self, subject: &Subject, names: &Names) -> Result<Operand, CompileError> {
        Ok(Operand::new(&self.checked(subject)?, names)?)
    }
}

impl Assignment {
    /// Target and value, typed.
    pub fn checked(&self, subject: &Subject) -> Result<(CheckedTerm, CheckedTerm), ExpressionError> {
        let (target, value) = self.tree()?;
        check::assignment(target, value, subject)
    }

    /// What is wrong with it.
    pub fn problems(&self, subject: &Subject) -> Option<Problem> {
        self.checked(subject).err().map(|error| self.problem(error))
    }

    /// Compiles target and value.
    pub fn compile(&self, subject: &Subject, names: &Names) -> Result<(Operand, Operand), CompileError> {
        let (target, value) = self.checked(subject)?;
        Ok((Operand::new(&target, names)?, Operand::new(&value, names)?))
    }
}

impl<'de, T: Grammar> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self::at(&text.value, text.span))
    }
}

impl<T: Grammar> schemars::JsonSchema for Parsed<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": T::DESCRIPTION })
    }
}
