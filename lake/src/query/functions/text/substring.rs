//! `substr`, of integers of any width and of bytes. The engine's takes integers of 32 and 64 bits, and texts.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::functions::unicode::substr;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Its name.
pub(in crate::query) const NAME: &str = "substr";

/// The function.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Substring {
        engine: substr(),
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Substring {
    engine: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Substring {
    fn name(&self) -> &str {
        NAME
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        use DataType as T;
        let (Some((value, places)), 2..=3) = (given.split_first(), given.len()) else {
            return plan_err!("substr is written substr(text, start[, count])");
        };
        let value = match value {
            T::Utf8 | T::LargeUtf8 | T::Utf8View => value.clone(),
            T::Null => T::Utf8,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
            T::Dictionary(_, text) if text.is_string() => text.as_ref().clone(),
            other => return plan_err!("substr takes a text, not {other}: substr(cast(x as varchar), start[, count])"),
        };
        let mut types = vec![value];
        for place in places {
            if !(place.is_integer() || place.is_null() || place.is_string()) {
                return plan_err!("substr takes whole numbers behind its text, not {place}");
            }
            types.push(T::Int64);
        }
        Ok(types)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.engine.return_type(given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first().map(ColumnarValue::data_type) {
            Some(DataType::Binary) => of_bytes(&args),
            _ => self.engine.invoke_with_args(args),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

fn of_bytes(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let arrays = args.args.iter().map(|arg| arg.to_array(args.number_rows));
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let integer = |place: usize, row: usize| match arrays.get(place) {
        Some(column) if column.is_valid(row) => column.as_primitive_opt::<Int64Type>().map(|own| own.value(row)),
        _ => None,
    };
    let part = |row: usize| -> Result<Option<&[u8]>> {
        let Some(values) = arrays.first().and_then(|values| values.as_binary_opt::<i32>()) else {
            return Ok(None);
        };
        let (Some(start), true) = (integer(1, row), values.is_valid(row)) else {
            return Ok(None);
        };
        let count = match (arrays.len() > 2, integer(2, row)) {
            (true, None) => return Ok(None),
            (true, Some(..0)) => return exec_err!("negative substring length not allowed"),
            (true, Some(count)) => count,
            (false, _) => i64::MAX,
        };
        let bytes = values.value(row);
        let place = |from_one: i64| {
            usize::try_from(from_one.max(1) - 1)
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let (first, behind) = (place(start), place(start.saturating_add(count)));
        Ok(bytes.get(first..behind.max(first)))
    };
    let parts = (0..args.number_rows).map(part).collect::<Result<Vec<_>>>()?;
    Ok(ColumnarValue::Array(Arc::new(BinaryArray::from(parts))))
}
