//! Commands: fields, methods and functions, and which values are good for which parameters.

use super::exec::{Exec, Walked};
use super::functions::{Does, Function, Type};
use super::tree::{Command, Number, Operand, Spot, Term};
use super::value::Value;

impl<'t> Exec<'t> {
    /// The value of a command; `last` is that of the command before it, which is its last argument.
    pub(super) fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Walked<Value> {
        let [first, arguments @ ..] = &*command.operands else { return Ok(Value::Nil) };
        match &first.term {
            Term::Function(function) => {
                self.at(first);
                self.invoke(dot, function, None, command, arguments, last)
            }
            Term::Field(..) | Term::Chain { .. } | Term::Variable { .. } => self.path(dot, first, arguments, last),
            Term::Pipe(pipe) => {
                self.no_arguments(first, arguments, last.as_ref())?;
                self.nested(|exec| exec.pipe(dot, pipe))
            }
            constant => {
                self.at(first);
                self.no_arguments(first, arguments, last.as_ref())?;
                match constant {
                    Term::Nil => self.fail("nil is not a command"),
                    _ => self.constant(dot, first),
                }
            }
        }
    }

    fn no_arguments(&self, first: &Operand, arguments: &[Operand], last: Option<&Value>) -> Walked<()> {
        if arguments.is_empty() && last.is_none() {
            return Ok(());
        }
        let shown = match &first.term {
            Term::Pipe(pipe) => pipe.to_string(),
            _ => first.to_string(),
        };
        self.fail(&format!("can't give argument to non-function {shown}"))
    }

