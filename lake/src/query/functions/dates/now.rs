//! The time at which a statement began: `now()` and its other names.

use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use super::calendar::DAY;
use super::trunc::{rounded, rounded_instant};
use super::values::timestamp;

/// What is told of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    /// The instant.
    Instant,
    /// What the clock of UTC shows.
    Clock,
    /// What it shows of the day.
    TimeOfDay,
}

/// `now()`, `localtimestamp` and `localtime`.
pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let of = |what, name, aliases: &[&str], about| {
        let section = DocSection {
            include: true,
            label: super::FAMILY,
            description: None,
        };
        let documentation = Documentation::builder(section, about, format!("{name}()"))
            .with_sql_example(format!("select {name}()"))
            .build();
        // With a precision: `current_timestamp(3)`.
        let signature = vec![TypeSignature::Nullary, TypeSignature::Exact(vec![DataType::Int64])];
        Arc::new(ScalarUDF::from(Now {
            what,
            name,
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            signature: Signature::one_of(signature, Volatility::Stable),
            documentation,
        }))
    };
    vec![
        of(
            What::Instant,
            "now",
            &[
                "current_timestamp",
                "transaction_timestamp",
                "statement_timestamp",
                "clock_timestamp",
                "systimestamp",
                "sysdatetimeoffset",
                "get_current_timestamp",
            ],
            "The instant at which the statement began.",
        ),
        of(
            What::Clock,
            "localtimestamp",
            &[
                "getdate",
                "getutcdate",
                "sysdate",
                "sysdatetime",
                "sysutcdatetime",
                "current_datetime",
                "current_localtimestamp",
                "utc_timestamp",
            ],
            "The time at which the statement began, on the clock of UTC and without a zone.",
        ),
        of(
            What::TimeOfDay,
            "localtime",
            &["current_localtime", "current_time", "utc_time"],
            "The time of day at which the statement began, on the clock of UTC.",
        ),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    what: What,
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

impl Now {
    fn at(&self, began: DateTime<Utc>, digits: i64) -> ScalarValue {
        let micros = began.timestamp_micros();
        let instant = rounded_instant(micros, digits);
        match self.what {
            What::Instant => ScalarValue::TimestampMicrosecond(instant, Some("UTC".into())),
            What::Clock => ScalarValue::TimestampMicrosecond(instant, None),
            What::TimeOfDay => {
                let of_day = rounded(micros.rem_euclid(DAY), 0, digits);
                ScalarValue::Time64Nanosecond(of_day.map(|micros| micros * 1000))
            }
        }
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.what {
            What::Instant => timestamp(true),
            What::Clock => timestamp(false),
            What::TimeOfDay => DataType::Time64(TimeUnit::Nanosecond),
        })
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} is known before the statement runs", self.name)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let digits = match args.as_slice() {
            [] => Some(6),
            [Expr::Literal(ScalarValue::Int64(digits), _)] => *digits,
            _ => None,
        };
        Ok(match (context.query_execution_start_time(), digits) {
            (Some(began), Some(digits)) => ExprSimplifyResult::Simplified(Expr::Literal(self.at(began, digits), None)),
            _ => ExprSimplifyResult::Original(args),
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
