//! What is calculated.

use datafusion::logical_expr::Operator;
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// An operation on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// What a division leaves, with the sign of the dividend.
    Modulo,
    /// The whole part of a quotient.
    DivideWhole,
}

impl Operation {
    /// What an operator of SQL stands for.
    pub fn of_sql(operator: &BinaryOperator) -> Option<Operation> {
        match operator {
            BinaryOperator::Plus => Some(Operation::Add),
            BinaryOperator::Minus => Some(Operation::Subtract),
            BinaryOperator::Multiply => Some(Operation::Multiply),
            BinaryOperator::Divide => Some(Operation::Divide),
            BinaryOperator::Modulo => Some(Operation::Modulo),
            BinaryOperator::DuckIntegerDivide | BinaryOperator::MyIntegerDivide => Some(Operation::DivideWhole),
            _ => None,
        }
    }

    /// What an operator of the engine stands for.
    pub fn of_engine(operator: Operator) -> Option<Operation> {
        match operator {
            Operator::Plus => Some(Operation::Add),
            Operator::Minus => Some(Operation::Subtract),
            Operator::Multiply => Some(Operation::Multiply),
            Operator::Divide => Some(Operation::Divide),
            Operator::Modulo => Some(Operation::Modulo),
            _ => None,
        }
    }

    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
            Operation::Divide => "/",
            Operation::Modulo => "%",
            Operation::DivideWhole => "//",
        }
    }
}
