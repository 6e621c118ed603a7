//! Binary operators: which side is matched with which.

use promql_parser::parser as grammar;

use super::super::super::query::{ParseError, ValueType};
use super::super::super::tree::{Binary, Expr, Group, LabelList, Matching, Node, Operator};
use super::{Lowering, expr};

impl Lowering<'_> {
    /// A chain of operators is as deep on its left as it is long, and so is gone through without recursion.
    pub(super) fn binary(&mut self, binary: grammar::BinaryExpr) -> Result<Expr, ParseError> {
        let mut chain = Vec::new();
        let mut at = grammar::Expr::Binary(binary);
        while let grammar::Expr::Binary(mut binary) = at {
            at = std::mem::replace(&mut *binary.lhs, grammar::Expr::from(0.0));
            chain.push(binary);
        }
        let mut left = self.expression(at)?;
        while let Some(binary) = chain.pop() {
            left = self.operation(left, binary)?;
        }
        Ok(left)
    }

    /// One operation, its left side given.
    fn operation(&mut self, left: Expr, binary: grammar::BinaryExpr) -> Result<Expr, ParseError> {
        let sign = binary.op.to_string();
        let operator = if sign == "==" { self.operators.next() } else { Operator::of(&sign) };
        let Some(operator) = operator else { return Err(self.lost()) };
        let modifier = binary.modifier.unwrap_or_default();
        let on = match modifier.matching {
            Some(matching) => self.list(matching)?,
            None => LabelList { these: false, names: Vec::new() },
        };
        let group = match modifier.card {
            grammar::VectorMatchCardinality::ManyToOne(labels) => Group::Left(self.labels(labels)?),
            grammar::VectorMatchCardinality::OneToMany(labels) => Group::Right(self.labels(labels)?),
            _ => Group::None,
        };
        let fill_left = modifier.fill_values.lhs.map(|number| self.fill(number)).transpose()?;
        let fill_right = modifier.fill_values.rhs.map(|number| self.fill(number)).transpose()?;
        let right = self.expression(*binary.rhs)?;
        let matching = Matching { on, group, fill_left, fill_right };
        let returns_bool = modifier.return_bool;
        let binary = Binary { operator, left, right, returns_bool, matching };
        let (left, right) = (&binary.left, &binary.right);
        let scalars = left.value_type == ValueType::Scalar && right.value_type == ValueType::Scalar;
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let (place, constant) = (left.place, left.constant && right.constant);
        Ok(expr(Node::Binary(Box::new(binary)), place, value_type, constant))
    }
}
