//! From tokens to trees, with Go's rules and in Go's words (`text/template/parse`).

mod pipes;

use std::collections::HashMap;
use std::sync::Arc;

use super::TemplateError;
use super::format::quote;
use super::functions::FunctionSet;
use super::lex::{Keyword, Kind, Token, Tokens, lex};
use super::literal;
use super::tree::{Action, Choice, Invocation, List, Loop, Node, Source, Tree, Variable};

/// Deepest nesting of actions and parentheses.
const MAX_NESTING: usize = 100;

/// Most templates that a text defines.
const MAX_DEFINITIONS: usize = 1_000;

/// Largest template.
const MAX_TEXT: usize = 1 << 20;

/// What a text defines: the template of the whole text first, then those that it defines by name.
pub(super) fn parse(name: &str, text: &str, functions: &FunctionSet) -> Result<Vec<Tree>, TemplateError> {
    if text.len() > MAX_TEXT {
        return Err(TemplateError(format!("template: {name}: it is larger than {MAX_TEXT} bytes")));
    }
    let source = Arc::new(Source { name: name.into(), text: text.into() });
    let mut parser = Parser {
        text: &source.text,
        source: &source,
        tokens: lex(text),
        functions,
        at: 0,
        furthest: 0,
        trees: Vec::new(),
        names: HashMap::from([("$", Variable::DATA)]),
        scope: Scope::new(),
        nesting: 0,
        action_line: 0,
    };
    let body = parser.whole()?;
    let mut trees = vec![Tree { name: name.into(), source: source.clone(), body }];
    for tree in std::mem::take(&mut parser.trees) {
        define(&mut trees, tree).map_err(|name| parser.error(&multiple(&name)))?;
    }
    Ok(trees)
}

/// Puts a template among others; one that is only space gives way. An error names what is defined twice.
fn define(trees: &mut Vec<Tree>, tree: Tree) -> Result<(), Box<str>> {
    match trees.iter_mut().find(|known| known.name == tree.name) {
        None => trees.push(tree),
        Some(known) if is_empty(&known.body) => *known = tree,
        Some(_) if is_empty(&tree.body) => {}
        Some(_) => return Err(tree.name),
    }
    Ok(())
}

fn multiple(name: &str) -> String {
    format!("template: multiple definition of template {}", quote(name, false))
}

/// Whether there is nothing but space.
pub(super) fn is_empty(list: &[Node]) -> bool {
    list.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
}

/// What a template's text may refer to.
struct Scope {
    /// Variables, by their numbers.
    variables: Vec<u32>,
    ranges: usize,
}

impl Scope {
    fn new() -> Self {
        Self { variables: vec![Variable::DATA], ranges: 0 }
    }
}

struct Parser<'p> {
    text: &'p str,
    source: &'p Arc<Source>,
    tokens: Tokens,
    functions: &'p FunctionSet,
    at: usize,
    /// The last token that was looked at: its line is where an error is.
    furthest: usize,
    trees: Vec<Tree>,
    /// Numbers of the variables' names.
    names: HashMap<&'p str, u32>,
    scope: Scope,
    nesting: usize,
    /// The line in which the action started that is being read; 0 outside.
    action_line: usize,
}

type Parsed<T> = Result<T, TemplateError>;

/// How a list ended.
enum Ended {
    End,
    /// `else`, of which an `if` or `with` behind it is still to be read.
    Else,
}

