//! Lists that become tables of their own: `orders.line_items` as `orders__line_items`, on request.
//!
//! Such a table is a function of its parent's: it is made from the parent's rows, so that a crash between the two
//! commits is mended by the next load, whatever the source says then. It remembers the parent's version that it is of,
//! and what is new is what the parent's files have changed since: a load whose clock is behind is as new as any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema};
use cordada_core::names::ORIGIN;
use cordada_core::sql_text::Dialect;
use cordada_core::{Context, Error, Result, TableName, types};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::{self, DELETED, LOAD_ID, LOADED_AT};
use cordada_lake::{Base, Evolution, Lake, Mode, PinnedReference, Tip, Write};
use datafusion::catalog::TableProvider;
use datafusion::error::Result as DataFusionResult;
use datafusion::prelude::{DataFrame, SessionContext};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// How far a child table has followed its parent's.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Followed {
    /// Which table the parent's was: another one can have taken its place. Empty if it was not noted.
    #[serde(default)]
    table: String,
    /// The version that the child's rows are of.
    version: u64,
}

/// Brings the tables of the lists of `parent` up to it, whose columns `options` calls as the lake does; and where they
/// go on.
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
    let Some(version) = tip.version else {
        return Ok(changed);
    };
    for (column, name) in &options.unnest {
        let name = name.clone().unwrap_or_else(|| format!("{}__{column}", parent.name()));
        let table = TableName::new(parent.schema(), name)?;
        let own = lake.tip(&table).await?;
        // Only now: what a later rollback undoes of the parent it undoes of what is written on that tip.
        if lake.releases().newest().await?.timeline(parent) != tip.timeline {
            let doing = format!("unnesting {parent} into {table}");
            return Err(Error::conflict(doing, "it was rolled back while the load was running").hint("run again"));
        }
        let following = follow(lake, (parent, version), column, (&table, own), options);
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
    (parent, version): (&TableName, u64),
    column: &str,
    (table, tip): (&TableName, Tip),
    options: &Options,
) -> Result<Option<u64>> {
    let doing = || format!("unnesting {parent} into {table}");
    let path = lake.path_of(parent);
    let snapshot = lake.snapshot(&path, version).await?;
    let now = Followed {
        table: snapshot.id().to_owned(),
        version,
    };
    let followed: Option<Followed> = match lake.state_of(table, tip).await? {
        Some(text) => Some(serde_json::from_str(&text).doing(doing)?),
        None => None,
    };
    if followed.as_ref() == Some(&now) {
        return Ok(None);
    }
    let list = List::of(
        (snapshot.schema(), &snapshot.open_columns()),
        parent,
        column,
        options.key(),
    );
    let list = match list {
        // The stream goes on: its own table has every value.
        Err(error) if followed.is_some() => {
            tracing::warn!(%table, %error, "the column is not one of lists any more; its table stays as it was");
            return Ok(None);
        }
        list => list?,
    };
    let Some(list) = list else {
        return Ok(None);
    };
    let reference = PinnedReference { path, version };
    let whole = Arc::new(lake.pinned(&reference).await?);
    let session = session(lake, whole, None)?;
    let all = session.sql(&list.items_of(CAME)).await.doing(doing)?;
    let changes = match followed.filter(|followed| followed.table == now.table) {
        // Items of another shape cannot stand beside the old ones.
        Some(followed) if is_of_shape(lake, table, tip, &all).await? => {
            lake.changes(&reference.path, followed.version, version).await?
        }
        _ => None,
    };
    let (mode, rows) = match changes {
        None => (Mode::Overwrite, all),
        Some(changes) => {
            let rows_went = changes.went.is_some();
            let session = self::session(lake, changes.came, changes.went)?;
            let followed = list.follow(&session, rows_went, options.disposition());
            followed.await.doing(doing)?.unwrap_or((Mode::Overwrite, all))
        }
    };
    let schema = tagged(rows.schema().as_arrow(), (column, list.is_of_records), options);
    let partitions = rows.execute_stream_partitioned().await.doing(doing)?;
    let write = Write {
        evolution: Evolution::Widen,
        state: Some(serde_json::to_string(&now).doing(doing)?),
        base: Base::Tip(tip),
        ..Write::new(mode, schema)
    };
    Ok(Some(lake.write(table, write, partitions).await?.version))
}

