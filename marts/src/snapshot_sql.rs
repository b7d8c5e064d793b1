//! The queries of a snapshot: its first rows, and all of its rows once its query has others.

use arrow::datatypes::{DataType, Schema, TimeUnit};

use crate::jinja::quoted_part;
use crate::snapshot::{Changes, Gone, SnapshotConfig};

/// The rows of the first run: those of `query`, each with the time from which it holds.
pub(crate) fn first(config: &SnapshotConfig, query: &str) -> String {
    let names = &config.names;
    let time = time(config);
    let mut select = vec![
        "source.*".to_owned(),
        format!("{} as {}", id(&config.key, &time), quoted_part(&names.scd_id)),
        format!("{time} as {}", quoted_part(&names.updated_at)),
        format!("{time} as {}", quoted_part(&names.valid_from)),
        format!("{} as {}", until(config, &time), quoted_part(&names.valid_to)),
    ];
    if config.gone == Gone::NewRecord {
        select.push(format!("'False' as {}", quoted_part(&names.is_deleted)));
    }
    format!("select {}\nfrom (\n{query}\n) as source", select.join(", "))
}

/// All rows of a later run, in the columns of `all`: those of `own`, the snapshot's table with the columns `existing`, of
/// which some have ended, and those that begin. `rows` are the columns of [`first`].
pub(crate) fn later(
    config: &SnapshotConfig,
    query: &str,
    own: &str,
    existing: &Schema,
    rows: &Schema,
    all: &Schema,
) -> String {
    let names = &config.names;
    let keys = keys(&config.key);
    let key_names: Vec<String> = (0..config.key.len()).map(|at| format!("\"__key{at}\"")).collect();
    let same_key: Vec<_> = key_names
        .iter()
        .map(|key| format!("(t.{key} is not distinct from s.{key})"))
        .collect();
    let same_key = same_key.join(" and ");
    let (now, time) = (now(), time(config));
    let column = |name: &str| quoted_part(name);
    let is_deleted = match config.gone {
        Gone::NewRecord => format!("coalesce(t.{}, 'False') = 'True'", column(&names.is_deleted)),
        Gone::Ignore | Gone::Invalidate => "false".to_owned(),
    };
    let meta = [
        &names.scd_id,
        &names.updated_at,
        &names.valid_from,
        &names.valid_to,
        &names.is_deleted,
    ];
    let of_query = |name: &str| rows.field_with_name(name).is_ok() && !meta.iter().any(|meta| *meta == name);
    let changed = match &config.changes {
        Changes::Timestamp(_) => format!("t.{} < s.\"__time\"", column(&names.valid_from)),
        Changes::Check(checked) => {
            let checked = all.fields().iter().filter(|field| {
                of_query(field.name()) && (checked.is_empty() || checked.iter().any(|name| name == field.name()))
            });
            let differs = checked.map(|field| match existing.field_with_name(field.name()) {
                Ok(_) => format!("(t.{0} is distinct from s.{0})", column(field.name())),
                Err(_) => format!("(s.{} is not null)", column(field.name())),
            });
            differs.collect::<Vec<_>>().join(" or ")
        }
    };
    let changed = format!("({changed} or {is_deleted})");
    let ends = match config.gone {
        Gone::Ignore => String::new(),
        Gone::Invalidate | Gone::NewRecord => {
            format!(" when t.\"__current\" and s.\"__is\" is null and not ({is_deleted}) then {now}")
        }
    };
    let missing = |data_type: &DataType| format!("arrow_cast(null, '{data_type}')");
    let list = |value: &dyn Fn(&str, &DataType) -> String| {
        let fields = all.fields().iter();
        let values =
            fields.map(|field| format!("{} as {}", value(field.name(), field.data_type()), column(field.name())));
        values.collect::<Vec<_>>().join(", ")
    };
    let kept = list(&|name, data_type| match existing.field_with_name(name) {
        Err(_) => missing(data_type),
        Ok(_) if name == names.valid_to => format!(
            "case when t.\"__current\" and s.\"__is\" and {changed} then s.\"__time\"{ends} else t.{} end",
            column(name)
        ),
        Ok(_) => format!("t.{}", column(name)),
    });
    let begun = |side: &str, time: &str, gone: &str| {
        list(&|name, data_type| {
            let is_there = match side {
                "s" => of_query(name),
                _ => existing.field_with_name(name).is_ok(),
            };
            match name {
                _ if name == names.scd_id => {
                    let keys: Vec<_> = key_names.iter().map(|key| format!("{side}.{key}")).collect();
                    id(&keys, time)
                }
                _ if name == names.updated_at || name == names.valid_from => time.to_owned(),
                _ if name == names.valid_to => until(config, time),
                _ if name == names.is_deleted && config.gone == Gone::NewRecord => format!("'{gone}'"),
                _ if is_there => format!("{side}.{}", column(name)),
                _ => missing(data_type),
            }
        })
    };
    let until_column = column(&names.valid_to);
    let current = match (&config.current_until, existing.field_with_name(&names.valid_to)) {
        (Some(until), Ok(field)) => {
            let until = format!("arrow_cast({until}, '{}')", field.data_type());
            format!("({until_column} is null or {until_column} = {until})")
        }
        _ => format!("({until_column} is null)"),
    };
    let mut sql = format!(
        "with s as (select source.*, {keys}, {time} as \"__time\", true as \"__is\" from (\n{query}\n) as source),\n\
         t as (select source.*, {keys}, {current} as \"__current\" from {own} as source)\n\
         select {kept} from t left join s on t.\"__current\" and {same_key}\n\
         union all\nselect {} from s left join (select * from t where \"__current\") as t on {same_key}\n\
         where t.\"__current\" is null or {changed}",
        begun("s", "s.\"__time\"", "False"),
    );
    if config.gone == Gone::NewRecord {
        let gone = begun("t", &now, "True");
        sql += &format!(
            "\nunion all\nselect {gone} from (select * from t where \"__current\") as t left join s on {same_key}\n\
             where s.\"__is\" is null and not ({is_deleted})"
        );
    }
    sql
}

/// How many keys several rows of the query have.
pub(crate) fn repeated_keys(config: &SnapshotConfig, query: &str) -> String {
    let keys: Vec<_> = (1..=config.key.len()).map(|at| at.to_string()).collect();
    format!(
        "select count(*) as failures from (select {} from (\n{query}\n) as source group by {} having count(*) > 1) as repeated",
        self::keys(&config.key),
        keys.join(", ")
    )
}

fn keys(key: &[String]) -> String {
    let keys = key.iter().enumerate();
    let keys = keys.map(|(at, key)| format!("({key}) as \"__key{at}\""));
    keys.collect::<Vec<_>>().join(", ")
}

/// When a row of the query begins.
fn time(config: &SnapshotConfig) -> String {
    match &config.changes {
        Changes::Timestamp(updated_at) => format!("({updated_at})"),
        Changes::Check(_) => now(),
    }
}

fn now() -> String {
    let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    format!("arrow_cast(now(), '{data_type}')")
}

/// The end of a row that begins at `time`.
fn until(config: &SnapshotConfig, time: &str) -> String {
    let open = format!("nullif({time}, {time})");
    match &config.current_until {
        None => open,
        Some(until) => format!("coalesce({open}, {until})"),
    }
}

/// What names a row among all: its key and when it begins.
fn id(key: &[String], time: &str) -> String {
    let parts = key.iter().map(String::as_str).chain([time]);
    let parts: Vec<_> = parts
        .map(|part| format!("coalesce(cast(({part}) as varchar), '')"))
        .collect();
    format!("md5({})", parts.join(" || '|' || "))
}
