//! Something wrong with a configuration: where, what, and what to write instead.

/// A run of bytes in one of the configuration's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Number of the file in the order of loading, from 1; 0 means that the place is not known.
    pub file: u32,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// No place: the value did not come from a file.
    pub const UNKNOWN: Self = Self { file: 0, start: 0, end: 0 };
}

/// The code of an error, as the reference lists it: `TW0203`. Codes are never given a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its code.
    pub code: Code,
    /// Where it is.
    pub span: Span,
    /// For a scalar that has a language of its own (an expression, a pattern): which bytes of its value
    /// are meant.
    pub within: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at a place.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, span, within: None, message: message.into(), help: None }
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// At `span` where it has no place of its own.
    #[must_use]
    pub fn at_least(self, span: Span) -> Self {
        if self.span == Span::UNKNOWN { Self { span, ..self } } else { self }
    }

    /// Points at bytes `from..to` of the scalar's value.
    #[must_use]
    pub fn within(mut self, from: usize, to: usize) -> Self {
        self.within = Some((from, to));
        self
    }
}