impl<'p> Parser<'p> {
    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.list.len());
        token
    }

    fn peek(&mut self) -> Token {
        // Nothing follows the last token, which is an end or an error.
        let index = self.at.min(self.tokens.list.len() - 1);
        self.furthest = self.furthest.max(index);
        self.tokens.list[index]
    }

    fn next_word(&mut self) -> Token {
        self.peek_word();
        self.next()
    }

    /// The next token that is no space, without taking it.
    fn peek_word(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn written(&self, token: Token) -> &str {
        &self.text[token.start..token.end]
    }

    /// A variable by its name; numbers are compared faster than names.
    fn variable(&mut self, name: &'p str) -> Variable {
        let next = self.names.len() as u32;
        Variable { number: *self.names.entry(name).or_insert(next), name: name.into() }
    }

    fn error(&self, message: &str) -> TemplateError {
        let line = self.tokens.list[self.furthest].line;
        TemplateError(format!("template: {}:{line}: {message}", self.source.name))
    }

    fn unexpected<T>(&self, token: Token, context: &str) -> Parsed<T> {
        let message = match token.kind {
            Kind::Error => {
                let error = &self.tokens.error;
                let started = match self.action_line {
                    0 => String::new(),
                    line if line == token.line => String::new(),
                    line => {
                        let action = if error.ends_with(" action") { "" } else { " in action" };
                        format!("{action} started at {}:{line}", self.source.name)
                    }
                };
                format!("{error}{started}")
            }
            _ => format!("unexpected {} in {context}", self.shown(token)),
        };
        Err(self.error(&message))
    }

    /// As Go shows a token.
    fn shown(&self, token: Token) -> String {
        let written = self.written(token);
        match token.kind {
            Kind::End => "EOF".into(),
            Kind::Error => self.tokens.error.clone(),
            Kind::Keyword(_) => format!("<{written}>"),
            _ if written.len() > 10 => format!("{}...", quote(&written.chars().take(10).collect::<String>(), false)),
            _ => quote(written, false),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token> {
        let token = self.next_word();
        if token.kind == kind { Ok(token) } else { self.unexpected(token, context) }
    }

    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return Err(self.error("max expression depth exceeded"));
        }
        self.nesting += 1;
        let parsed = inner(self);
        self.nesting -= 1;
        parsed
    }

    /// A whole text: what a list has, and definitions.
    fn whole(&mut self) -> Parsed<List> {
        let mut list = List::new();
        while self.peek().kind != Kind::End {
            if self.peek().kind == Kind::Left {
                let before = self.at;
                self.next();
                if self.next_word().kind == Kind::Keyword(Keyword::Define) {
                    self.definition()?;
                    continue;
                }
                self.at = before;
            }
            match self.node()? {
                Step::Node(node) => list.push(node),
                Step::Ended(ended) => return Err(self.error(&format!("unexpected {}", word(&ended)))),
            }
        }
        list.shrink_to_fit();
        Ok(list)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let name = self.next_word();
        let name = self.template_name(name, CONTEXT)?;
        self.expect(Kind::Right, CONTEXT)?;
        self.template(name, CONTEXT)
    }

    /// The body of a template that has a name, up to its `end`.
    fn template(&mut self, name: Box<str>, context: &str) -> Parsed<()> {
        let outer = std::mem::replace(&mut self.scope, Scope::new());
        let (body, ended) = self.nested(Self::list)?;
        if let Ended::Else = ended {
            return Err(self.error(&format!("unexpected {{{{else}}}} in {context}")));
        }
        self.scope = outer;
        if self.trees.len() >= MAX_DEFINITIONS {
            return Err(self.error(&format!("it defines more than {MAX_DEFINITIONS} templates")));
        }
        let tree = Tree { name, source: self.source.clone(), body };
        define(&mut self.trees, tree).map_err(|name| self.error(&multiple(&name)))
    }

    fn template_name(&self, token: Token, context: &str) -> Parsed<Box<str>> {
        match token.kind {
            Kind::Quoted | Kind::Raw => {
                literal::unquote(self.written(token)).map(String::into_boxed_str).map_err(|why| self.error(&why))
            }
            _ => self.unexpected(token, context),
        }
    }

    /// Nodes up to an `end` or `else`.
    fn list(&mut self) -> Parsed<(List, Ended)> {
        let mut list = List::new();
        while self.peek_word().kind != Kind::End {
            match self.node()? {
                Step::Node(node) => list.push(node),
                Step::Ended(ended) => {
                    list.shrink_to_fit();
                    return Ok((list, ended));
                }
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn node(&mut self) -> Parsed<Step> {
        let token = self.next_word();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(self.written(token).into()))),
            Kind::Left => {
                self.action_line = token.line;
                let step = self.action();
                self.action_line = 0;
                step
            }
            _ => self.unexpected(token, "input"),
        }
    }

    fn action(&mut self) -> Parsed<Step> {
        let token = self.peek_word();
        if let Kind::Keyword(keyword) = token.kind {
            let control: Option<fn(&mut Self) -> Parsed<Step>> = match keyword {
                Keyword::Block => Some(Self::block),
                Keyword::Break => Some(|parser| parser.leave(Node::Break, "break")),
                Keyword::Continue => Some(|parser| parser.leave(Node::Continue, "continue")),
                Keyword::Else => Some(Self::otherwise),
                Keyword::End => Some(|parser| parser.expect(Kind::Right, "end").map(|_| Step::Ended(Ended::End))),
                Keyword::If => Some(|parser| parser.choice("if").map(|choice| Step::Node(Node::If(choice)))),
                Keyword::With => Some(|parser| parser.choice("with").map(|choice| Step::Node(Node::With(choice)))),
                Keyword::Range => Some(Self::range),
                Keyword::Template => Some(Self::invocation),
                Keyword::Define | Keyword::Dot | Keyword::Nil => None,
            };
            if let Some(control) = control {
                self.next();
                return control(self);
            }
        }
        // Its variables live until the end of what is around it.
        let pipe = self.pipe("command", Kind::Right)?;
        Ok(Step::Node(Node::Action(Action { at: token.start, pipe })))
    }

    fn leave(&mut self, node: Node, name: &str) -> Parsed<Step> {
        let token = self.next_word();
        if token.kind != Kind::Right {
            return self.unexpected(token, &format!("{{{{{name}}}}}"));
        }
        if self.scope.ranges == 0 {
            return Err(self.error(&format!("{{{{{name}}}}} outside {{{{range}}}}")));
        }
        Ok(Step::Node(node))
    }

    fn otherwise(&mut self) -> Parsed<Step> {
        // An `if` or `with` behind it belongs to the next branch.
        let next = self.peek_word().kind;
        if !matches!(next, Kind::Keyword(Keyword::If | Keyword::With)) {
            self.expect(Kind::Right, "else")?;
        }
        Ok(Step::Ended(Ended::Else))
    }

    fn choice(&mut self, context: &'static str) -> Parsed<Choice> {
        let variables = self.scope.variables.len();
        let again = if context == "if" { Keyword::If } else { Keyword::With };
        let mut choice = Choice { branches: Vec::new(), otherwise: None };
        loop {
            let pipe = self.pipe(context, Kind::Right)?;
            let (body, ended) = self.nested(Self::list)?;
            choice.branches.push((pipe, body));
            match ended {
                Ended::End => break,
                Ended::Else if self.peek().kind == Kind::Keyword(again) => {
                    self.next();
                }
                Ended::Else => {
                    choice.otherwise = Some(self.last_list()?);
                    break;
                }
            }
        }
        self.scope.variables.truncate(variables);
        Ok(choice)
    }

    fn range(&mut self) -> Parsed<Step> {
        let variables = self.scope.variables.len();
        let pipe = self.pipe("range", Kind::Right)?;
        self.scope.ranges += 1;
        let (body, ended) = self.nested(Self::list)?;
        self.scope.ranges -= 1;
        let otherwise = match ended {
            Ended::End => None,
            Ended::Else => Some(self.last_list()?),
        };
        self.scope.variables.truncate(variables);
        Ok(Step::Node(Node::Range(Loop { pipe, body, otherwise })))
    }

    /// What stands behind an `else`.
    fn last_list(&mut self) -> Parsed<List> {
        let (list, ended) = self.nested(Self::list)?;
        match ended {
            Ended::End => Ok(list),
            Ended::Else => Err(self.error("expected end; found {{else}}")),
        }
    }

    fn block(&mut self) -> Parsed<Step> {
        const CONTEXT: &str = "block clause";
        let token = self.next_word();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipe(CONTEXT, Kind::Right)?;
        self.template(name.clone(), CONTEXT)?;
        Ok(Step::Node(Node::Template(Invocation { at: token.start, name, pipe: Some(pipe) })))
    }

    fn invocation(&mut self) -> Parsed<Step> {
        const CONTEXT: &str = "template clause";
        let token = self.next_word();
        let name = self.template_name(token, CONTEXT)?;
        let pipe = match self.peek_word().kind {
            Kind::Right => {
                self.next();
                None
            }
            _ => Some(self.pipe(CONTEXT, Kind::Right)?),
        };
        Ok(Step::Node(Node::Template(Invocation { at: token.start, name, pipe })))
    }
}

/// What an action is to the list it stands in.
enum Step {
    Node(Node),
    Ended(Ended),
}

fn word(ended: &Ended) -> &'static str {
    match ended {
        Ended::End => "{{end}}",
        Ended::Else => "{{else}}",
    }
}