/// What the columns of the parent's key begin with in the child's table.
const PARENT: &str = "_parent_";

/// The column of an item's place in its list.
const POSITION: &str = "_position";

/// The parent's rows that came, in a [`session`].
const CAME: &str = "parent.came";

/// The parent's rows that went, in a [`session`].
const WENT: &str = "parent.went";

/// A session that reads what changed of the parent's table.
fn session(lake: &Lake, came: Arc<dyn TableProvider>, went: Option<Arc<dyn TableProvider>>) -> Result<SessionContext> {
    let mut relations: BTreeMap<TableName, _> = BTreeMap::from([(CAME.parse()?, came)]);
    if let Some(went) = went {
        relations.insert(WENT.parse()?, went);
    }
    Ok(lake.session_with(&Arc::default(), relations))
}

/// Whether the child's table has exactly the columns of `items`.
async fn is_of_shape(lake: &Lake, table: &TableName, tip: Tip, items: &DataFrame) -> Result<bool> {
    let Some(version) = tip.version else {
        return Ok(false);
    };
    let child = lake.snapshot(&lake.path_of(table), version).await?;
    let (ours, theirs) = (child.schema().fields(), types::storable(items.schema().as_arrow()));
    let same =
        |(ours, theirs): (&FieldRef, &FieldRef)| ours.name() == theirs.name() && ours.data_type() == theirs.data_type();
    Ok(ours.len() == theirs.fields().len() && ours.iter().zip(theirs.fields()).all(same))
}

