//! `sign`, `factorial`, `scale`, `trim_scale` and `width_bucket`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256};
use datafusion::common::{Result, exec_err, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::define::{documentation, numeric, of_rows};
use crate::query::arithmetic::{DIGITS, decimal};

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Sign,
    Factorial,
    Scale,
    MinScale,
    TrimScale,
    WidthBucket,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Whole {
    name: &'static str,
    what: What,
    signature: Signature,
    documentation: Documentation,
}

pub(super) fn all() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [
        ("sign", What::Sign, "-1, 0 or 1, as the number is negative, zero or positive.", "sign(x)", "select sign(-2), sign(1.5) -- -1, 1"),
        ("factorial", What::Factorial, "The product of the whole numbers from 1 on, of 33 at most.", "factorial(n)", "select factorial(5) -- 120"),
        ("scale", What::Scale, "The digits that a decimal has after the point.", "scale(x)", "select scale(1.50) -- 2"),
        ("min_scale", What::MinScale, "The digits that a decimal needs after the point.", "min_scale(x)", "select min_scale(1.50) -- 1"),
        ("trim_scale", What::TrimScale, "The decimal; the zeros at the end of its column's type stay.", "trim_scale(x)", "select trim_scale(1.50) = 1.5"),
        ("width_bucket", What::WidthBucket, "Which of `count` equal ranges between two bounds a number is in: 0 is before the first, `count + 1` after the last.", "width_bucket(x, low, high, count)", "select width_bucket(5.35, 0.024, 10.06, 5) -- 3"),
    ]
    .into_iter()
    .map(|(name, what, about, syntax, example)| {
        Arc::new(ScalarUDF::from(Whole {
            name,
            what,
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation(about, syntax, example),
        }))
    })
}

