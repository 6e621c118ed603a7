//! What templates can call: Go's own functions, and those that Prometheus and Alertmanager add. A set is a table; which one a
//! template gets is decided when it is parsed.

pub mod alertmanager;
mod escape;
mod go;
mod hosts;
mod humanize;
mod json;
pub mod prometheus;
mod texts;

pub(super) use escape::html as escape_html;

use super::format::Out;
use super::value::{ListType, Value};
use super::{Context, value};

/// A function, or what a value can be asked: its parameters are those behind the value.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// What it takes.
    pub parameters: &'static [Type],
    /// What it takes any number of besides.
    pub rest: Option<Type>,
    /// What it does.
    pub does: Does,
}

/// What a function does.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// Makes a value of its arguments.
    Call(fn(&mut Call<'_>, &[Value]) -> Result<Value, String>),
    /// Looks for the first argument that is true, or for the first that is not; what follows is not evaluated.
    Decide(bool),
    /// Fails: says why, of what was written as its first argument and of the value that it has.
    Fail(fn(&str, &Value) -> String),
}

/// What a function can see besides its arguments.
#[derive(Debug)]
pub struct Call<'a> {
    /// The template's surroundings.
    pub context: &'a Context<'a>,
    /// Steps that are left to the template.
    pub steps: u64,
}

impl Call<'_> {
    /// Takes steps for what costs more than its arguments and its result show.
    pub fn take(&mut self, steps: u64) -> Result<(), String> {
        let left = self.steps.checked_sub(steps);
        self.steps = left.ok_or_else(|| format!("it takes more than {} steps", self.context.limits.steps))?;
        Ok(())
    }

    /// A text that may grow up to the limit.
    pub fn out(&self) -> Out {
        Out::new(self.context.limits.bytes)
    }

    /// The text as a value, if all of it fitted.
    pub fn written(&self, out: Out) -> Result<Value, String> {
        out.finish().map(Value::from).ok_or_else(|| self.too_large())
    }

    /// What is said of a text that is too large.
    fn too_large(&self) -> String {
        format!("it makes more than {} bytes", self.context.limits.bytes)
    }
}

impl Function {
    /// A function with this many parameters.
    pub const fn new(
        name: &'static str,
        parameters: &'static [Type],
        does: fn(&mut Call<'_>, &[Value]) -> Result<Value, String>,
    ) -> Self {
        Self { name, parameters, rest: None, does: Does::Call(does) }
    }

    /// A function that takes any number of arguments besides.
    pub const fn and_more(
        name: &'static str,
        parameters: &'static [Type],
        rest: Type,
        does: fn(&mut Call<'_>, &[Value]) -> Result<Value, String>,
    ) -> Self {
        Self { name, parameters, rest: Some(rest), does: Does::Call(does) }
    }
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// Anything.
    Any,
    /// A text.
    String,
    /// A list of anything.
    List,
    /// A list of texts.
    Strings,
    /// Samples, as `query` finds them.
    Samples,
    /// A sample.
    Sample,
    /// A time.
    Time,
    /// A duration.
    Duration,
}

impl Type {
    /// Its name in Go.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::String => "string",
            Self::List => value::ANY_LIST.name,
            Self::Strings => value::STRINGS.name,
            Self::Samples => prometheus::SAMPLES.name,
            Self::Sample => prometheus::SAMPLE.name,
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
        }
    }

    /// Whether nothing is good for it.
    pub(super) fn takes_nil(self) -> bool {
        matches!(self, Self::Any | Self::List | Self::Strings | Self::Samples | Self::Sample)
    }

    pub(super) fn takes(self, value: &Value) -> bool {
        let list = |of: &ListType| matches!(value, Value::List(list) if list.of().name == of.name);
        match self {
            Self::Any => true,
            Self::String => matches!(value, Value::String(_)),
            Self::List => list(&value::ANY_LIST),
            // One type may be taken for the other where one of them has no name of its own.
            Self::Strings => list(&value::STRINGS) || list(&alertmanager::NAMED_STRINGS),
            Self::Samples => list(&prometheus::SAMPLES),
            Self::Sample => matches!(value, Value::Record(record) if record.of().name == prometheus::SAMPLE.name),
            Self::Time => matches!(value, Value::Time(_)),
            Self::Duration => matches!(value, Value::Duration(_)),
        }
    }
}

/// The functions that a template can name, beside Go's own.
#[derive(Clone, Copy, Debug)]
pub struct FunctionSet {
    own: &'static [Function],
}

/// Go's own functions alone.
#[cfg(test)]
pub static GO: FunctionSet = FunctionSet { own: &[] };

/// What Prometheus gives to annotations and labels.
pub static PROMETHEUS: FunctionSet = FunctionSet { own: prometheus::FUNCTIONS };

/// What Alertmanager gives to notifications.
pub static ALERTMANAGER: FunctionSet = FunctionSet { own: alertmanager::FUNCTIONS };

/// What a test of bugs calls; there is none in what is released.
#[cfg(test)]
const FOR_TESTS: &[Function] = &[Function::new("bug_for_a_test", &[], |_, _| panic!("a bug for a test"))];
#[cfg(not(test))]
const FOR_TESTS: &[Function] = &[];

impl FunctionSet {
    /// A function by its name.
    pub(super) fn get(&self, name: &str) -> Option<&'static Function> {
        self.own.iter().chain(go::FUNCTIONS).chain(FOR_TESTS).find(|function| function.name == name)
    }
}

/// An argument that is a text; its parameter says so.
fn text(arguments: &[Value], index: usize) -> &str {
    arguments.get(index).and_then(Value::as_str).unwrap_or_default()
}
