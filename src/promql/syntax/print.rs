//! Queries in one line, as Prometheus prints them.

use std::fmt::{self, Display, Formatter, Write as _};

use super::super::functions::Extension;
use super::super::tree::{Aggregate, At, Binary, Expr, Group, LabelList, Node, Selected, Shift, Subquery};
use super::length::Milliseconds;
use crate::data::labels::METRIC_NAME;
use crate::formats::go::Quoted;
use crate::series::{MatchOp, Matcher};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Number { value, duration: true } => Milliseconds((value * 1000.0).round() as i64).fmt(f),
            Node::Number { value, .. } => Number(*value).fmt(f),
            Node::Text(text) => Quoted(text).fmt(f),
            Node::Bytes(written) => f.write_str(written),
            Node::Select(selected) => {
                selected.fmt(f)?;
                at(&selected.shift, f)?;
                extension(selected.extension, f)?;
                offset(&selected.shift, f)
            }
            Node::Range(selected, range) => {
                write!(f, "{selected}[{range}]")?;
                extension(selected.extension, f)?;
                at(&selected.shift, f)?;
                offset(&selected.shift, f)
            }
            Node::Subquery(subquery) => {
                subquery.inner.fmt(f)?;
                Reach(subquery).fmt(f)
            }
            Node::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                list(&call.arguments, f)?;
                f.write_char(')')
            }
            Node::Aggregate(aggregate) => aggregate.fmt(f),
            Node::Binary(_) => chain(self, f),
            Node::Negate(inner) => write!(f, "-{inner}"),
            Node::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Selected {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("");
        f.write_str(name)?;
        let is_name = |matcher: &&Matcher| {
            self.name.is_some() && &*matcher.name == METRIC_NAME && matches!(matcher.op, MatchOp::Equal)
        };
        let mut matchers: Vec<String> = self.matchers.iter().filter(|matcher| !is_name(matcher)).map(matcher).collect();
        matchers.sort();
        if matchers.is_empty() && self.name.is_some() { Ok(()) } else { write!(f, "{{{}}}", matchers.join(",")) }
    }
}

fn matcher(matcher: &Matcher) -> String {
    let sign = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Matches(_) => "=~",
        MatchOp::MatchesNot(_) => "!~",
    };
    format!("{}{sign}{}", Label(&matcher.name), Quoted(&matcher.value))
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Head(self).fmt(f)?;
        match &self.parameter {
            Some(parameter) => write!(f, "({parameter}, {})", self.inner),
            None => write!(f, "({})", self.inner),
        }
    }
}

/// A chain of operators, which is as deep on its left as it is long.
fn chain(expr: &Expr, f: &mut Formatter<'_>) -> fmt::Result {
    let mut chain = Vec::new();
    let mut at = expr;
    while let Node::Binary(binary) = &at.node {
        chain.push(binary);
        at = &binary.left;
    }
    at.fmt(f)?;
    chain.into_iter().rev().try_for_each(|binary| binary.fmt(f))
}

/// What an aggregation does, and by which labels.
pub(super) struct Head<'a>(pub(super) &'a Aggregate);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.aggregation.name())?;
        let LabelList { these, names } = &self.0.grouping;
        match (these, names.is_empty()) {
            (true, true) => Ok(()),
            (true, false) => write!(f, " by ({}) ", Labels(names)),
            (false, _) => write!(f, " without ({}) ", Labels(names)),
        }
    }
}

/// What follows the expression of a subquery.
pub(super) struct Reach<'a>(pub(super) &'a Subquery);

impl Display for Reach<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        at(&self.0.shift, f)?;
        offset(&self.0.shift, f)
    }
}

/// An operation without its left side.
impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " {} {}", Operation(self), self.right)
    }
}

/// The operator between two expressions, and how samples of both sides find each other.
pub(super) struct Operation<'a>(pub(super) &'a Binary);

impl Display for Operation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.operator.sign())?;
        if self.0.returns_bool {
            f.write_str(" bool")?;
        }
        let matching = &self.0.matching;
        if matching.on.these || !matching.on.names.is_empty() || matching.group != Group::None {
            let word = if matching.on.these { "on" } else { "ignoring" };
            write!(f, " {word} ({})", Labels(&matching.on.names))?;
        }
        match &matching.group {
            Group::None => {}
            Group::Left(labels) => write!(f, " group_left ({})", Labels(labels))?,
            Group::Right(labels) => write!(f, " group_right ({})", Labels(labels))?,
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({})", Number(left))?,
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({})", Number(left))?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({})", Number(right))?;
                }
            }
        }
        Ok(())
    }
}

fn list(all: &[Expr], f: &mut Formatter<'_>) -> fmt::Result {
    for (place, expr) in all.iter().enumerate() {
        if place > 0 {
            f.write_str(", ")?;
        }
        expr.fmt(f)?;
    }
    Ok(())
}

fn at(shift: &Shift, f: &mut Formatter<'_>) -> fmt::Result {
    match shift.at {
        None => Ok(()),
        Some(At::Time(time)) => write!(f, " @ {:.3}", time as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn offset(shift: &Shift, f: &mut Formatter<'_>) -> fmt::Result {
    match &shift.offset {
        None => Ok(()),
        Some(offset) if offset.fixed() == Some(0) => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

fn extension(extension: Extension, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_str(match extension {
        Extension::None => "",
        Extension::Anchored => " anchored",
        Extension::Smoothed => " smoothed",
    })
}

struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            number => number.fmt(f),
        }
    }
}

struct Labels<'a>(&'a [Box<str>]);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, label) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            Label(label).fmt(f)?;
        }
        Ok(())
    }
}

/// A label's name, quoted if the grammar of old would not take it.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = |char: char| char == '_' || char.is_ascii_alphanumeric();
        if self.0.starts_with(|char: char| char.is_ascii_digit()) || !self.0.chars().all(plain) || self.0.is_empty() {
            Quoted(self.0).fmt(f)
        } else {
            f.write_str(self.0)
        }
    }
}