impl ScalarUDFImpl for Whole {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        for given in arg_types {
            numeric(given, self.name)?;
        }
        let exact = |data_type: &DataType| match decimal(data_type) {
            Some((precision, scale)) => DataType::Decimal128(precision, scale),
            None => DataType::Float64,
        };
        match (self.what, arg_types) {
            (What::Factorial, [_]) => Ok(vec![DataType::Int64]),
            (What::Scale | What::MinScale | What::TrimScale | What::Sign, [own]) => Ok(vec![exact(own)]),
            (What::WidthBucket, [bounds @ .., _]) if bounds.len() == 3 => {
                // All at one scale, if they are exact and have room.
                let decimals = bounds.iter().map(decimal).collect::<Option<Vec<_>>>();
                let scale = decimals.iter().flatten().map(|(_, scale)| *scale).max().unwrap_or(0);
                let fit = |(precision, own): &(u8, i8)| *precision as i8 - own + scale <= DIGITS as i8;
                let own = match decimals {
                    Some(decimals) if decimals.iter().all(fit) => DataType::Decimal128(DIGITS, scale),
                    _ => DataType::Float64,
                };
                Ok(vec![own.clone(), own.clone(), own, DataType::Int64])
            }
            _ => plan_err!("{} is called as {}", self.name, self.documentation.syntax_example),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(match (self.what, arg_types) {
            (What::Sign, [DataType::Float64]) => DataType::Float64,
            (What::TrimScale, [own]) => own.clone(),
            (What::Factorial, _) => DataType::Decimal128(DIGITS, 0),
            _ => DataType::Int64,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_rows(&args.args, |arrays| match (self.what, arrays) {
            (What::WidthBucket, [x, low, high, count]) => width_bucket(x, low, high, count.as_primitive()),
            (What::Factorial, [n]) => {
                let n: &Int64Array = n.as_primitive();
                let factorials: Decimal128Array = n.try_unary::<_, Decimal128Type, _>(factorial)?;
                Ok(Arc::new(factorials.with_data_type(DataType::Decimal128(DIGITS, 0))))
            }
            (what, [x]) if *x.data_type() == DataType::Float64 => {
                let x: &Float64Array = x.as_primitive();
                match what {
                    What::Sign => Ok(Arc::new(x.unary::<_, Float64Type>(|x| {
                        if x == 0.0 || x.is_nan() { x + 0.0 } else { x.signum() }
                    }))),
                    _ => plan_err!("{} takes decimals, and not doubles", self.name),
                }
            }
            (What::TrimScale, [x]) => Ok(x.clone()),
            (what, [x]) => {
                let scale = decimal(x.data_type()).unwrap_or_default().1;
                let x: &Decimal128Array = x.as_primitive();
                let of = |x: i128| match what {
                    What::Sign => x.signum() as i64,
                    What::Scale => i64::from(scale),
                    _ => min_scale(x, scale),
                };
                Ok(Arc::new(x.unary::<_, Int64Type>(of)))
            }
            _ => internal_err!("{} was called with other arguments", self.name),
        })
    }
}

fn factorial(n: i64) -> Result<i128> {
    match n {
        ..0 => exec_err!("factorial of a negative number is undefined"),
        0..=33 => Ok((1..=i128::from(n)).product()),
        _ => exec_err!("numeric overflow: a factorial has more than {DIGITS} digits"),
    }
}

/// The digits after the point without the zeros at the end.
fn min_scale(mut x: i128, mut scale: i8) -> i64 {
    while scale > 0 && x % 10 == 0 {
        x /= 10;
        scale -= 1;
    }
    i64::from(scale)
}

fn width_bucket(x: &ArrayRef, low: &ArrayRef, high: &ArrayRef, count: &Int64Array) -> Result<ArrayRef> {
    let counted = |count: i64| match count {
        1..=2_147_483_646 => Ok(count),
        _ => exec_err!("the count of width_bucket must be greater than zero, and fit an integer"),
    };
    let mut answers = Vec::with_capacity(x.len());
    if *x.data_type() == DataType::Float64 {
        let [x, low, high]: [&Float64Array; 3] = [x, low, high].map(|array| array.as_primitive());
        for (((x, low), high), count) in x.iter().zip(low).zip(high).zip(count) {
            answers.push(match (x, low, high, count) {
                (Some(x), Some(low), Some(high), Some(count)) => {
                    let count = counted(count)?;
                    if !low.is_finite() || !high.is_finite() || x.is_nan() || low == high {
                        return exec_err!(
                            "the bounds of width_bucket must be finite and differ, and its operand not NaN"
                        );
                    }
                    let (done, width) = if low < high {
                        (x - low, high - low)
                    } else {
                        (low - x, low - high)
                    };
                    Some(match done {
                        before if before < 0.0 => 0,
                        after if after >= width => count + 1,
                        done => ((done * count as f64 / width) as i64).min(count - 1) + 1,
                    })
                }
                _ => None,
            });
        }
    } else {
        let [x, low, high]: [&Decimal128Array; 3] = [x, low, high].map(|array| array.as_primitive());
        for (((x, low), high), count) in x.iter().zip(low).zip(high).zip(count) {
            answers.push(match (x, low, high, count) {
                (Some(x), Some(low), Some(high), Some(count)) => {
                    let count = counted(count)?;
                    let [x, low, high] = [x, low, high].map(i256::from_i128);
                    if low == high {
                        return exec_err!("the bounds of width_bucket must differ");
                    }
                    let (done, width) = match low < high {
                        true => (x.wrapping_sub(low), high.wrapping_sub(low)),
                        false => (low.wrapping_sub(x), low.wrapping_sub(high)),
                    };
                    Some(if done.is_negative() {
                        0
                    } else if done >= width {
                        count + 1
                    } else {
                        let part = done.wrapping_mul(i256::from_i128(count.into())).wrapping_div(width);
                        part.to_i128()
                            .and_then(|part| i64::try_from(part).ok())
                            .unwrap_or_default()
                            + 1
                    })
                }
                _ => None,
            });
        }
    }
    Ok(Arc::new(Int64Array::from(answers)))
}
