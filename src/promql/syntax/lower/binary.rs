//! Binary operators: which side is matched with which, and on what types they may stand.

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
        self.check_binary(&binary)?;
        let (left, right) = (&binary.left, &binary.right);
        let scalars = left.value_type == ValueType::Scalar && right.value_type == ValueType::Scalar;
        let value_type = if scalars { ValueType::Scalar } else { ValueType::Vector };
        let (place, constant) = (left.place, left.constant && right.constant);
        Ok(expr(Node::Binary(Box::new(binary)), place, value_type, constant))
    }

    fn check_binary(&self, binary: &Binary) -> Result<(), ParseError> {
        let Binary { operator, left, right, returns_bool, matching } = binary;
        let place = left.place;
        let fail = |message: &str| Err(self.error(place, message.to_owned()));
        let is = |side: &Expr, value_type| side.value_type == value_type;
        if *returns_bool && !operator.compares() {
            return fail("bool modifier can only be used on comparison operators");
        }
        let scalar = is(left, ValueType::Scalar) || is(right, ValueType::Scalar);
        if operator.compares() && !returns_bool && is(left, ValueType::Scalar) && is(right, ValueType::Scalar) {
            return fail("comparisons between scalars must use BOOL modifier");
        }
        for side in [left, right] {
            if !matches!(side.value_type, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types".to_owned();
                return Err(self.error(side.place, message));
            }
        }
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if scalar && operator.is_set() {
            return fail(&format!("set operator {:?} not allowed in binary scalar expression", operator.sign()));
        }
        if scalar && !matching.on.names.is_empty() {
            return fail("vector matching only allowed between instant vectors");
        }
        if scalar && fills {
            return fail("filling in missing series only allowed between instant vectors");
        }
        if operator.is_set() && matching.group != Group::None {
            return fail(&format!("no grouping allowed for {:?} operation", operator.sign()));
        }
        if operator.is_set() && fills {
            return fail("filling in missing series not allowed for set operators");
        }
        if let Group::Left(labels) | Group::Right(labels) = &matching.group
            && matching.on.these
            && let Some(label) = labels.iter().find(|label| matching.on.names.contains(label))
        {
            return fail(&format!("label {:?} must not occur in ON and GROUP clause at once", &**label));
        }
        Ok(())
    }
}
