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

use super::{Question, arrow_error};
use crate::client::Client;

pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

pub(super) fn answer(command: CommandGetSqlInfo, question: &Question<'_>) -> Result<RecordBatch, ArrowError> {
    let all = all(command.info.is_empty(), question.client, question.writes)?;
    command.into_builder(&all).build().map_err(arrow_error)
}

/// The codes, for a client that asks for all of them or for some.
fn all(asks_for_all: bool, client: Client, writes: bool) -> Result<SqlInfoData, ArrowError> {
    let mut infos = SqlInfoDataBuilder::new();
    server(&mut infos, writes);
    for (code, value) in [
        (SqlInfo::FlightSqlServerBulkIngestion, true),
        (SqlInfo::FlightSqlServerIngestTransactionsSupported, false),
    ] {
        if !asks_for_all || client.knows(code) {
            infos.append(code, value);
        }
    }
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

fn server(infos: &mut SqlInfoDataBuilder, writes: bool) {
    infos.append(SqlInfo::FlightSqlServerName, "Cordada");
    infos.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    infos.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    // Of whoever asks: some may write by bulk ingestion, nobody by statements.
    infos.append(SqlInfo::FlightSqlServerReadOnly, !writes);
    infos.append(SqlInfo::FlightSqlServerSql, true);
    infos.append(SqlInfo::FlightSqlServerSubstrait, false);
    infos.append(SqlInfo::FlightSqlServerSubstraitMinVersion, "");
    infos.append(SqlInfo::FlightSqlServerSubstraitMaxVersion, "");
    infos.append(SqlInfo::FlightSqlServerTransaction, 0_i32);
    infos.append(SqlInfo::FlightSqlServerCancel, true);
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
    // In comparisons, EXISTS, IN, and with ANY and ALL.
    infos.append(SqlInfo::SqlSupportedSubqueries, bits(&[0, 1, 2, 3]));
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

/// Nothing can be changed by statements.
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

/// What CAST converts: text to and from everything, numbers into each other (a truth value is no decimal), a timestamp
/// to and from its date, and to its time.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as C;
    let texts = [C::SqlConvertChar, C::SqlConvertVarchar, C::SqlConvertLongvarchar];
    let numbers = [
        C::SqlConvertBigint,
        C::SqlConvertFloat,
        C::SqlConvertInteger,
        C::SqlConvertReal,
        C::SqlConvertSmallint,
        C::SqlConvertTinyint,
    ];
    let decimals = [C::SqlConvertDecimal, C::SqlConvertNumeric];
    let truth = [C::SqlConvertBit];
    let date = [C::SqlConvertDate];
    let time = [C::SqlConvertTime];
    let timestamp = [C::SqlConvertTimestamp];
    let bytes = [C::SqlConvertBinary, C::SqlConvertVarbinary, C::SqlConvertLongvarbinary];
    let codes = |groups: &[&[C]]| {
        groups
            .iter()
            .flat_map(|group| group.iter().map(|code| *code as i32))
            .collect()
    };
    let all: [&[C]; 8] = [&texts, &numbers, &decimals, &truth, &date, &time, &timestamp, &bytes];
    let groups: [(&[C], Vec<i32>); 8] = [
        (&texts, codes(&all)),
        (&numbers, codes(&[&texts, &numbers, &decimals, &truth])),
        (&decimals, codes(&[&texts, &numbers, &decimals])),
        (&truth, codes(&[&texts, &numbers, &truth])),
        (&date, codes(&[&texts, &date, &timestamp])),
        (&time, codes(&[&texts, &time])),
        (&timestamp, codes(&[&texts, &date, &time, &timestamp])),
        (&bytes, codes(&[&texts, &bytes])),
    ];
    let mut conversions = BTreeMap::new();
    for (from, to) in groups {
        conversions.extend(from.iter().map(|code| (*code as i32, to.clone())));
    }
    conversions
}

/// Reserved words that standard SQL does not have.
const KEYWORDS: &[&str] = &[
    "ANALYZE", "ANTI", "EXCLUDE", "EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "SEMI", "SHOW", "UNNEST",
];

/// Functions by ODBC's names, which are those of its escape `{fn …}`.
const NUMERIC_FUNCTIONS: &[&str] = &[
    "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "CEILING", "COS", "COT", "DEGREES", "EXP", "FLOOR", "LOG", "LOG10", "MOD",
    "PI", "POWER", "RADIANS", "RAND", "ROUND", "SIGN", "SIN", "SQRT", "TAN", "TRUNCATE",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ASCII",
    "BIT_LENGTH",
    "CHAR",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "CONCAT",
    "DIFFERENCE",
    "LCASE",
    "LEFT",
    "LENGTH",
    "LOCATE",
    "LTRIM",
    "OCTET_LENGTH",
    "POSITION",
    "REPEAT",
    "REPLACE",
    "RIGHT",
    "RTRIM",
    "SOUNDEX",
    "SPACE",
    "SUBSTRING",
    "UCASE",
];

const SYSTEM_FUNCTIONS: &[&str] = &["DATABASE", "IFNULL", "USER"];

const DATETIME_FUNCTIONS: &[&str] = &[
    "CURDATE",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "CURTIME",
    "DAYNAME",
    "DAYOFMONTH",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "EXTRACT",
    "HOUR",
    "MINUTE",
    "MONTH",
    "MONTHNAME",
    "NOW",
    "QUARTER",
    "SECOND",
    "TIMESTAMPADD",
    "TIMESTAMPDIFF",
    "WEEK",
    "YEAR",
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{AsArray, Int32Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, UInt32Type};

    use super::*;

    fn of(command: CommandGetSqlInfo) -> RecordBatch {
        let all = all(command.info.is_empty(), Client::Other, true).unwrap();
        command.into_builder(&all).build().unwrap()
    }

    fn all_codes() -> RecordBatch {
        of(CommandGetSqlInfo::default())
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
    fn an_old_driver_is_not_told_what_it_breaks_off_at_unless_it_asks() {
        let codes = |asks_for_all, client| {
            let all = all(asks_for_all, client, false).unwrap();
            let command = CommandGetSqlInfo::default();
            let batch = command.into_builder(&all).build().unwrap();
            batch.column(0).as_primitive::<UInt32Type>().values().to_vec()
        };
        let bulk = SqlInfo::FlightSqlServerBulkIngestion as u32;
        assert!(!codes(true, Client::OldJdbc).contains(&bulk));
        assert!(codes(false, Client::OldJdbc).contains(&bulk));
        assert!(codes(true, Client::Other).contains(&bulk));
    }

    #[test]
    fn whoever_may_write_nothing_is_told_that_the_server_only_reads() {
        let code = SqlInfo::FlightSqlServerReadOnly as u32;
        for writes in [true, false] {
            let all = all(false, Client::Other, writes).unwrap();
            let batch = CommandGetSqlInfo { info: vec![code] }
                .into_builder(&all)
                .build()
                .unwrap();
            let value = batch.column(1).as_union().value(0);
            assert_eq!(value.as_boolean().value(0), !writes);
        }
    }

    #[test]
    fn only_the_codes_that_are_asked_for_are_given() {
        let command = CommandGetSqlInfo {
            info: vec![SqlInfo::FlightSqlServerTransaction as u32, 99_999],
        };
        assert_eq!(of(command).num_rows(), 1);
    }
}
