//! Walks a template and writes what comes of it. What is around a node (loops, templates in templates) is counted, and so is
//! every step, because a template may be written by whoever wishes the agent no good.

use super::format::{Out, quote, show};
use super::functions::{Call, escape_html};
use super::tree::{Action, Choice, Invocation, Loop, Node, Pipe, Spot, Tree, Variable};
use super::value::Value;
use super::{Context, Definitions, TemplateError};

/// Deepest nesting of whatever is executed: control structures, templates in templates, parentheses.
const MAX_NESTING: usize = 250;

/// Executes a template.
pub(super) fn execute(
    root: &Tree,
    definitions: &Definitions,
    data: &Value,
    context: &Context<'_>,
) -> Result<String, TemplateError> {
    let mut exec = Exec {
        tree: root,
        definitions,
        context,
        out: Out::new(context.limits.bytes),
        variables: vec![(Variable::DATA, data.clone())],
        spot: None,
        nesting: 0,
        steps: context.limits.steps,
    };
    match exec.list(data, &root.body) {
        Ok(()) => {}
        Err(Stop::Failed(error)) => return Err(error),
        // The parser sees to it that these stand in loops.
        Err(Stop::Break | Stop::Continue) => {}
    }
    exec.out.finish().ok_or_else(|| TemplateError(format!("template: {}: {}", root.name, too_large(context))))
}

pub(super) fn too_large(context: &Context<'_>) -> String {
    format!("it writes more than {} bytes", context.limits.bytes)
}

/// Why a walk ends early.
pub(super) enum Stop {
    Break,
    Continue,
    Failed(TemplateError),
}

pub(super) type Walked<T> = Result<T, Stop>;

pub(super) struct Exec<'t> {
    /// The template that is executed.
    tree: &'t Tree,
    definitions: &'t Definitions,
    pub(super) context: &'t Context<'t>,
    out: Out,
    /// Variables by their numbers, the last one declared last.
    variables: Vec<(u32, Value)>,
    /// Where an error is.
    spot: Option<&'t dyn Spot>,
    nesting: usize,
    pub(super) steps: u64,
}

impl<'t> Exec<'t> {
    /// Errors are at this spot from here on.
    pub(super) fn at(&mut self, spot: &'t dyn Spot) {
        self.spot = Some(spot);
    }

    pub(super) fn fail<T>(&self, message: &str) -> Walked<T> {
        let name = quote(&self.tree.name, false);
        Err(Stop::Failed(TemplateError(match self.spot {
            None => format!("template: {}: {message}", self.tree.name),
            Some(spot) => {
                let location = self.tree.source.locate(spot.at());
                format!("template: {location}: executing {name} at <{spot}>: {message}")
            }
        })))
    }

    /// Takes a step.
    pub(super) fn step(&mut self) -> Walked<()> {
        self.take(1)
    }

