//! The tokens of a template. All of a text is cut at once; what cannot be cut ends the tokens with an error, which is told
//! when the parser comes to it, after what is wrong before it.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text between actions.
    Text,
    /// `{{`
    Left,
    /// `}}`
    Right,
    Space,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    Pipe,
    Open,
    Close,
    /// Any other sign, such as `,`.
    Sign,
    Identifier,
    /// `.name`
    Field,
    /// `$` or `$name`
    Variable,
    Number,
    /// `'a'`
    Letter,
    /// `"text"`
    Quoted,
    /// A text in backticks.
    Raw,
    Bool,
    Keyword(Keyword),
    End,
    /// The rest cannot be cut: see [`Tokens::error`].
    Error,
}

/// A word that means something of its own. `.` and `nil` are among them, as in Go's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Dot,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

const KEYWORDS: [(&str, Keyword); 11] = [
    ("block", Keyword::Block),
    ("break", Keyword::Break),
    ("continue", Keyword::Continue),
    ("define", Keyword::Define),
    ("else", Keyword::Else),
    ("end", Keyword::End),
    ("if", Keyword::If),
    ("nil", Keyword::Nil),
    ("range", Keyword::Range),
    ("template", Keyword::Template),
    ("with", Keyword::With),
];

/// A token: a run of bytes of the text, and the line it starts in, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    pub line: usize,
}

