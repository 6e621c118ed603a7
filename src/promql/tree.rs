//! The typed tree of a query. What is in it was checked: the evaluator meets no type that it does not expect.

use super::functions::{Extension, Function, Place};
use super::query::ValueType;
use super::syntax::Length;
use crate::series::Matcher;

/// An expression and where it begins in the query's text.
#[derive(Debug)]
pub(super) struct Expr {
    pub node: Node,
    pub place: Place,
    pub value_type: ValueType,
    /// Whether it is the same at every step: all that it reads is pinned by `@`, or it reads nothing.
    pub constant: bool,
}

#[derive(Debug)]
pub(super) enum Node {
    /// A number, and whether it was written as a duration.
    Number { value: f64, duration: bool },
    /// A text.
    Text(Box<str>),
    /// A text that is not UTF-8, as it was written: nothing that takes a text can do with it.
    Bytes(Box<str>),
    /// An instant selector.
    Select(Box<Selected>),
    /// A range selector.
    Range(Box<Selected>, Length),
    /// An expression evaluated over a range.
    Subquery(Box<Subquery>),
    /// A call of a function.
    Call(Box<Call>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// A binary operation.
    Binary(Box<Binary>),
    /// A negation.
    Negate(Box<Expr>),
    /// An expression in parentheses.
    Paren(Box<Expr>),
}

/// Which series a selector means, and when.
#[derive(Debug)]
pub(super) struct Selected {
    /// The name written before the braces, if it is.
    pub name: Option<Box<str>>,
    pub matchers: Vec<Matcher>,
    pub shift: Shift,
    pub extension: Extension,
    /// Whether of histograms only counts and sums are wanted.
    pub summaries: bool,
}

/// How the time of a selector or a subquery differs from that of the evaluation.
#[derive(Debug, Default)]
pub(super) struct Shift {
    pub at: Option<At>,
    pub offset: Option<Length>,
}

/// What `@` pins to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum At {
    /// Milliseconds since 1970.
    Time(i64),
    /// The first step.
    Start,
    /// The last step.
    End,
}

#[derive(Debug)]
pub(super) struct Subquery {
    pub inner: Expr,
    pub range: Length,
    pub step: Option<Length>,
    pub shift: Shift,
}

#[derive(Debug)]
pub(super) struct Call {
    pub function: &'static Function,
    pub arguments: Vec<Expr>,
}

/// What an aggregation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Limitk,
    LimitRatio,
    Quantile,
    CountValues,
}

impl Aggregation {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            "limitk" => Self::Limitk,
            "limit_ratio" => Self::LimitRatio,
            "quantile" => Self::Quantile,
            "count_values" => Self::CountValues,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
            Self::Quantile => "quantile",
            Self::CountValues => "count_values",
        }
    }

    /// Whether it picks series instead of making new ones.
    pub fn picks(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::Limitk | Self::LimitRatio)
    }
}

#[derive(Debug)]
pub(super) struct Aggregate {
    pub aggregation: Aggregation,
    pub grouping: LabelList,
    pub parameter: Option<Expr>,
    pub inner: Expr,
}

/// Labels that are meant, or all but them.
#[derive(Clone, Debug)]
pub(super) struct LabelList {
    /// `by`, `on`; else `without`, `ignoring`.
    pub these: bool,
    /// As they were written.
    pub names: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    /// `</`: a histogram's observations below.
    TrimUpper,
    /// `>/`: a histogram's observations above.
    TrimLower,
    And,
    Or,
    Unless,
}

impl Operator {
    pub fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "atan2" => Self::Atan2,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::GreaterOrEqual,
            "<=" => Self::LessOrEqual,
            "</" => Self::TrimUpper,
            ">/" => Self::TrimLower,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }

    pub fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterOrEqual => ">=",
            Self::LessOrEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub fn compares(self) -> bool {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterOrEqual | LessOrEqual)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

#[derive(Debug)]
pub(super) struct Binary {
    pub operator: Operator,
    pub left: Expr,
    pub right: Expr,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub returns_bool: bool,
    pub matching: Matching,
}

/// How samples of two vectors find each other.
#[derive(Debug)]
pub(super) struct Matching {
    pub on: LabelList,
    pub group: Group,
    /// What stands for a sample that one side lacks.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

/// On which side several samples may match one.
#[derive(Debug, PartialEq)]
pub(super) enum Group {
    None,
    /// `group_left`: these labels are taken from the right.
    Left(Vec<Box<str>>),
    /// `group_right`: these labels are taken from the left.
    Right(Vec<Box<str>>),
}

impl Expr {
    /// The expression within all parentheses around it.
    pub fn bare(&self) -> &Self {
        match &self.node {
            Node::Paren(inner) => inner.bare(),
            _ => self,
        }
    }
}
