//! Types a tree against a signal: what passes here cannot fail on any record.

mod literal;

use regex::bytes::{Regex, RegexBuilder};

use self::literal::{convert, word};
use super::ExpressionError;
use super::parse::{Term, TermKind, Test, Tree};
use super::subject::{FieldId, FieldSpec, Kind, Subject};
use super::token::Place;
use crate::data::labels::METRIC_NAME;
use crate::data::{Severity, Signal, UnixNanos};
use crate::options::suggest::nearest;

/// A condition that fits its signal.
#[derive(Clone, Debug)]
pub enum Checked {
    /// Any of them.
    Or(Vec<Checked>),
    /// All of them.
    And(Vec<Checked>),
    /// The opposite.
    Not(Box<Checked>),
    /// `true` or `false`.
    Constant(bool),
    /// Whether there is a value.
    Exists(CheckedTerm),
    /// Two values compared; never [`Test::Matches`].
    Test(Test, CheckedTerm, CheckedTerm),
    /// A pattern searched.
    Matches(CheckedTerm, Regex),
}

impl Checked {
    /// Whether it reads this field.
    pub fn reads(&self, field: FieldId) -> bool {
        let is = |term: &CheckedTerm| matches!(term, CheckedTerm::Field(id, _) if *id == field);
        match self {
            Self::Or(trees) | Self::And(trees) => trees.iter().any(|tree| tree.reads(field)),
            Self::Not(tree) => tree.reads(field),
            Self::Constant(_) => false,
            Self::Exists(term) | Self::Matches(term, _) => is(term),
            Self::Test(_, left, right) => is(left) || is(right),
        }
    }

    /// Whether it asks for nothing but the resource.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Or(trees) | Self::And(trees) => trees.iter().all(Self::is_settled),
            Self::Not(tree) => tree.is_settled(),
            Self::Constant(_) => true,
            Self::Exists(term) | Self::Matches(term, _) => term.is_settled(),
            Self::Test(_, left, right) => left.is_settled() && right.is_settled(),
        }
    }
}

/// A value that exists in its signal.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckedTerm {
    /// A constant.
    Literal(Literal),
    /// A field of the record.
    Field(FieldId, Kind),
    /// An attribute: the key, then the keys of nested objects.
    Attribute(Box<[Box<str>]>),
    /// An event of a span by its name, or what is at keys among the attributes of the first of that name.
    Event(Box<[Box<str>]>),
    /// An attribute of the resource.
    Resource(Box<str>),
}

impl CheckedTerm {
    /// Whether all records of one resource have the same value.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Resource(_))
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text.
    Text(Box<str>),
    /// An integer.
    Int(i64),
    /// A finite double.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// No value.
    Nil,
    /// An id's bytes.
    Id(Box<[u8]>),
    /// A point in time.
    Time(UnixNanos),
    /// A length of time in nanoseconds.
    Duration(i64),
}

/// Largest compiled form of a regular expression, and of the states found while it runs.
pub const REGEX_BYTES: usize = 1 << 20;

/// Compiles a regular expression within [`REGEX_BYTES`]; the error is in words.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => format!("the pattern compiles to more than {limit} bytes"),
        error => {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    })
}

/// Checks a condition.
pub fn condition(tree: Tree, subject: &Subject) -> Result<Checked, ExpressionError> {
    let each = |trees: Vec<Tree>| trees.into_iter().map(|tree| condition(tree, subject)).collect::<Result<Vec<_>, _>>();
    Ok(match tree {
        Tree::Or(trees) => Checked::Or(each(trees)?),
        Tree::And(trees) => Checked::And(each(trees)?),
        Tree::Not(tree) => Checked::Not(Box::new(condition(*tree, subject)?)),
        Tree::Constant(value) => Checked::Constant(value),
        Tree::Exists(term) => match path(&term, subject)? {
            CheckedTerm::Literal(_) => {
                return Err(ExpressionError::new(term.place, "`exists` wants a field, not a constant"));
            }
            found => Checked::Exists(found),
        },
        Tree::Test(Test::Matches, left, right) => matches(&left, &right, subject)?,
        Tree::Test(test, left, right) => compare(test, &left, &right, subject)?,
    })
}

/// Checks a path, or any other term.
pub fn path(term: &Term, subject: &Subject) -> Result<CheckedTerm, ExpressionError> {
    let literal = match &term.kind {
        TermKind::Path(name, keys) => return resolve(name, keys, term.place, subject),
        TermKind::Text(text) => Literal::Text(text.as_str().into()),
        TermKind::Int(number) => Literal::Int(*number),
        TermKind::Severity(severity) => Literal::Int(i64::from(severity.0)),
        TermKind::Float(number) => Literal::Double(*number),
        TermKind::Bool(value) => Literal::Bool(*value),
        TermKind::Nil => Literal::Nil,
    };
    Ok(CheckedTerm::Literal(literal))
}

/// The map of a span's events.
const EVENTS: &str = "events";