/// A text, cut.
#[derive(Debug)]
pub(super) struct Tokens {
    /// At least one; the last is [`Kind::End`] or [`Kind::Error`].
    pub list: Vec<Token>,
    /// Why the last token is an error.
    pub error: String,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a text.
pub(super) fn lex(text: &str) -> Tokens {
    let mut lexer = Lexer { text, at: 0, start: 0, line: 1, open: 0, tokens: Vec::new() };
    let error = lexer.run().err().unwrap_or_default();
    let kind = if error.is_empty() { Kind::End } else { Kind::Error };
    lexer.tokens.push(Token { kind, start: lexer.start, end: lexer.start, line: lexer.line });
    Tokens { list: lexer.tokens, error }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    start: usize,
    /// The line that `start` is in.
    line: usize,
    /// Parentheses that are open.
    open: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(before) = self.rest().find("{{") {
            let action = self.at + before;
            let trim = is_left_trim(&self.text[action + 2..]);
            let text = &self.text[self.at..action];
            self.at += if trim { text.trim_end_matches(SPACE).len() } else { text.len() };
            if self.at > self.start {
                self.emit(Kind::Text);
            }
            self.at = action + 2 + if trim { 2 } else { 0 };
            if self.rest().starts_with("/*") {
                self.skip();
                self.comment()?;
                continue;
            }
            self.start_at(action);
            self.at = action + 2;
            self.emit(Kind::Left);
            self.at += if trim { 2 } else { 0 };
            self.skip();
            self.action()?;
        }
        self.at = self.text.len();
        if self.at > self.start {
            self.emit(Kind::Text);
        }
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|next| wanted.contains(next));
        if found {
            self.next();
        }
        found
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, start: self.start, end: self.at, line: self.line });
        self.skip();
    }

    /// Passes over what was read.
    fn skip(&mut self) {
        let at = self.at;
        self.start_at(at);
    }

    fn start_at(&mut self, at: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.text.as_bytes()[self.start..at]).count();
        self.start = at;
    }

    fn comment(&mut self) -> Result<(), String> {
        let Some(end) = self.text[self.at + 2..].find("*/") else { return Err("unclosed comment".into()) };
        self.at += 2 + end + 2;
        let Some(trim) = self.at_right() else { return Err("comment ends before closing delimiter".into()) };
        self.right(trim);
        self.skip();
        Ok(())
    }

    /// Whether `}}` is next, and with a mark to trim what follows.
    fn at_right(&self) -> Option<bool> {
        let rest = self.rest();
        let trimmed = rest.starts_with(SPACE) && rest[1..].starts_with("-}}");
        (trimmed || rest.starts_with("}}")).then_some(trimmed)
    }

    fn right(&mut self, trim: bool) {
        self.at += if trim { 4 } else { 2 };
        if trim {
            self.at += self.rest().len() - self.rest().trim_start_matches(SPACE).len();
        }
    }

    /// All tokens of an action, its `}}` among them.
    fn action(&mut self) -> Result<(), String> {
        self.open = 0;
        loop {
            if let Some(trim) = self.at_right() {
                if self.open > 0 {
                    return Err("unclosed left paren".into());
                }
                self.at += if trim { 2 } else { 0 };
                self.skip();
                self.at += 2;
                self.emit(Kind::Right);
                if trim {
                    self.at += self.rest().len() - self.rest().trim_start_matches(SPACE).len();
                    self.skip();
                }
                return Ok(());
            }
            let kind = self.token()?;
            self.emit(kind);
        }
    }

    fn token(&mut self) -> Result<Kind, String> {
        let Some(next) = self.next() else { return Err("unclosed action".into()) };
        Ok(match next {
            _ if SPACE.contains(&next) => {
                // The last blank may belong to a mark to trim what follows the action.
                while self.peek().is_some_and(|next| SPACE.contains(&next)) && self.at_right().is_none() {
                    self.next();
                }
                Kind::Space
            }
            '=' => Kind::Assign,
            ':' if self.accept("=") => Kind::Declare,
            ':' => return Err("expected :=".into()),
            '|' => Kind::Pipe,
            '"' => self.quoted('"', Kind::Quoted, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::Letter, "unterminated character constant")?,
            '`' => match self.rest().find('`') {
                Some(end) => {
                    self.at += end + 1;
                    Kind::Raw
                }
                None => return Err("unterminated raw quoted string".into()),
            },
            '$' => self.name(Kind::Variable)?,
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => self.name(Kind::Field)?,
            '.' | '+' | '-' | '0'..='9' => {
                self.at -= 1;
                self.number()?
            }
            '(' => {
                self.open += 1;
                Kind::Open
            }
            ')' if self.open == 0 => return Err("unexpected right paren".into()),
            ')' => {
                self.open -= 1;
                Kind::Close
            }
            _ if is_word(next) => self.word()?,
            '!'..='~' => Kind::Sign,
            _ => return Err(format!("unrecognized character in action: {}", shown(next))),
        })
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Result<Kind, String> {
        loop {
            match self.next() {
                Some('\\') if self.peek().is_some_and(|next| next != '\n') => {
                    self.next();
                }
                None | Some('\\' | '\n') => return Err(unterminated.into()),
                Some(next) if next == quote => return Ok(kind),
                Some(_) => {}
            }
        }
    }

    /// A field's or a variable's name behind its sign.
    fn name(&mut self, kind: Kind) -> Result<Kind, String> {
        if self.at_end_of_name() {
            return Ok(if kind == Kind::Field { Kind::Keyword(Keyword::Dot) } else { kind });
        }
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        self.ended(kind)
    }

    fn word(&mut self) -> Result<Kind, String> {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        let word = &self.text[self.start..self.at];
        let kind = match KEYWORDS.iter().find(|(known, _)| *known == word) {
            Some((_, keyword)) => Kind::Keyword(*keyword),
            None if matches!(word, "true" | "false") => Kind::Bool,
            None => Kind::Identifier,
        };
        self.ended(kind)
    }

    fn ended(&self, kind: Kind) -> Result<Kind, String> {
        match self.peek() {
            Some(next) if !self.at_end_of_name() => Err(format!("bad character {}", shown(next))),
            _ => Ok(kind),
        }
    }

    fn at_end_of_name(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with("}}"),
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        if self.accept(".") {
            while self.accept(digits) {}
        }
        let exponent = match digits.len() {
            11 => self.accept("eE"),
            23 => self.accept("pP"),
            _ => false,
        };
        if exponent {
            self.accept("+-");
            while self.accept("0123456789_") {}
        }
        if self.peek().is_some_and(is_word) {
            self.next();
            return Err(format!("bad number syntax: {:?}", &self.text[self.start..self.at]));
        }
        Ok(Kind::Number)
    }
}

fn is_left_trim(text: &str) -> bool {
    text.starts_with('-') && text[1..].starts_with(SPACE)
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// As Go's `%#U` shows a character.
fn shown(letter: char) -> String {
    format!("U+{:04X} '{letter}'", letter as u32)
}