/// The columns of the child's table, those that are personal in the parent's with a tag: those of the list's records, or
/// its values.
fn tagged(items: &Schema, (column, is_of_records): (&str, bool), options: &Options) -> Arc<Schema> {
    let fields = items.fields().iter().map(|field| {
        let name = field.name();
        let place = match name.strip_prefix(PARENT) {
            Some(key) => key.to_owned(),
            None if !is_of_records => column.to_owned(),
            None => format!("{column}.{name}"),
        };
        let is_ours = name == POSITION || provenance::is_ours(name);
        let pii = options.pii(&place).filter(|_| !is_ours);
        let pii = pii.map(|pii| (types::PII.to_owned(), pii));
        field.as_ref().clone().with_metadata(pii.into_iter().collect())
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// What a column of the parent's key is called in the child's table.
fn parent_key(key: &str) -> String {
    format!("{PARENT}{key}")
}

/// A list of the parent's rows, and what each of its items becomes. Names are quoted.
struct List {
    name: String,
    key: Vec<String>,
    /// The other columns of a row that its items have: the key and the provenance.
    shared: String,
    /// Whether its items are records.
    is_of_records: bool,
    /// What is selected for an item: the parent's key, the item's place in the list, its fields, and the provenance.
    item: String,
}

impl List {
    /// The list in that column; `None` if the column, or a value of it, has not been seen yet.
    fn of(
        (schema, open): (&Schema, &[String]),
        parent: &TableName,
        column: &str,
        key: Vec<String>,
    ) -> Result<Option<Self>> {
        let Ok(field) = schema.field_with_name(column) else {
            return Ok(None);
        };
        if open.iter().any(|open| open == column) {
            return Ok(None);
        }
        let DataType::List(list_item) = field.data_type() else {
            let why = format!("the column {column} is not a list but {}", field.data_type());
            return Err(Error::config(format!("unnesting {parent}"), why).hint("take it out of `unnest:`"));
        };
        let provenance = [LOAD_ID, LOADED_AT, ORIGIN].map(str::to_owned);
        let shared = key.iter().map(|key| quoted(key)).chain(provenance.clone());
        let parents = key
            .iter()
            .map(|key| format!("{} as {}", quoted(key), quoted(&parent_key(key))));
        let fields: Vec<String> = match list_item.data_type() {
            DataType::Struct(fields) => {
                let names = fields.iter().map(|field| field.name());
                names
                    .map(|name| format!("_item[{}] as {}", Dialect::Standard.literal(name), quoted(name)))
                    .collect()
            }
            _ => vec!["_item as value".to_owned()],
        };
        let item = parents.chain([POSITION.to_owned()]).chain(fields).chain(provenance);
        Ok(Some(Self {
            name: quoted(column),
            shared: shared.collect::<Vec<_>>().join(", "),
            item: item.collect::<Vec<_>>().join(", "),
            is_of_records: matches!(list_item.data_type(), DataType::Struct(_)),
            key,
        }))
    }

    /// How the child's table becomes what the parent's now is, and the rows for it; `None` if not by these changes.
    async fn follow(
        &self,
        session: &SessionContext,
        rows_went: bool,
        disposition: Disposition,
    ) -> DataFusionResult<Option<(Mode, DataFrame)>> {
        if !rows_went {
            return Ok(Some((Mode::Append, session.sql(&self.items_of(CAME)).await?)));
        }
        match disposition {
            // Nearly every row is another one, and what is the same need not be looked for.
            Disposition::Replace => Ok(None),
            // A key has one row, so that the items of a row that changed are all that its key has.
            Disposition::Merge => {
                let key = self.key.iter().map(|key| parent_key(key)).collect();
                let deleted = Some(DELETED.to_owned());
                let rows = session.sql(&self.groups_of_changed()).await?;
                Ok(Some((Mode::ReplaceGroups { key, deleted }, rows)))
            }
            // Such loads only add rows. Where others took some away, the child's table is made anew.
            Disposition::Append | Disposition::InsertOnly | Disposition::Scd2 => {
                let gone = format!("select 1 from ({}) where _times < 0 limit 1", self.changed());
                let gone = session.sql(&gone).await?.collect().await?;
                if gone.iter().any(|batch| batch.num_rows() > 0) {
                    return Ok(None);
                }
                let came = format!("({})", self.each_changed());
                Ok(Some((Mode::Append, session.sql(&self.items_of(&came)).await?)))
            }
        }
    }

    /// The items of `rows`.
    fn items_of(&self, rows: &str) -> String {
        let Self { name, shared, item, .. } = self;
        format!(
            "select {item} from (select {shared}, unnest({name}) as _item, \
             unnest(range(1, cast(array_length({name}) as bigint) + 1)) as _position \
             from {rows} where array_length({name}) > 0)"
        )
    }

    /// The items of rows that came, and for each row that came or went a row that says that the items of its key go.
    fn groups_of_changed(&self) -> String {
        let Self { name, shared, item, .. } = self;
        // The list is followed by one place more, whose item is null.
        format!(
            "select {item}, _position > _length as {DELETED} from (select {shared}, _length, unnest({name}) as _item, \
             unnest(range(1, _length + 2)) as _position from (select {shared}, {name}, \
             coalesce(cast(array_length({name}) as bigint), 0) as _length from ({})))",
            self.each_changed()
        )
    }

    /// The rows that came or went: as often as they did, and without a list if they went.
    fn each_changed(&self) -> String {
        let Self { name, shared, .. } = self;
        format!(
            "select {shared}, case when _times > 0 then {name} end as {name} \
             from (select *, unnest(range(0, abs(_times))) as _time from ({}))",
            self.changed()
        )
    }

    /// The rows that came and how often they did, and those that went with a number below zero. What was put into
    /// another file is neither. Rows that agree in all that their items have are the same to the child's table.
    fn changed(&self) -> String {
        let Self { name, shared, .. } = self;
        format!(
            "select {shared}, {name}, sum(_sign) as _times from (select {shared}, {name}, 1 as _sign from {CAME} \
             union all select {shared}, {name}, -1 as _sign from {WENT}) \
             group by {shared}, {name} having sum(_sign) <> 0"
        )
    }
}

fn quoted(name: &str) -> String {
    Dialect::Standard.identifier(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
