//! What stands in an action: pipes of commands, their operands, the variables that they declare and set.

use super::{Parsed, Parser};
use crate::alerting::template::format::quote;
use crate::alerting::template::lex::{Keyword, Kind};
use crate::alerting::template::literal;
use crate::alerting::template::tree::{Command, Operand, Pipe, Term};

/// Most variables that can be seen at one place.
const MAX_VARIABLES: usize = 200;

impl Parser<'_> {
    pub(super) fn pipe(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe { at: self.peek_word().start, variables: Vec::new(), assign: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.peek_word();
            match token.kind {
                kind if kind == end => {
                    self.next();
                    break;
                }
                Kind::Bool
                | Kind::Letter
                | Kind::Keyword(Keyword::Dot | Keyword::Nil)
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Raw
                | Kind::Quoted
                | Kind::Variable
                | Kind::Open => pipe.commands.push(self.command()?),
                _ => return self.unexpected(token, context),
            }
        }
        if pipe.commands.is_empty() {
            return Err(self.error(&format!("missing value for {context}")));
        }
        let constant = |command: &Command| {
            let term = command.operands.first().map(|operand| &operand.term);
            matches!(term, Some(Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text { .. }))
        };
        if let Some(index) = pipe.commands[1..].iter().position(constant) {
            return Err(self.error(&format!("non executable command in pipeline stage {}", index + 2)));
        }
        // Rules come in thousands, and most of their pipes are of one command.
        pipe.variables.shrink_to_fit();
        pipe.commands.shrink_to_fit();
        Ok(pipe)
    }

    /// `$x :=`, `$x =` and, for `range`, `$x, $y :=` or `=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        while self.peek_word().kind == Kind::Variable {
            let before = self.at;
            let variable = self.next();
            let name = self.variable(&self.text[variable.start..variable.end]);
            let next = self.peek_word();
            let comma = next.kind == Kind::Sign && self.written(next) == ",";
            if !comma && !matches!(next.kind, Kind::Assign | Kind::Declare) {
                self.at = before;
                return Ok(());
            }
            self.next();
            if self.scope.variables.len() > MAX_VARIABLES {
                return Err(self.error(&format!("there are more than {MAX_VARIABLES} variables")));
            }
            self.scope.variables.push(name.number);
            pipe.variables.push(name);
            if !comma {
                pipe.assign = next.kind == Kind::Assign;
                return Ok(());
            }
            if context != "range" || pipe.variables.len() > 1 {
                return Err(self.error(&format!("too many declarations in {context}")));
            }
            if !matches!(self.peek_word().kind, Kind::Variable | Kind::Right | Kind::Close) {
                return Err(self.error("range can only initialize variables"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { at: self.peek_word().start, operands: Vec::new() };
        loop {
            self.peek_word();
            command.operands.extend(self.operand()?);
            let token = self.peek();
            match token.kind {
                Kind::Space => {
                    self.next();
                    continue;
                }
                Kind::Right | Kind::Close => {}
                Kind::Pipe => {
                    self.next();
                }
                _ => return self.unexpected(token, "operand"),
            }
            break;
        }
        if command.operands.is_empty() {
            return Err(self.error("empty command"));
        }
        command.operands.shrink_to_fit();
        Ok(command)
    }

    /// A term and the fields behind it, if there is one.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let chain = self.peek();
        if chain.kind != Kind::Field {
            return Ok(Some(operand));
        }
        let mut more: Vec<Box<str>> = Vec::new();
        while self.peek().kind == Kind::Field {
            let field = self.next();
            more.push(self.written(field)[1..].into());
        }
        let term = match operand.term {
            Term::Field(ref mut fields) | Term::Variable { ref mut fields, .. } => {
                fields.append(&mut more);
                fields.shrink_to_fit();
                operand.term
            }
            Term::Bool(_) | Term::Text { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let message = format!("unexpected . after term {}", quote(&operand.to_string(), false));
                return Err(self.error(&message));
            }
            _ => Term::Chain { of: Box::new(operand), fields: more },
        };
        Ok(Some(Operand { at: chain.start, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_word();
        let written = &self.text[token.start..token.end];
        let term = match token.kind {
            Kind::Identifier => match self.functions.get(written) {
                Some(function) => Term::Function(function),
                None => {
                    self.next();
                    return Err(self.error(&format!("function {} not defined", quote(written, false))));
                }
            },
            Kind::Keyword(Keyword::Dot) => Term::Dot,
            Kind::Keyword(Keyword::Nil) => Term::Nil,
            Kind::Variable => {
                let variable = self.variable(written);
                if !self.scope.variables.contains(&variable.number) {
                    return Err(self.error(&format!("undefined variable {}", quote(written, false))));
                }
                Term::Variable { variable, fields: Vec::new() }
            }
            Kind::Field => Term::Field(vec![written[1..].into()]),
            Kind::Bool => Term::Bool(written == "true"),
            Kind::Letter => Term::Number(literal::letter(written).map_err(|why| self.error(&why))?),
            Kind::Number => Term::Number(literal::number(written).map_err(|why| self.error(&why))?),
            Kind::Quoted | Kind::Raw => {
                let value = literal::unquote(written).map_err(|why| self.error(&why))?;
                Term::Text { value: value.into(), written: written.into() }
            }
            Kind::Open => {
                self.next();
                let pipe = self.nested(|parser| parser.pipe("parenthesized pipeline", Kind::Close))?;
                return Ok(Some(Operand { at: pipe.at, term: Term::Pipe(pipe) }));
            }
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(Operand { at: token.start, term }))
    }
}
