//! From words to a tree, by recursive descent.
//!
//! ```text
//! or         = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" or ")" | "true" | "false" | test
//! test       = operand OPERATOR operand | FUNCTION "(" operand { "," operand } ")"
//! operand    = path | TEXT | NUMBER | SEVERITY | "true" | "false" | "nil"
//! path       = NAME { "[" TEXT "]" }
//! assignment = path "=" operand
//! ```

use super::ExpressionError;
use super::token::{Place, Token, tokens};
use crate::data::Severity;
use crate::options::suggest::nearest;

/// A condition as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Any of them.
    Or(Vec<Tree>),
    /// All of them.
    And(Vec<Tree>),
    /// The opposite.
    Not(Box<Tree>),
    /// `true` or `false`.
    Constant(bool),
    /// Two values compared.
    Test(Test, Term, Term),
    /// `exists(x)`.
    Exists(Term),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// The left text begins with the right.
    StartsWith,
    /// The left text ends with the right.
    EndsWith,
    /// The left text has the right in it.
    Contains,
    /// The regular expression on the right is found in the left text.
    Matches,
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: TermKind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum TermKind {
    /// A field: its name and the keys in brackets.
    Path(String, Vec<String>),
    /// A text.
    Text(String),
    /// An integer.
    Int(i64),
    /// A severity by name.
    Severity(Severity),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// No value.
    Nil,
}

/// Deeper nesting than anyone writes; bounds the recursion here and in evaluation.
const DEEPEST: usize = 64;

const SIGNS: [(&str, Test); 6] = [
    ("==", Test::Equal),
    ("!=", Test::NotEqual),
    ("<=", Test::LessOrEqual),
    (">=", Test::GreaterOrEqual),
    ("<", Test::Less),
    (">", Test::Greater),
];

const WORDS: [(&str, Test); 4] = [
    ("startsWith", Test::StartsWith),
    ("endsWith", Test::EndsWith),
    ("contains", Test::Contains),
    ("matches", Test::Matches),
];

impl Test {
    /// The operator as it is written.
    pub fn sign(self) -> &'static str {
        SIGNS.into_iter().chain(WORDS).find(|(_, test)| *test == self).map_or("", |(sign, _)| sign)
    }
}

/// Reads a condition.
pub fn condition(text: &str) -> Result<Tree, ExpressionError> {
    let mut parser = Parser::new(text)?;
    let tree = parser.or(0)?;
    parser.end("`and`, `or` or the end")?;
    Ok(tree)
}

/// Reads a path alone.
pub fn path(text: &str) -> Result<Term, ExpressionError> {
    let mut parser = Parser::new(text)?;
    let path = parser.path()?;
    parser.end("nothing more behind the path")?;
    Ok(path)
}

/// Reads a path or a constant.
pub fn value(text: &str) -> Result<Term, ExpressionError> {
    let mut parser = Parser::new(text)?;
    let value = parser.operand()?;
    parser.end("nothing more behind the value")?;
    Ok(value)
}

/// Reads `path = value`.
pub fn assignment(text: &str) -> Result<(Term, Term), ExpressionError> {
    let mut parser = Parser::new(text)?;
    let target = parser.path()?;
    let (found, place) = parser.next();
    match found {
        Token::Sign("=") => {}
        Token::Sign("==") => {
            return Err(ExpressionError::new(place, "`==` compares").help("write `=` to set a value"));
        }
        found => return Err(expected("`=` and the new value", &found, place)),
    }
    let value = parser.operand()?;
    parser.end("nothing more behind the value")?;
    Ok((target, value))
}

struct Parser {
    tokens: Vec<(Token, Place)>,
    at: usize,
}

fn expected(what: &str, found: &Token, place: Place) -> ExpressionError {
    ExpressionError::new(place, format!("expected {what}, found {}", found.describe()))
}

impl Parser {
    fn new(text: &str) -> Result<Self, ExpressionError> {
        Ok(Self { tokens: tokens(text)?, at: 0 })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Place {
        self.tokens[self.at].1
    }

    /// The next word; the end again and again.
    fn next(&mut self) -> (Token, Place) {
        let found = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        found
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == name)
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        if found {
            self.next();
        }
        found
    }

    fn take_sign(&mut self, sign: &'static str) -> Result<(), ExpressionError> {
        let (found, place) = self.next();
        if found == Token::Sign(sign) { Ok(()) } else { Err(expected(&format!("`{sign}`"), &found, place)) }
    }

