//! Lists that become tables of their own: `orders.line_items` as `orders__line_items`, on request.
//!
//! Such a table is a function of its parent's: it is made from the parent's rows, so that a crash between the two
//! commits is mended by the next load, whatever the source says then.

use arrow::datatypes::{DataType, Schema};
use cordada_core::names::{ORIGIN, snake_case};
use cordada_core::sql_text::Dialect;
use cordada_core::{Context, Error, Result, TableName};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::{DELETED, LOAD_ID, LOADED_AT};
use cordada_lake::{Base, Draft, Lake, Mode, Relation, Tip, Write};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::kept::KeptState;

/// How far a child table has followed its parent's.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
struct ChildState {
    /// The parent's version.
    version: u64,
    /// The newest load whose rows are in.
    load: String,
}

/// Brings the tables of the lists of `parent` up to it; and where they go on.
///
/// # Errors
/// Config for a column that is not a list.
pub(crate) async fn run(
    lake: &Lake,
    parent: &TableName,
    tip: Tip,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Vec<(TableName, Tip)>> {
    let mut changed = Vec::new();
    if options.unnest.is_empty() {
        return Ok(changed);
    }
    let Some(version) = tip.version else {
        return Ok(changed);
    };
    let deletes = KeptState::of(lake, parent, tip).await?.deletes;
    for (column, name) in &options.unnest {
        let column = snake_case(column);
        let name = name.clone().unwrap_or_else(|| format!("{}__{column}", parent.name()));
        let table = TableName::new(parent.schema(), name)?;
        let own = lake.tip(&table).await?;
        // Only now: what a later rollback undoes of the parent it undoes of what is written on that tip.
        if lake.releases().newest().await?.timeline(parent) != tip.timeline {
            let doing = format!("unnesting {parent} into {table}");
            return Err(Error::conflict(doing, "it was rolled back while the load was running").hint("run again"));
        }
        let following = follow(lake, (parent, version, deletes), &column, (&table, own), options);
        let written = tokio::select! {
            written = following => written?,
            () = cancel.cancelled() => return Err(Error::cancelled(format!("unnesting into {table}"))),
        };
        changed.push((table, written.map_or(own, |version| own.then(version))));
    }
    Ok(changed)
}

async fn follow(
    lake: &Lake,
    (parent, version, deletes): (&TableName, u64, bool),
    column: &str,
    (table, tip): (&TableName, Tip),
    options: &Options,
) -> Result<Option<u64>> {
    let doing = || format!("unnesting {parent} into {table}");
    let followed: Option<ChildState> = match lake.state_of(table, tip).await? {
        Some(text) => Some(serde_json::from_str(&text).doing(doing)?),
        None => None,
    };
    if followed.as_ref().is_some_and(|followed| followed.version == version) {
        return Ok(None);
    }
    let path = lake.path_of(parent);
    let snapshot = lake.snapshot(&path, version).await?;
    let Some(items) = projection(snapshot.schema(), parent, column, &options.key())? else {
        return Ok(None);
    };
    let mut draft = Draft::new(lake.releases().newest().await?, "ingest", "unnest");
    draft.set(parent.clone(), Relation::table(&path, version));
    let session = lake.session(&draft.preview());
    let newest = format!("select max({LOAD_ID}) from {}", quoted_name(parent));
    let newest = session.sql(&newest).await.doing(doing)?.collect().await.doing(doing)?;
    let load = newest
        .first()
        .map(|batch| arrow::util::display::array_value_to_string(batch.column(0), 0));
    let load = load.transpose().doing(doing)?.unwrap_or_default();
    let (source, list) = (quoted_name(parent), quoted(column));
    let new = followed
        .as_ref()
        .map(|followed| format!("{LOAD_ID} > {}", Dialect::Standard.literal(&followed.load)));
    let (mode, new, with_childless) = match (options.disposition(), new) {
        (Disposition::Append | Disposition::InsertOnly, Some(new)) => (Mode::Append, new, false),
        (Disposition::Merge, Some(new)) if !deletes => {
            let key = options.key().iter().map(|key| parent_key(key)).collect();
            let deleted = Some(DELETED.to_owned());
            (Mode::ReplaceGroups { key, deleted }, new, true)
        }
        // What has gone from the parent's table left nothing to tell it by.
        _ => (Mode::Overwrite, "true".to_owned(), false),
    };
    let mut sql = format!(
        "select {} from (select *, unnest({list}) as _item, unnest(range(1, cast(array_length({list}) as bigint) + 1)) \
         as _position from {source} where array_length({list}) > 0 and {new})",
        items.join(", "),
    );
    if with_childless {
        let keys = options
            .key()
            .into_iter()
            .map(|key| format!("{} as {}", quoted(&key), quoted(&parent_key(&key))));
        let keys = keys.collect::<Vec<_>>().join(", ");
        sql = format!(
            "select *, false as {DELETED} from ({sql}) union all by name select {keys}, true as {DELETED} from {source} \
             where {new}"
        );
    }
    let rows = session.sql(&sql).await.doing(doing)?;
    let schema = rows.schema().inner().clone();
    let partitions = rows.execute_stream_partitioned().await.doing(doing)?;
    let state = serde_json::to_string(&ChildState { version, load }).doing(doing)?;
    let write = Write {
        widen: true,
        state: Some(state),
        base: Base::Tip(tip),
        ..Write::new(mode, schema)
    };
    Ok(Some(lake.write(table, write, partitions).await?.version))
}

/// What a column of the parent's key is called in the child's table.
fn parent_key(key: &str) -> String {
    format!("_parent_{key}")
}

/// What is selected for each item: the parent's key, the item's place in its list, its fields, and the provenance.
/// `None` if the column has not been seen yet.
fn projection(schema: &Schema, parent: &TableName, column: &str, key: &[String]) -> Result<Option<Vec<String>>> {
    let Ok(field) = schema.field_with_name(column) else {
        return Ok(None);
    };
    let DataType::List(item) = field.data_type() else {
        let why = format!("the column {column} is not a list but {}", field.data_type());
        return Err(Error::config(format!("unnesting {parent}"), why).hint("take it out of `unnest:`"));
    };
    let mut columns: Vec<String> = key
        .iter()
        .map(|key| format!("{} as {}", quoted(key), quoted(&parent_key(key))))
        .collect();
    columns.push("_position".to_owned());
    match item.data_type() {
        DataType::Struct(fields) => columns.extend(fields.iter().map(|field| {
            let name = field.name();
            format!("_item[{}] as {}", Dialect::Standard.literal(name), quoted(name))
        })),
        _ => columns.push("_item as value".to_owned()),
    }
    columns.extend([LOAD_ID, LOADED_AT, ORIGIN].map(str::to_owned));
    Ok(Some(columns))
}

fn quoted(name: &str) -> String {
    Dialect::Standard.identifier(name)
}

fn quoted_name(table: &TableName) -> String {
    format!("{}.{}", quoted(table.schema()), quoted(table.name()))
}