fn resolve(name: &str, keys: &[String], place: Place, subject: &Subject) -> Result<CheckedTerm, ExpressionError> {
    if name == subject.attributes {
        if keys.is_empty() {
            let error = ExpressionError::new(place, format!("`{name}` is a map: name one of them"));
            return Err(error.help(format!("write `{name}[\"key\"]`")));
        }
        if subject.signal == Signal::Metrics && *keys == [METRIC_NAME] {
            return Ok(CheckedTerm::Field(super::metrics::NAME, Kind::Text));
        }
        if keys.len() > 1 && subject.attribute != Kind::Any {
            let words = format!("a member of `{name}` is {}, which has no keys", subject.attribute.words());
            return Err(ExpressionError::new(place, words).help(format!("write `{name}[{:?}]`", keys[0])));
        }
        return Ok(CheckedTerm::Attribute(keys.iter().map(|key| key.as_str().into()).collect()));
    }
    if name == "resource" || name == "resource.attributes" {
        return match (name, keys) {
            ("resource", [key]) => Ok(CheckedTerm::Resource(key.as_str().into())),
            (_, [key]) => Err(ExpressionError::new(place, "attributes of the resource have a shorter name")
                .help(format!("write `resource[{key:?}]`"))),
            _ => Err(ExpressionError::new(place, "`resource` wants exactly one key")
                .help("write `resource[\"k8s.namespace.name\"]`")),
        };
    }
    if name == EVENTS && subject.signal == Signal::Traces {
        if keys.is_empty() {
            let error = ExpressionError::new(place, "`events` is a map: name one of them");
            return Err(error.help("write `exists(events[\"exception\"])`, or `events[\"exception\"][\"exception.type\"]` for an attribute of the first"));
        }
        return Ok(CheckedTerm::Event(keys.iter().map(|key| key.as_str().into()).collect()));
    }
    let Some(field) = subject.field(name) else { return Err(unknown(name, place, subject)) };
    if !keys.is_empty() {
        let error = ExpressionError::new(place, format!("`{name}` is {}, which has no keys", field.kind.words()));
        return Err(error.help(match subject.signal {
            Signal::Logs => {
                format!("members of a JSON body become attributes: `parse_json`, then `attributes[{:?}]`", keys[0])
            }
            _ => format!("write `{}[{:?}]`", subject.attributes, keys[0]),
        }));
    }
    Ok(CheckedTerm::Field(field.id, field.kind))
}

fn unknown(name: &str, place: Place, subject: &Subject) -> ExpressionError {
    let error = ExpressionError::new(place, format!("{} have no field `{name}`", subject.signal.name()));
    let first = name.split('.').next().unwrap_or_default();
    if let Some(rest) = name.strip_prefix(&format!("{}.", subject.attributes)) {
        return error.help(format!("write `{}[{rest:?}]`", subject.attributes));
    }
    if let (true, Some(rest)) = (first == "resource", name.strip_prefix("resource.")) {
        return error.help(format!("write `resource[{:?}]`", rest.trim_start_matches("attributes.")));
    }
    error.help(match nearest(name, subject.names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "fields are {}; anything else is `{}[{name:?}]`",
            subject.names().collect::<Vec<_>>().join(", "),
            subject.attributes
        ),
    })
}

fn kind(term: &CheckedTerm, subject: &Subject) -> Kind {
    match term {
        CheckedTerm::Field(_, kind) => *kind,
        CheckedTerm::Attribute(_) => subject.attribute,
        CheckedTerm::Event(keys) => {
            if keys.len() == 1 {
                Kind::Time
            } else {
                Kind::Any
            }
        }
        CheckedTerm::Resource(_) => Kind::Any,
        CheckedTerm::Literal(literal) => match literal {
            Literal::Text(_) => Kind::Text,
            Literal::Int(_) | Literal::Double(_) => Kind::Number,
            Literal::Bool(_) => Kind::Bool,
            Literal::Nil => Kind::Any,
            Literal::Id(id) => Kind::Id(id.len()),
            Literal::Time(_) => Kind::Time,
            Literal::Duration(_) => Kind::Duration,
        },
    }
}

