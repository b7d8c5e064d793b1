//! What the server can do, in the codes of `FlightSql.proto`.
//!
//! Clients cast each value to one arm of the union: names and characters are text, yes and no are booleans, limits
//! int64, levels and bit masks int32. A missing code makes some of them give up, and makes others believe that
//! nothing can be pushed down; so all are there.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportsConvert};

use super::arrow_error;

pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

pub(super) fn answer(command: CommandGetSqlInfo) -> Result<RecordBatch, ArrowError> {
    let all = all()?;
    command.into_builder(&all).build().map_err(arrow_error)
}

fn all() -> Result<SqlInfoData, ArrowError> {
    let mut infos = SqlInfoDataBuilder::new();
    server(&mut infos);
    language(&mut infos);
    functions(&mut infos);
    names(&mut infos);
    limits(&mut infos);
    changes(&mut infos);
    infos.build().map_err(arrow_error)
}

/// The bit mask with these bits.
fn bits(bits: &[u32]) -> i32 {
    bits.iter().fold(0, |mask, bit| mask | 1 << bit)
}

fn server(infos: &mut SqlInfoDataBuilder) {
    infos.append(SqlInfo::FlightSqlServerName, "Cordada");
    infos.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    infos.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    infos.append(SqlInfo::FlightSqlServerReadOnly, true);
    infos.append(SqlInfo::FlightSqlServerSql, true);
    infos.append(SqlInfo::FlightSqlServerSubstrait, false);
    infos.append(SqlInfo::FlightSqlServerSubstraitMinVersion, "");
    infos.append(SqlInfo::FlightSqlServerSubstraitMaxVersion, "");
    infos.append(SqlInfo::FlightSqlServerTransaction, 0_i32);
    infos.append(SqlInfo::FlightSqlServerCancel, true);
    infos.append(SqlInfo::FlightSqlServerBulkIngestion, false);
    infos.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    infos.append(SqlInfo::FlightSqlServerStatementTimeout, 0_i32);
    infos.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn language(infos: &mut SqlInfoDataBuilder) {
    infos.append(
        SqlInfo::SqlIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32,
    );
    infos.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    infos.append(
        SqlInfo::SqlQuotedIdentifierCase,
        SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32,
    );
    infos.append(SqlInfo::SqlAllTablesAreSelectable, true);
    // Ascending puts nulls last and descending puts them first, as if they were larger than everything.
    infos.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    infos.append(SqlInfo::SqlKeywords, KEYWORDS);
    infos.append(SqlInfo::SqlSearchStringEscape, "\\");
    infos.append(SqlInfo::SqlExtraNameCharacters, "");
    infos.append(SqlInfo::SqlSupportsColumnAliasing, true);
    infos.append(SqlInfo::SqlNullPlusNullIsNull, true);
    infos.append(SqlInfo::SqlSupportsConvert, conversions());
    infos.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    infos.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    infos.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    infos.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    infos.append(SqlInfo::SqlSupportedGroupBy, bits(&[0, 1]));
    infos.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
    infos.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    infos.append(SqlInfo::SqlSupportedGrammar, bits(&[0, 1, 2]));
    infos.append(SqlInfo::SqlAnsi92SupportedLevel, bits(&[0, 1]));
    infos.append(SqlInfo::SqlSupportsIntegrityEnhancementFacility, false);
    // Drivers read this as a bit mask: limited (bit 1) and full (bit 2) outer joins.
    infos.append(SqlInfo::SqlOuterJoinsSupportLevel, bits(&[1, 2]));
    // In comparisons, EXISTS and IN; ANY and ALL are not.
    infos.append(SqlInfo::SqlSupportedSubqueries, bits(&[0, 1, 2]));
    infos.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    infos.append(SqlInfo::SqlSupportedUnions, bits(&[0, 1]));
}

fn functions(infos: &mut SqlInfoDataBuilder) {
    infos.append(SqlInfo::SqlNumericFunctions, NUMERIC_FUNCTIONS);
    infos.append(SqlInfo::SqlStringFunctions, STRING_FUNCTIONS);
    infos.append(SqlInfo::SqlSystemFunctions, SYSTEM_FUNCTIONS);
    infos.append(SqlInfo::SqlDatetimeFunctions, DATETIME_FUNCTIONS);
}

fn names(infos: &mut SqlInfoDataBuilder) {
    infos.append(SqlInfo::SqlSchemaTerm, "schema");
    infos.append(SqlInfo::SqlProcedureTerm, "procedure");
    infos.append(SqlInfo::SqlCatalogTerm, "catalog");
    infos.append(SqlInfo::SqlCatalogAtStart, true);
    infos.append(SqlInfo::SqlSchemasSupportedActions, 0_i32);
    infos.append(SqlInfo::SqlCatalogsSupportedActions, 0_i32);
}

/// No limits of its own.
fn limits(infos: &mut SqlInfoDataBuilder) {
    for unlimited in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlDbSchemaNameLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxCatalogNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxStatementLength,
        SqlInfo::SqlMaxStatements,
        SqlInfo::SqlMaxTableNameLength,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        infos.append(unlimited, 0_i64);
    }
    infos.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
}