    fn end(&mut self, what: &str) -> Result<(), ExpressionError> {
        let (found, place) = self.next();
        match found {
            Token::End => Ok(()),
            Token::Sign("=") => {
                Err(ExpressionError::new(place, "`=` does not compare").help("write `==` to compare two values"))
            }
            Token::Name(name) => {
                let error = expected(what, &Token::Name(name.clone()), place);
                Err(match nearest(&name, WORDS.into_iter().map(|(word, _)| word).chain(["and", "or"])) {
                    Some(word) => error.help(format!("did you mean `{word}`?")),
                    None => error,
                })
            }
            found => Err(expected(what, &found, place)),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Tree, ExpressionError> {
        let mut any = vec![self.and(depth)?];
        while self.take_name("or") {
            any.push(self.and(depth)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Tree::Or(any) })
    }

    fn and(&mut self, depth: usize) -> Result<Tree, ExpressionError> {
        let mut all = vec![self.not(depth)?];
        while self.take_name("and") {
            all.push(self.not(depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Tree::And(all) })
    }

    fn not(&mut self, depth: usize) -> Result<Tree, ExpressionError> {
        if depth == DEEPEST {
            return Err(ExpressionError::new(self.place(), format!("nested more than {DEEPEST} deep")));
        }
        if self.take_name("not") {
            return Ok(Tree::Not(Box::new(self.not(depth + 1)?)));
        }
        if *self.peek() == Token::Sign("(") {
            self.next();
            let inner = self.or(depth + 1)?;
            self.take_sign(")")?;
            return Ok(inner);
        }
        self.test()
    }

    fn test(&mut self) -> Result<Tree, ExpressionError> {
        if let (Token::Name(name), Some((Token::Sign("("), _))) = (self.peek(), self.tokens.get(self.at + 1)) {
            let name = name.clone();
            return self.call(&name);
        }
        let left = self.operand()?;
        let test = match self.peek() {
            Token::Sign(sign) => SIGNS.into_iter().find(|(s, _)| s == sign),
            Token::Name(name) => WORDS.into_iter().find(|(word, _)| word == name),
            _ => None,
        };
        match (test, &left.kind) {
            (Some((_, test)), _) => {
                self.next();
                Ok(Tree::Test(test, left, self.operand()?))
            }
            (None, TermKind::Bool(value)) => Ok(Tree::Constant(*value)),
            (None, TermKind::Path(..))
                if matches!(self.peek(), Token::End | Token::Sign(")"))
                    || self.is_name("and")
                    || self.is_name("or") =>
            {
                Err(ExpressionError::new(left.place, "a value alone is no condition")
                    .help("compare it (`… == true`), or ask whether it is there: `exists(…)`"))
            }
            (None, _) => {
                self.end("a comparison such as `==`")?;
                Err(ExpressionError::new(left.place, "a value alone is no condition").help("compare it with something"))
            }
        }
    }

    fn call(&mut self, name: &str) -> Result<Tree, ExpressionError> {
        let (_, place) = self.next();
        self.take_sign("(")?;
        let mut arguments = vec![self.operand()?];
        while *self.peek() == Token::Sign(",") {
            self.next();
            arguments.push(self.operand()?);
        }
        let close = self.place();
        self.take_sign(")")?;
        let test = WORDS.into_iter().find(|(word, _)| *word == name);
        let wrong = |wants: &str| ExpressionError::new((place.0, close.1), format!("`{name}` wants {wants}"));
        match (name, test) {
            ("exists", _) => {
                let [argument] = <[Term; 1]>::try_from(arguments).map_err(|_| wrong("one argument"))?;
                Ok(Tree::Exists(argument))
            }
            (_, Some((_, test))) => {
                let [left, right] = <[Term; 2]>::try_from(arguments).map_err(|_| wrong("two arguments"))?;
                Ok(Tree::Test(test, left, right))
            }
            _ => {
                let known = WORDS.into_iter().map(|(word, _)| word).chain(["exists"]);
                let error = ExpressionError::new(place, format!("there is no function `{name}`"));
                Err(error.help(match nearest(name, known) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => "functions are exists, startsWith, endsWith, contains and matches".to_owned(),
                }))
            }
        }
    }

    fn operand(&mut self) -> Result<Term, ExpressionError> {
        let place = self.place();
        let kind = match self.peek().clone() {
            Token::Text(text) => TermKind::Text(text),
            Token::Int(number) => TermKind::Int(number),
            Token::Float(number) => TermKind::Float(number),
            Token::Name(name) => match name.as_str() {
                "true" => TermKind::Bool(true),
                "false" => TermKind::Bool(false),
                "nil" => TermKind::Nil,
                "null" => return Err(ExpressionError::new(place, "`null` is unknown").help("write `nil`")),
                "and" | "or" | "not" => return Err(expected("a value", self.peek(), place)),
                name => match severity(name) {
                    Some(severity) => TermKind::Severity(severity),
                    None => return self.path(),
                },
            },
            found => return Err(expected("a value", &found, place)),
        };
        self.next();
        Ok(Term { place, kind })
    }

    fn path(&mut self) -> Result<Term, ExpressionError> {
        let (found, (from, mut to)) = self.next();
        let Token::Name(name) = found else {
            return Err(expected("a field such as `body` or `attributes[\"key\"]`", &found, (from, to)));
        };
        let mut keys = Vec::new();
        while *self.peek() == Token::Sign("[") {
            self.next();
            let (key, place) = self.next();
            let Token::Text(key) = key else {
                let error = expected("a key between double quotes", &key, place);
                return Err(match key {
                    Token::Name(name) => error.help(format!("write `[\"{name}\"]`")),
                    _ => error,
                });
            };
            keys.push(key);
            to = self.place().1;
            self.take_sign("]")?;
        }
        Ok(Term { place: (from, to), kind: TermKind::Path(name, keys) })
    }
}

/// `INFO`, `WARN2`, …: the names of the data model, in capitals.
fn severity(name: &str) -> Option<Severity> {
    (1..=24).map(Severity).find(|severity| severity.text() == name)
}

#[cfg(test)]
mod tests;
