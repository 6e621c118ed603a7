//! Go's templates (package `text/template`), as Prometheus has them in annotations and labels of alerts, and Alertmanager in
//! notifications: the whole language, Go's formatting of values and its words for what is wrong.
//!
//! A [`Template`] is parsed once, against a [`FunctionSet`], and executed over a [`Value`]. Named templates of files come
//! together in [`Templates`]. Whoever writes a template is not trusted: nesting, time and output are bounded by [`Limits`],
//! and a template that goes beyond fails as any other error of its own.
//!
//! `lex` cuts, `parse` makes a `tree`, `exec` walks it and `call` gives arguments to [`functions`]; `format` writes values.

mod call;
mod exec;
mod format;
pub mod functions;
mod lex;
mod literal;
mod parse;
mod time;
mod tree;
mod unknown;
pub mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use functions::FunctionSet;
pub use value::Value;

use crate::data::UnixMillis;
use crate::promql::VectorSample;
use tree::Tree;

/// A template that cannot be parsed or fails, in Go's words: `template: NAME:1:12: executing "NAME" at <.x>: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub(super) String);

/// What the execution of a template may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of its output, and of any text it makes on the way.
    pub bytes: usize,
    /// Steps: a node, a command, a turn of a loop, 64 bytes that a function reads or writes.
    pub steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 1 << 20, steps: 1_000_000 }
    }
}

/// Evaluates an instant query for a template.
pub type QueryFunction<'a> = &'a dyn Fn(&str) -> Result<Vec<VectorSample>, String>;

/// Writes a label of a route by its name.
pub type RouteLabelFunction<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// What a template's functions can see of the world.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time of the evaluation.
    pub now: UnixMillis,
    /// Where this agent can be reached.
    pub external_url: &'a str,
    /// Evaluates queries, where there is something to query.
    pub query: Option<QueryFunction<'a>>,
    /// Writes labels of the route, where there is one.
    pub route_label: Option<RouteLabelFunction<'a>>,
    /// Whether what actions write is escaped for HTML.
    pub html: bool,
    /// What the execution may take.
    pub limits: Limits,
}

impl Context<'_> {
    /// A context that has nothing but a time.
    pub fn at(now: UnixMillis) -> Self {
        Self { now, external_url: "", query: None, route_label: None, html: false, limits: Limits::default() }
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now)
            .field("external_url", &self.external_url)
            .finish_non_exhaustive()
    }
}

/// Templates by name. A copy shares them.
type Definitions = Arc<BTreeMap<Box<str>, Arc<Tree>>>;

/// A template, parsed. A copy is a reference.
#[derive(Clone, Debug)]
pub struct Template {
    root: Arc<Tree>,
    definitions: Definitions,
}

impl Template {
    /// Parses a text. Errors name it `name`.
    ///
    /// # Errors
    /// Where it is no template, or names a function that `functions` does not have.
    pub fn parse(name: &str, text: &str, functions: &FunctionSet) -> Result<Self, TemplateError> {
        Templates::new(functions).template(name, text)
    }

    /// Executes the template over `data`.
    ///
    /// # Errors
    /// Where it fails, or goes beyond the limits.
    pub fn execute(&self, data: &Value, context: &Context<'_>) -> Result<String, TemplateError> {
        exec::execute(&self.root, &self.definitions, data, context)
    }
}

/// Templates that know each other by name, as those of Alertmanager's `templates` files do.
#[derive(Clone, Debug)]
pub struct Templates {
    functions: FunctionSet,
    definitions: Definitions,
}

impl Templates {
    /// None yet.
    pub fn new(functions: &FunctionSet) -> Self {
        Self { functions: *functions, definitions: Definitions::default() }
    }

    /// Adds what a file defines. It replaces what had the same name, unless it is only space.
    ///
    /// # Errors
    /// Where the text is no template; nothing is added then.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        let trees = parse::parse(name, text, &self.functions)?;
        let definitions = Arc::make_mut(&mut self.definitions);
        trees.into_iter().for_each(|tree| define(definitions, tree));
        Ok(())
    }

    /// Parses a text that may use these templates. What it defines itself is known to it alone.
    ///
    /// # Errors
    /// Where it is no template, or names a function that there is not.
    pub fn template(&self, name: &str, text: &str) -> Result<Template, TemplateError> {
        let mut trees = parse::parse(name, text, &self.functions)?.into_iter();
        // The whole text comes first.
        let root = Arc::new(trees.next().ok_or_else(|| TemplateError(format!("template: {name}: nothing is there")))?);
        let mut definitions = self.definitions.clone();
        if trees.len() > 0 {
            let definitions = Arc::make_mut(&mut definitions);
            trees.for_each(|tree| define(definitions, tree));
        }
        Ok(Template { root, definitions })
    }

    /// Names of the templates that there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.definitions.keys().map(|name| &**name)
    }
}

fn define(definitions: &mut BTreeMap<Box<str>, Arc<Tree>>, tree: Tree) {
    if !definitions.contains_key(&tree.name) || !parse::is_empty(&tree.body) {
        definitions.insert(tree.name.clone(), Arc::new(tree));
    }
}
