//! The one Delta commit of a write.

use std::collections::HashMap;

use arrow::datatypes::Schema;
use cordada_core::{Context, Result};
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{Action, Add, Metadata, MetadataExt, Protocol, StructType, Transaction, new_metadata};
use deltalake::protocol::{DeltaOperation, SaveMode};

use crate::delta_error::DeltaContext;
use crate::table::mode::{Base, Mode, WriteReport};
use crate::table::outcome::Outcome;
use crate::table::snapshot::{DataFile, TableSnapshot, data_file};
use crate::table::write::TableWriter;

/// The table property that keeps [`crate::Write::state`]. A property, because checkpoints keep it and it holds text:
/// they drop what a commit says of itself, and a `txn` holds a number.
pub(crate) const STATE: &str = "cordada.state";

impl TableWriter<'_> {
    /// Puts the files of `outcome` in the place of those they replace. No commit is made that would say nothing.
    pub(crate) async fn commit(&self, outcome: &Outcome) -> Result<WriteReport> {
        let mut actions = Vec::new();
        self.describe(&mut actions)?;
        let replaced: Vec<&str> = outcome
            .replaced
            .iter()
            .map(|&file| self.base[file].add.path.as_str())
            .collect();
        let kept: HashMap<&str, &DataFile> = self
            .base
            .iter()
            .map(|file| (file.add.path.as_str(), file))
            .filter(|(path, _)| !replaced.contains(path))
            .collect();
        let latest = self.latest.as_deref().map(TableSnapshot::files).unwrap_or_default();
        let gone = latest.iter().filter(|file| !kept.contains_key(file.add.path.as_str()));
        actions.extend(gone.map(|file| Action::Remove(file.remove())));
        // What a version that is being undone had taken away comes back.
        let back = kept
            .values()
            .filter(|file| !latest.iter().any(|there| there.add.path == file.add.path));
        actions.extend(back.map(|file| Action::Add(file.add.clone())));
        actions.extend(outcome.added.iter().cloned().map(Action::Add));

        let version = match &self.latest {
            Some(latest) if actions.is_empty() && self.write.transactions.is_empty() => latest.version(),
            _ => self.write_log(actions).await?,
        };

        let rows_written = rows(&outcome.added);
        let kept_rows: u64 = kept.values().filter_map(|file| file.rows()).sum();
        let base_rows: u64 = self.base.iter().filter_map(DataFile::rows).sum();
        let latest_rows: u64 = latest.iter().filter_map(DataFile::rows).sum();
        let total = kept_rows + rows_written;
        let rows_removed = if self.base.is_empty() {
            latest_rows
        } else {
            outcome.rows_removed
        };
        Ok(WriteReport {
            version,
            rows_added: total + outcome.rows_removed - base_rows,
            rows_removed,
            rows_closed: outcome.rows_closed,
            rows: total,
            bytes_added: outcome
                .added
                .iter()
                .map(|add| u64::try_from(add.size).unwrap_or_default())
                .sum(),
        })
    }

    async fn write_log(&self, actions: Vec<Action>) -> Result<u64> {
        let transactions = self
            .write
            .transactions
            .iter()
            .map(|(id, version)| Transaction::new(id, *version));
        let appends = self.write.mode == Mode::Append;
        let mut properties = CommitProperties::default()
            // Old versions belong to old releases: only the lake's own maintenance may clean the log up.
            .with_cleanup_expired_logs(Some(false))
            .with_application_transactions(transactions.collect());
        let only_adds = appends && self.write.base == Base::Latest && !self.widened && self.write.state.is_none();
        if !only_adds {
            // Whatever somebody else commits meanwhile could be undone or doubled by this one.
            properties = properties.with_max_retries(0);
        }
        let operation = DeltaOperation::Write {
            mode: if appends { SaveMode::Append } else { SaveMode::Overwrite },
            partition_by: None,
            predicate: None,
        };
        let state = self
            .latest
            .as_deref()
            .map(|latest| latest.state() as &dyn TableReference);
        let finished = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(state, self.lake.log_store(self.path)?, operation)
            .await
            .doing(|| format!("committing {}", self.table))?;
        Ok(finished.version())
    }

    /// The protocol of a new table; the columns and the state where they are new, in one action.
    fn describe(&self, actions: &mut Vec<Action>) -> Result<()> {
        let doing = || format!("describing the columns of {}", self.table);
        let columns: StructType = self.schema.as_ref().try_into_kernel().doing(doing)?;
        let (mut metadata, mut changed): (Metadata, bool) = match &self.latest {
            None => {
                let protocol = serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2});
                let protocol: Protocol = serde_json::from_value(protocol).doing(doing)?;
                actions.push(Action::Protocol(protocol));
                let metadata = new_metadata(&columns, [""; 0], [("", ""); 0]);
                let named = metadata.and_then(|metadata| metadata.with_name(self.table.to_string()));
                (named.doing(doing)?, true)
            }
            Some(latest) => (latest.state().metadata().clone(), false),
        };
        if self
            .latest
            .as_ref()
            .is_some_and(|latest| latest.schema() != &self.schema)
        {
            (metadata, changed) = (metadata.with_schema(&columns).doing(doing)?, true);
        }
        if let Some(state) = &self.write.state
            && metadata.configuration().get(STATE) != Some(state)
        {
            let with_state = metadata.add_config_key(STATE.to_owned(), state.clone());
            (metadata, changed) = (with_state.doing(doing)?, true);
        }
        if changed {
            actions.push(Action::Metadata(metadata));
        }
        Ok(())
    }
}

fn rows(files: &[Add]) -> u64 {
    let files = files.iter().map(|add| data_file("", add.clone(), &Schema::empty()));
    files.filter_map(|file| file.rows()).sum()
}