fn compare(test: Test, left: &Term, right: &Term, subject: &Subject) -> Result<Checked, ExpressionError> {
    let (mut l, mut r) = (path(left, subject)?, path(right, subject)?);
    convert(&mut r, right, kind(&l, subject))?;
    convert(&mut l, left, kind(&r, subject))?;
    if matches!(test, Test::Equal | Test::NotEqual) {
        word(&mut r, right, kind(&l, subject))?;
        word(&mut l, left, kind(&r, subject))?;
    }
    let ordered = matches!(test, Test::Less | Test::LessOrEqual | Test::Greater | Test::GreaterOrEqual);
    let of_text = matches!(test, Test::StartsWith | Test::EndsWith | Test::Contains);
    for (checked, term) in [(&l, left), (&r, right)] {
        if *checked == CheckedTerm::Literal(Literal::Nil) && (ordered || of_text) {
            let error = ExpressionError::new(term.place, format!("`{}` never holds for `nil`", test.sign()));
            return Err(error.help("ask whether a value is there with `== nil` or `exists(…)`"));
        }
        let kind = kind(checked, subject);
        if of_text && !matches!(kind, Kind::Text | Kind::Word(_) | Kind::Any) {
            return Err(ExpressionError::new(
                term.place,
                format!("`{}` wants texts; this is {}", test.sign(), kind.words()),
            ));
        }
        if ordered && matches!(kind, Kind::Bool | Kind::Id(_)) {
            return Err(
                ExpressionError::new(term.place, format!("{} has no order", kind.words())).help("use `==` or `!=`")
            );
        }
    }
    let (a, b) = (kind(&l, subject), kind(&r, subject));
    if !a.fits(b) {
        let error = ExpressionError::new(
            (left.place.0, right.place.1),
            format!("{} is compared with {}, which never holds", a.words(), b.words()),
        );
        return Err(match (&left.kind, &right.kind) {
            (TermKind::Path(name, _), TermKind::Text(text)) if name == "severity_number" => {
                error.help(format!("write `{}` without quotes, or compare `severity_text`", text.to_uppercase()))
            }
            _ if a == Kind::Duration || b == Kind::Duration => {
                error.help("write a duration with its unit: `\"250ms\"`")
            }
            (_, TermKind::Severity(severity)) if subject.field("severity_number").is_none() => {
                error.help(format!("write {:?}, with quotes", severity.text()))
            }
            (_, TermKind::Severity(severity)) => {
                error.help(format!("write {:?}, or compare `severity_number`", severity.text()))
            }
            _ => error,
        });
    }
    Ok(Checked::Test(test, l, r))
}

fn matches(left: &Term, right: &Term, subject: &Subject) -> Result<Checked, ExpressionError> {
    let checked = path(left, subject)?;
    let kind = kind(&checked, subject);
    if !matches!(kind, Kind::Text | Kind::Word(_) | Kind::Any) {
        return Err(ExpressionError::new(left.place, format!("`matches` wants a text; this is {}", kind.words())));
    }
    let TermKind::Text(pattern) = &right.kind else {
        return Err(ExpressionError::new(right.place, "`matches` wants a pattern that is written out")
            .help("write a regular expression between double quotes"));
    };
    let regex = regex(pattern).map_err(|why| {
        ExpressionError::new(right.place, format!("the pattern is wrong: {why}"))
            .help("the syntax is that of https://docs.rs/regex#syntax")
    })?;
    Ok(Checked::Matches(checked, regex))
}

/// Checks `target = value`.
pub fn assignment(
    target: &Term,
    value: &Term,
    subject: &Subject,
) -> Result<(CheckedTerm, CheckedTerm), ExpressionError> {
    let to = path(target, subject)?;
    let mut from = path(value, subject)?;
    let name = match &target.kind {
        TermKind::Path(name, _) => name.as_str(),
        _ => "",
    };
    let spec: Option<&FieldSpec> = subject.field(name);
    let is_fixed = match &to {
        CheckedTerm::Resource(_) => subject.signal != Signal::Traces,
        CheckedTerm::Event(_) => true,
        _ => spec.is_some_and(|spec| !spec.settable),
    };
    if is_fixed {
        let error = ExpressionError::new(target.place, format!("`{name}` cannot be set"));
        return Err(error.help(format!("set an attribute: `{}[\"key\"] = …`", subject.attributes)));
    }
    if from == CheckedTerm::Literal(Literal::Nil) {
        return Err(
            ExpressionError::new(value.place, "a `set` from nothing does nothing").help("use the step `delete`")
        );
    }
    let wants = kind(&to, subject);
    convert(&mut from, value, wants)?;
    word(&mut from, value, wants)?;
    let gives = kind(&from, subject);
    if !wants.fits(gives) {
        return Err(ExpressionError::new(
            value.place,
            format!("`{name}` is {}; this is {}", wants.words(), gives.words()),
        ));
    }
    if let (Kind::Number, CheckedTerm::Literal(Literal::Double(_)))
    | (Kind::Number, CheckedTerm::Literal(Literal::Int(i64::MIN..=0 | 25..))) = (wants, &from)
    {
        return Err(ExpressionError::new(value.place, format!("`{name}` is an integer from 1 to 24"))
            .help("write a severity such as `INFO`"));
    }
    if let (CheckedTerm::Field(super::metrics::NAME, _), CheckedTerm::Literal(Literal::Text(text))) = (&to, &from)
        && text.is_empty()
    {
        let error = ExpressionError::new(value.place, "a metric cannot be without a name");
        return Err(error.help("write a name, or drop its samples with the step `drop`"));
    }
    if let (CheckedTerm::Field(super::logs::SEVERITY_TEXT, _), CheckedTerm::Literal(Literal::Text(text))) = (&to, &from)
        && Severity::from_text(text.as_bytes()).is_none()
    {
        let error = ExpressionError::new(value.place, format!("{text:?} is no severity"));
        return Err(error.help("write a name such as \"INFO\", \"WARN2\" or \"error\""));
    }
    Ok((to, from))
}

#[cfg(test)]
mod tests;