    /// What stands for itself, where its type is open.
    fn constant(&mut self, dot: &Value, operand: &'t Operand) -> Walked<Value> {
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Bool(truth) => Ok(Value::Bool(*truth)),
            Term::Text { value, .. } => Ok(Value::String(value.clone())),
            Term::Number(number) => match number {
                Number { is_float: true, float: Some(float), .. } => Ok(Value::Float(*float)),
                Number { int: Some(int), .. } => Ok(Value::Int(*int)),
                Number { written, .. } => self.fail(&format!("{written} overflows int")),
            },
            _ => self.fail(&format!("can't evaluate command {:?}", operand.to_string())),
        }
    }

    /// `.a.b`, `$x.a.b`, `(…).a.b`: the last field may take arguments.
    fn path(
        &mut self,
        dot: &Value,
        operand: &'t Operand,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Walked<Value> {
        self.at(operand);
        let (mut value, fields) = match &operand.term {
            Term::Field(fields) => (dot.clone(), fields),
            Term::Variable { variable, fields } => {
                let value = self.variable(variable)?;
                if fields.is_empty() {
                    self.no_arguments(operand, arguments, last.as_ref())?;
                    return Ok(value);
                }
                (value, fields)
            }
            Term::Chain { of, fields } => {
                if let Term::Nil = of.term {
                    return self.fail(&format!("indirection through explicit nil in {operand}"));
                }
                (self.argument(dot, Type::Any, of)?, fields)
            }
            _ => return self.fail(&format!("can't evaluate command {:?}", operand.to_string())),
        };
        let Some((end, inner)) = fields.split_last() else { return Ok(value) };
        let mut open = false;
        for field in inner {
            let next = self.field(dot, field, operand, &[], None, (&value, open))?;
            open = is_of_anything(&value);
            value = next;
        }
        self.field(dot, end, operand, arguments, last, (&value, open))
    }

    /// A field of a value, which Go sees as a value of any type if it is `open`: it was taken out of a map of anything.
    fn field(
        &mut self,
        dot: &Value,
        name: &str,
        operand: &'t Operand,
        arguments: &'t [Operand],
        last: Option<Value>,
        (receiver, open): (&Value, bool),
    ) -> Walked<Value> {
        let type_name = if open { Type::Any.name() } else { receiver.type_name() };
        match receiver {
            Value::Nil if open => return self.fail(&format!("nil pointer evaluating {type_name}.{name}")),
            Value::Nil => return Ok(Value::Nil),
            _ => {}
        }
        if let Some(method) = receiver.methods().iter().find(|method| method.name == name) {
            return self.invoke(dot, method, Some(receiver.clone()), operand, arguments, last);
        }
        let has_arguments = !arguments.is_empty() || last.is_some();
        match receiver {
            Value::Record(record) => {
                if let Some(value) = record.get(name) {
                    if has_arguments {
                        return self.fail(&format!("{name} has arguments but cannot be invoked as function"));
                    }
                    return Ok(value.clone());
                }
            }
            Value::Map(map) => {
                if has_arguments {
                    return self.fail(&format!("{name} is not a method but has arguments"));
                }
                return Ok(map.get(name));
            }
            _ => {}
        }
        self.fail(&format!("can't evaluate field {name} in type {type_name}"))
    }

    /// Calls a function, or a method of `receiver`. Errors of its own are at `whole`.
    fn invoke(
        &mut self,
        dot: &Value,
        function: &'static Function,
        receiver: Option<Value>,
        whole: &'t dyn Spot,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Walked<Value> {
        let Function { name, parameters, rest, .. } = *function;
        let given = arguments.len() + usize::from(last.is_some());
        match rest {
            Some(_) if given < parameters.len() => {
                let got = arguments.len();
                let message = format!("wrong number of args for {name}: want at least {} got {got}", parameters.len());
                return self.fail(&message);
            }
            None if given != parameters.len() => {
                return self.fail(&format!("wrong number of args for {name}: want {} got {given}", parameters.len()));
            }
            _ => {}
        }
        let does = match function.does {
            Does::Decide(decides) => return self.decide(dot, decides, arguments, last),
            Does::Call(does) => does,
            Does::Fail(does) => {
                let callee = arguments.first().map(ToString::to_string).unwrap_or_default();
                let value = match (arguments.first(), last) {
                    (Some(first), _) => self.argument(dot, Type::Any, first)?,
                    (None, last) => last.unwrap_or(Value::Nil),
                };
                self.at(whole);
                return self.fail(&format!("error calling {name}: {}", does(&callee, &value)));
            }
        };
        let of = |index: usize| parameters.get(index).copied().or(rest).unwrap_or(Type::Any);
        let mut values = Vec::with_capacity(given + usize::from(receiver.is_some()));
        values.extend(receiver);
        for (index, argument) in arguments.iter().enumerate() {
            values.push(self.argument(dot, of(index), argument)?);
        }
        if let Some(last) = last {
            values.push(self.fitting(last, of(arguments.len()))?);
        }
        let read: usize = values.iter().map(weight).sum();
        self.take(read as u64 / 64)?;
        let mut call = self.call();
        let done = does(&mut call, &values).and_then(Value::bounded);
        self.steps = call.steps;
        match done {
            Ok(value) => {
                let written = weight(&value);
                if written > self.context.limits.bytes {
                    return self.fail(&super::exec::too_large(self.context));
                }
                self.take(written as u64 / 64)?;
                Ok(value)
            }
            Err(why) => {
                self.at(whole);
                self.fail(&format!("error calling {name}: {why}"))
            }
        }
    }

    /// `and` and `or`: the first argument that is `decides`, else the last one. What follows it is not evaluated.
    fn decide(&mut self, dot: &Value, decides: bool, arguments: &'t [Operand], last: Option<Value>) -> Walked<Value> {
        let mut value = Value::Nil;
        for argument in arguments {
            value = self.argument(dot, Type::Any, argument)?;
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// The value of an argument, good for a parameter.
    fn argument(&mut self, dot: &Value, of: Type, operand: &'t Operand) -> Walked<Value> {
        self.step()?;
        self.at(operand);
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Nil if of.takes_nil() => return Ok(Value::Nil),
            Term::Nil => return self.fail(&format!("cannot assign nil to {}", of.name())),
            Term::Field(_) | Term::Variable { .. } | Term::Chain { .. } => self.path(dot, operand, &[], None)?,
            Term::Pipe(pipe) => {
                // A pipe in parentheses is written without them where an error is at it.
                self.nested(|exec| exec.pipe(dot, pipe))?
            }
            Term::Function(function) => self.invoke(dot, function, None, operand, &[], None)?,
            Term::Bool(_) | Term::Number(_) | Term::Text { .. } => return self.literal(dot, of, operand),
        };
        self.fitting(value, of)
    }

    /// A constant takes the type of the parameter that it is given to.
    fn literal(&mut self, dot: &Value, of: Type, operand: &'t Operand) -> Walked<Value> {
        match (of, &operand.term) {
            (Type::Any, _) => self.constant(dot, operand),
            (Type::String, Term::Text { value, .. }) => Ok(Value::String(value.clone())),
            (Type::Duration, Term::Number(Number { int: Some(int), .. })) => Ok(Value::Duration(*int)),
            (Type::String, _) => self.fail(&format!("expected string; found {operand}")),
            (Type::Duration, _) => self.fail(&format!("expected integer; found {operand}")),
            _ => self.fail(&format!("can't handle {operand} for arg of type {}", of.name())),
        }
    }

    fn fitting(&self, value: Value, of: Type) -> Walked<Value> {
        match &value {
            Value::Nil if of.takes_nil() => Ok(value),
            Value::Nil => self.fail(&format!("invalid value; expected {}", of.name())),
            _ if of.takes(&value) => Ok(value),
            _ => self.fail(&format!("wrong type for value; expected {}; got {}", of.name(), value.type_name())),
        }
    }
}

/// Whether what is taken out of it may be of any type.
fn is_of_anything(value: &Value) -> bool {
    matches!(value, Value::Map(map) if !map.of().of_texts)
}

/// What it costs to read or write a value.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) | Value::Html(text) | Value::Histogram(text) => text.len(),
        Value::List(list) => 64 + 16 * list.items().len(),
        Value::Map(map) => 64 + 16 * map.entries().len(),
        _ => 64,
    }
}
