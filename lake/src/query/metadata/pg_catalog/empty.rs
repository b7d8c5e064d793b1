//! Tables of what a lake does not have, so that tools that ask find none.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::empty::EmptyTable;

/// The tables with their columns: `o` is an object identifier, `n` a number, `b` a boolean, `l` a list of numbers; the
/// others are texts.
const TABLES: [(&str, &str); 24] = [
    ("pg_am", "oid:o amname amhandler:o amtype"),
    ("pg_attrdef", "oid:o adrelid:o adnum:n adbin"),
    ("pg_authid", "oid:o rolname rolsuper:b rolcanlogin:b"),
    ("pg_auth_members", "roleid:o member:o grantor:o admin_option:b"),
    (
        "pg_collation",
        "oid:o collname collnamespace:o collowner:o collprovider collcollate collctype",
    ),
    (
        "pg_depend",
        "classid:o objid:o objsubid:n refclassid:o refobjid:o refobjsubid:n deptype",
    ),
    ("pg_enum", "oid:o enumtypid:o enumsortorder:n enumlabel"),
    (
        "pg_event_trigger",
        "oid:o evtname evtevent evtowner:o evtfoid:o evtenabled",
    ),
    (
        "pg_extension",
        "oid:o extname extowner:o extnamespace:o extrelocatable:b extversion",
    ),
    (
        "pg_foreign_server",
        "oid:o srvname srvowner:o srvfdw:o srvtype srvversion",
    ),
    ("pg_foreign_table", "ftrelid:o ftserver:o ftoptions"),
    (
        "pg_index",
        "indexrelid:o indrelid:o indnatts:n indnkeyatts:n indisunique:b indisprimary:b indisexclusion:b \
         indimmediate:b indisclustered:b indisvalid:b indisready:b indislive:b indkey:l indoption:l indexprs indpred",
    ),
    ("pg_indexes", "schemaname tablename indexname tablespace indexdef"),
    ("pg_inherits", "inhrelid:o inhparent:o inhseqno:n inhdetachpending:b"),
    ("pg_language", "oid:o lanname lanowner:o lanispl:b lanpltrusted:b"),
    (
        "pg_matviews",
        "schemaname matviewname matviewowner tablespace hasindexes:b ispopulated:b definition",
    ),
    ("pg_policy", "oid:o polname polrelid:o polcmd polpermissive:b"),
    ("pg_range", "rngtypid:o rngsubtype:o rngmultitypid:o rngcollation:o"),
    (
        "pg_sequence",
        "seqrelid:o seqtypid:o seqstart:n seqincrement:n seqmax:n seqmin:n seqcache:n seqcycle:b",
    ),
    (
        "pg_sequences",
        "schemaname sequencename sequenceowner data_type start_value:n last_value:n",
    ),
    ("pg_shdescription", "objoid:o classoid:o description"),
    (
        "pg_stat_activity",
        "datid:o datname pid:n usename application_name state query backend_type",
    ),
    ("pg_tablespace", "oid:o spcname spcowner:o"),
    (
        "pg_trigger",
        "oid:o tgrelid:o tgparentid:o tgname tgfoid:o tgtype:n tgenabled tgisinternal:b",
    ),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// The table of that name, if it is one of these.
pub(super) fn table(name: &str) -> Option<Arc<dyn TableProvider>> {
    let (_, columns) = TABLES.iter().find(|(table, _)| name.eq_ignore_ascii_case(table))?;
    let fields = columns.split_whitespace().map(|column| {
        let (name, kind) = column.split_once(':').unwrap_or((column, ""));
        let data_type = match kind {
            "o" | "n" => DataType::Int64,
            "b" => DataType::Boolean,
            "l" => DataType::new_list(DataType::Int32, true),
            _ => DataType::Utf8,
        };
        Field::new(name, data_type, true)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    Some(Arc::new(EmptyTable::new(Arc::new(schema))))
}
