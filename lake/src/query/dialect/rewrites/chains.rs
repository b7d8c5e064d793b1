//! Long chains of one operator, as tools write them, made into trees of little depth: what follows recurses.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, SetExpr, SetOperator, SetQuantifier};

use super::build;
use crate::query::pairs::in_pairs;

/// The length from which a chain of an operator is balanced, if the result is the same however its operands are grouped.
fn longest(op: &BinaryOperator) -> Option<usize> {
    match op {
        BinaryOperator::And | BinaryOperator::Or => Some(16),
        // Grouping changes the last digits of doubles, so that only what would be too deep otherwise is grouped anew.
        BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply | BinaryOperator::StringConcat => {
            Some(50)
        }
        _ => None,
    }
}

/// Whether the operators may stand in one chain: `a + b - c` is what is added less what is taken away.
fn go_together(op: &BinaryOperator, other: &BinaryOperator) -> bool {
    let adds = |op: &BinaryOperator| matches!(op, BinaryOperator::Plus | BinaryOperator::Minus);
    op == other || (adds(op) && adds(other))
}

/// `minus` is Oracle's word for `except`.
pub(super) fn name_except(set: &mut SetExpr) {
    let mut rest = vec![set];
    while let Some(set) = rest.pop() {
        if let SetExpr::SetOperation { op, left, right, .. } = set {
            if *op == SetOperator::Minus {
                *op = SetOperator::Except;
            }
            rest.extend([&mut **left, &mut **right]);
        }
    }
}

/// Balances the chain that ends in this operator.
pub(super) fn balance(expr: &mut Expr) {
    let Expr::BinaryOp { op, .. } = expr else {
        return;
    };
    let op = op.clone();
    let Some(longest) = longest(&op) else {
        return;
    };
    let mut length = 1;
    let mut at = &*expr;
    while let Expr::BinaryOp { left, op: other, .. } = at
        && go_together(&op, other)
    {
        length += 1;
        at = left;
    }
    if length <= longest {
        return;
    }
    let mut operands = Vec::with_capacity(length);
    let mut taken = Vec::new();
    let mut rest = std::mem::replace(expr, Expr::Tuple(Vec::new()));
    loop {
        match rest {
            Expr::BinaryOp { left, op: other, right } if go_together(&op, &other) => {
                match other {
                    BinaryOperator::Minus => taken.push(*right),
                    _ => operands.push(*right),
                }
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    let op = match op {
        BinaryOperator::Minus => BinaryOperator::Plus,
        op => op,
    };
    let join = |left, right| build::binary(left, op.clone(), right);
    taken.reverse();
    operands.reverse();
    let taken = in_pairs(taken, join);
    let joined = in_pairs(operands, join);
    *expr = match (joined, taken) {
        (Some(joined), Some(taken)) => build::binary(joined, BinaryOperator::Minus, taken),
        (Some(joined), None) => joined,
        // There is a first operand always.
        (None, _) => return,
    };
}

/// Balances a chain of one set operation: `… union all … union all …`.
pub(super) fn balance_sets(set: &mut SetExpr) {
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier,
        ..
    } = set
    else {
        return;
    };
    let quantifier = *set_quantifier;
    if quantifier == SetQuantifier::ByName {
        return;
    }
    let mut operands = Vec::new();
    let mut rest = std::mem::replace(set, SetExpr::Values(build::no_values()));
    loop {
        match rest {
            SetExpr::SetOperation {
                op: SetOperator::Union,
                set_quantifier,
                left,
                right,
            } if set_quantifier == quantifier => {
                operands.push(*right);
                rest = *left;
            }
            first => {
                operands.push(first);
                break;
            }
        }
    }
    let join = |left, right| SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: quantifier,
        left: Box::new(left),
        right: Box::new(right),
    };
    operands.reverse();
    if let Some(tree) = in_pairs(operands, join) {
        *set = tree;
    }
}