    /// Takes steps.
    pub(super) fn take(&mut self, steps: u64) -> Walked<()> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => self.fail(&format!("it takes more than {} steps", self.context.limits.steps)),
        }
    }

    /// Does something inside something else.
    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Walked<T>) -> Walked<T> {
        if self.nesting >= MAX_NESTING {
            return self.fail(&format!("exceeded maximum template depth ({MAX_NESTING})"));
        }
        self.nesting += 1;
        let done = inner(self);
        self.nesting -= 1;
        done
    }

    fn list(&mut self, dot: &Value, list: &'t [Node]) -> Walked<()> {
        list.iter().try_for_each(|node| self.node(dot, node))
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Walked<()> {
        self.step()?;
        match node {
            Node::Text(text) => {
                self.out.push_str(text);
                self.written()
            }
            Node::Action(action) => self.action(dot, action),
            Node::If(choice) => self.choice(dot, choice, false),
            Node::With(choice) => self.choice(dot, choice, true),
            Node::Range(range) => self.range(dot, range),
            Node::Template(invocation) => self.template(dot, invocation),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    fn written(&self) -> Walked<()> {
        if self.out.is_full() { self.fail(&too_large(self.context)) } else { Ok(()) }
    }

    fn action(&mut self, dot: &Value, action: &'t Action) -> Walked<()> {
        self.at(action);
        // What it declares lives until the end of what is around it, and nothing is written then.
        let value = self.pipe(dot, &action.pipe)?;
        if !action.pipe.variables.is_empty() {
            return Ok(());
        }
        self.at(action);
        let before = self.out.len();
        match (&value, self.context.html) {
            (_, false) | (Value::Html(_), true) => show(&value, &mut self.out),
            (_, true) => {
                let mut plain = Out::new(self.context.limits.bytes);
                show(&value, &mut plain);
                match plain.finish() {
                    Some(plain) => self.out.push_str(&escape_html(&plain, true)),
                    None => return self.fail(&too_large(self.context)),
                }
            }
        }
        self.written()?;
        self.take((self.out.len() - before) as u64 / 64)
    }

    fn choice(&mut self, dot: &Value, choice: &'t Choice, with: bool) -> Walked<()> {
        let variables = self.variables.len();
        let walked = self.branches(dot, choice, with);
        self.variables.truncate(variables);
        walked
    }

    fn branches(&mut self, dot: &Value, choice: &'t Choice, with: bool) -> Walked<()> {
        for (pipe, list) in &choice.branches {
            let value = self.pipe(dot, pipe)?;
            if value.is_true() {
                let dot = if with { &value } else { dot };
                return self.nested(|exec| exec.list(dot, list));
            }
        }
        match &choice.otherwise {
            Some(list) => self.nested(|exec| exec.list(dot, list)),
            None => Ok(()),
        }
    }

    fn range(&mut self, dot: &Value, range: &'t Loop) -> Walked<()> {
        let variables = self.variables.len();
        let walked = match self.turns(dot, range) {
            Err(Stop::Break) => Ok(()),
            walked => walked,
        };
        self.variables.truncate(variables);
        walked
    }

    fn turns(&mut self, dot: &Value, range: &'t Loop) -> Walked<()> {
        let over = self.pipe(dot, &range.pipe)?;
        let mut any = false;
        match &over {
            Value::Int(end) => return self.count(dot, range, *end, Value::Int),
            Value::Byte(end) => return self.count(dot, range, i64::from(*end), Value::Int),
            Value::Duration(end) => return self.count(dot, range, *end, Value::Duration),
            Value::List(list) => {
                for (index, item) in list.items().iter().enumerate() {
                    any = true;
                    self.turn(range, Value::Int(index as i64), item.clone())?;
                }
            }
            Value::Map(map) => {
                for (name, item) in map.entries() {
                    any = true;
                    self.turn(range, Value::String(name.clone()), item.clone())?;
                }
            }
            Value::Nil => {}
            other => {
                let mut shown = Out::new(256);
                show(other, &mut shown);
                let shown = shown.finish().unwrap_or_else(|| other.type_name().to_owned());
                return self.fail(&format!("range can't iterate over {shown}"));
            }
        }
        self.otherwise(dot, range, any)
    }

    fn count(&mut self, dot: &Value, range: &'t Loop, end: i64, make: fn(i64) -> Value) -> Walked<()> {
        if range.pipe.variables.len() > 1 {
            return self.fail(&format!("can't use {end} to iterate over more than one variable"));
        }
        for number in 0..end {
            self.turn(range, Value::Nil, make(number))?;
        }
        self.otherwise(dot, range, end > 0)
    }

    fn otherwise(&mut self, dot: &Value, range: &'t Loop, any: bool) -> Walked<()> {
        match &range.otherwise {
            Some(list) if !any => self.nested(|exec| exec.list(dot, list)),
            _ => Ok(()),
        }
    }

    fn turn(&mut self, range: &'t Loop, index: Value, item: Value) -> Walked<()> {
        self.step()?;
        let marked = self.variables.len();
        match (&*range.pipe.variables, range.pipe.assign) {
            ([], _) => {}
            ([element], true) => self.set(element, item.clone())?,
            ([first, second, ..], true) => {
                self.set(first, index)?;
                self.set(second, item.clone())?;
            }
            // The pipe declared them, the last one on top.
            ([_], false) => self.variables[marked - 1].1 = item.clone(),
            ([_, ..], false) => {
                self.variables[marked - 1].1 = item.clone();
                self.variables[marked - 2].1 = index;
            }
        }
        let walked = self.nested(|exec| exec.list(&item, &range.body));
        self.variables.truncate(marked);
        match walked {
            Err(Stop::Continue) => Ok(()),
            walked => walked,
        }
    }

    fn template(&mut self, dot: &Value, invocation: &'t Invocation) -> Walked<()> {
        self.at(invocation);
        self.take(invocation.name.len() as u64 / 64)?;
        let Some(tree) = self.definitions.get(&invocation.name) else {
            return self.fail(&format!("template {} not defined", quote(&invocation.name, false)));
        };
        let dot = match &invocation.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nil,
        };
        // What is called sees nothing but what it is given.
        let outer = std::mem::replace(&mut self.variables, vec![(Variable::DATA, dot.clone())]);
        let caller = std::mem::replace(&mut self.tree, tree);
        let walked = self.nested(|exec| exec.list(&dot, &tree.body));
        self.variables = outer;
        self.tree = caller;
        walked
    }

    /// The value of a pipe; declares or sets its variables.
    pub(super) fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Walked<Value> {
        self.at(pipe);
        let mut value = None;
        for command in &pipe.commands {
            self.step()?;
            value = Some(self.command(dot, command, value)?);
        }
        let value = value.unwrap_or(Value::Nil);
        for variable in &pipe.variables {
            if pipe.assign {
                self.set(variable, value.clone())?;
            } else {
                self.variables.push((variable.number, value.clone()));
            }
        }
        Ok(value)
    }

    fn set(&mut self, variable: &Variable, value: Value) -> Walked<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == variable.number) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => self.fail(&format!("undefined variable: {variable}")),
        }
    }

    pub(super) fn variable(&self, variable: &Variable) -> Walked<Value> {
        match self.variables.iter().rev().find(|(known, _)| *known == variable.number) {
            Some((_, value)) => Ok(value.clone()),
            None => self.fail(&format!("undefined variable: {variable}")),
        }
    }

    /// What a function sees.
    pub(super) fn call(&self) -> Call<'t> {
        Call { context: self.context, steps: self.steps }
    }
}