/// Nothing can be changed through the server.
fn changes(infos: &mut SqlInfoDataBuilder) {
    for no in [
        SqlInfo::SqlDdlCatalog,
        SqlInfo::SqlDdlSchema,
        SqlInfo::SqlDdlTable,
        SqlInfo::SqlSelectForUpdateSupported,
        SqlInfo::SqlStoredProceduresSupported,
        SqlInfo::SqlTransactionsSupported,
        SqlInfo::SqlDataDefinitionCausesTransactionCommit,
        SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
        SqlInfo::SqlBatchUpdatesSupported,
        SqlInfo::SqlSavepointsSupported,
        SqlInfo::SqlNamedParametersSupported,
        SqlInfo::SqlLocatorsUpdateCopy,
        SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
    ] {
        infos.append(no, false);
    }
    infos.append(SqlInfo::SqlSupportedPositionedCommands, 0_i32);
    // None. The specification says int32, the drivers for JDBC and ODBC cast it to int64.
    infos.append(SqlInfo::SqlDefaultTransactionIsolation, 0_i64);
    infos.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, bits(&[0]));
    // Results are read forward, and only read.
    infos.append(SqlInfo::SqlSupportedResultSetTypes, bits(&[1]));
    infos.append(SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0_i32);
    infos.append(SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, bits(&[1]));
    infos.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0_i32);
    infos.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0_i32);
}

/// What CAST converts: numbers and text into each other, dates and times into each other and to and from text.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as C;
    let texts = [C::SqlConvertChar, C::SqlConvertVarchar, C::SqlConvertLongvarchar];
    let numbers = [
        C::SqlConvertBigint,
        C::SqlConvertBit,
        C::SqlConvertDecimal,
        C::SqlConvertFloat,
        C::SqlConvertInteger,
        C::SqlConvertNumeric,
        C::SqlConvertReal,
        C::SqlConvertSmallint,
        C::SqlConvertTinyint,
    ];
    let times = [C::SqlConvertDate, C::SqlConvertTime, C::SqlConvertTimestamp];
    let bytes = [C::SqlConvertBinary, C::SqlConvertVarbinary, C::SqlConvertLongvarbinary];
    let codes = |groups: &[&[C]]| {
        groups
            .iter()
            .flat_map(|group| group.iter().map(|code| *code as i32))
            .collect()
    };
    let mut conversions = BTreeMap::new();
    for from in texts {
        conversions.insert(from as i32, codes(&[&texts, &numbers, &times, &bytes]));
    }
    for from in numbers {
        conversions.insert(from as i32, codes(&[&texts, &numbers]));
    }
    for from in times {
        conversions.insert(from as i32, codes(&[&texts, &times]));
    }
    for from in bytes {
        conversions.insert(from as i32, codes(&[&texts, &bytes]));
    }
    conversions
}

/// Reserved words that standard SQL does not have.
const KEYWORDS: &[&str] = &[
    "ANALYZE", "ANTI", "EXCLUDE", "EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "SEMI", "SHOW", "UNNEST",
];

/// In ODBC's names, those that the engine has under the same name.
const NUMERIC_FUNCTIONS: &[&str] = &[
    "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "COS", "COT", "DEGREES", "EXP", "FLOOR", "LOG", "LOG10", "MOD", "PI",
    "POWER", "RADIANS", "ROUND", "SIN", "SQRT", "TAN",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ASCII",
    "BIT_LENGTH",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "CONCAT",
    "LEFT",
    "LENGTH",
    "LOWER",
    "LTRIM",
    "OCTET_LENGTH",
    "POSITION",
    "REPEAT",
    "REPLACE",
    "RIGHT",
    "RTRIM",
    "SUBSTRING",
    "UPPER",
];

const SYSTEM_FUNCTIONS: &[&str] = &["IFNULL"];

const DATETIME_FUNCTIONS: &[&str] = &["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "EXTRACT", "NOW"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{AsArray, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, UInt32Type};

    use super::*;

    fn all_codes() -> RecordBatch {
        answer(CommandGetSqlInfo::default()).unwrap()
    }

    #[test]
    fn every_code_of_the_specification_is_answered() {
        let batch = all_codes();
        let codes = batch.column(0).as_primitive::<UInt32Type>().values().to_vec();
        let specified = (0..=11).chain(100..=101).chain(500..=576);
        let missing: Vec<_> = specified.filter(|code| !codes.contains(code)).collect();
        assert_eq!(missing, Vec::<u32>::new());
        assert_eq!(batch.schema(), schema());
    }

    #[test]
    fn values_are_in_the_arms_that_clients_cast_them_to() {
        let batch = all_codes();
        let codes = batch.column(0).as_primitive::<UInt32Type>();
        let values = batch.column(1).as_union();
        let value = |code: SqlInfo| {
            let at = codes.values().iter().position(|value| *value == code as u32).unwrap();
            values.value(at)
        };
        assert!(value(SqlInfo::FlightSqlServerTransaction).as_any().is::<Int32Array>());
        assert!(value(SqlInfo::SqlMaxCharLiteralLength).as_any().is::<Int64Array>());
        assert!(
            value(SqlInfo::SqlDefaultTransactionIsolation)
                .as_any()
                .is::<Int64Array>()
        );
        assert!(value(SqlInfo::SqlIdentifierQuoteChar).as_any().is::<StringArray>());
        assert_eq!(
            value(SqlInfo::SqlOuterJoinsSupportLevel)
                .as_any()
                .downcast_ref::<Int32Array>()
                .unwrap()
                .value(0),
            6
        );
        assert_eq!(value(SqlInfo::FlightSqlServerReadOnly).data_type(), &DataType::Boolean);
        assert!(matches!(value(SqlInfo::SqlKeywords).data_type(), DataType::List(_)));
        assert!(matches!(
            value(SqlInfo::SqlSupportsConvert).data_type(),
            DataType::Map(..)
        ));
    }

    #[test]
    fn the_functions_that_are_listed_are_there() {
        let session = datafusion::prelude::SessionContext::new();
        let state = session.state();
        let missing: Vec<_> = [
            NUMERIC_FUNCTIONS,
            STRING_FUNCTIONS,
            SYSTEM_FUNCTIONS,
            DATETIME_FUNCTIONS,
        ]
        .concat()
        .into_iter()
        // These are not functions but syntax.
        .filter(|name| !["MOD", "POSITION", "SUBSTRING", "EXTRACT"].contains(name))
        .filter(|name| !state.scalar_functions().contains_key(&name.to_lowercase()))
        .collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn only_the_codes_that_are_asked_for_are_given() {
        let command = CommandGetSqlInfo {
            info: vec![SqlInfo::FlightSqlServerTransaction as u32, 99_999],
        };
        assert_eq!(answer(command).unwrap().num_rows(), 1);
    }
}
