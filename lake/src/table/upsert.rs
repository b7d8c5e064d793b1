//! Incoming rows meet those that are there, by key and copy-on-write: pass over files whose statistics exclude all
//! incoming keys, read the key columns of the others, and rewrite only the files whose rows change.
//!
//! delta-rs MERGE is a full outer join that cannot spill; here memory holds the incoming keys' hashes (30 to 60
//! bytes each) and a few batches, whatever the size of the table. Keys are told apart by 128 bits of two independently
//! seeded hashes: for a billion keys against a billion rows the odds of one mistaken row are below 10⁻²⁰.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use cordada_core::conform::conform;
use cordada_core::threads::not_joined;
use cordada_core::{Context, Result};
use deltalake::kernel::Add;
use futures::StreamExt;
use tokio::task::JoinSet;

use crate::table::data_file;
use crate::table::fate::{Fate, Findings, Verdict};
use crate::table::history::{self, History};
use crate::table::incoming::IncomingRows;
use crate::table::keys::Key;
use crate::table::outcome::Outcome;
use crate::table::snapshot::DataFile;
use crate::table::stage::Folder;
use crate::table::superseded::{self, Gone};

/// What happens where a row that is there has an incoming row's key.
#[derive(Clone)]
pub(crate) enum Effect {
    /// It goes.
    Replaces,
    /// It stays, and the incoming row is not wanted.
    Yields,
    /// It becomes a former row if the incoming one differs.
    History(Arc<History>),
}

/// The incoming rows and what they do.
#[derive(Clone)]
pub(crate) struct Upsert {
    pub(crate) place: Folder,
    pub(crate) key: Key,
    pub(crate) incoming: Arc<IncomingRows>,
    pub(crate) effect: Effect,
    /// Rows that go whatever their key; a history has none.
    pub(crate) superseded: Arc<Gone>,
}

/// A file that has been looked at, and what it became if it changed.
struct ExaminedFile {
    file: usize,
    rewritten: Option<Vec<Add>>,
    verdict: Verdict,
}

impl Upsert {
    /// Looks at the files of `base`, as many at a time as there are cores, and rewrites those whose rows change; all
    /// of them if `always`, because a column became wider. Returns what it found out about the incoming rows.
    pub(crate) async fn apply(&self, base: &[Arc<DataFile>], always: bool, outcome: &mut Outcome) -> Result<Findings> {
        let candidates = base.iter().enumerate();
        let candidates = candidates.filter(|(_, file)| always || self.may_concern(file));
        let candidates: Vec<_> = candidates.map(|(number, file)| (number, file.clone())).collect();
        let mut waiting = candidates.into_iter();
        // Dropped with the write, so that a cancelled write stops its work.
        let mut tasks = JoinSet::new();
        let mut findings = Findings::default();
        let mut failure = None;
        loop {
            while failure.is_none()
                && tasks.len() < self.place.lake.parallelism()
                && let Some((number, file)) = waiting.next()
            {
                tasks.spawn(self.clone().apply_to(number, file, always));
            }
            let Some(examined) = tasks.join_next().await else {
                return failure.map_or(Ok(findings), Err);
            };
            match examined.unwrap_or_else(|ended| Err(not_joined("rewriting a data file", &ended))) {
                Ok(examined) => {
                    findings.merge(examined.verdict.findings);
                    if let Some(files) = examined.rewritten {
                        outcome.added.extend(files);
                        outcome.replaced.push(examined.file);
                        outcome.rows_removed += examined.verdict.removed;
                        outcome.rows_closed += examined.verdict.closed;
                    }
                }
                // The others come to their end: what they write must be known to be discarded.
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
    }

    /// Whether the file may hold rows that change, as far as its statistics tell.
    fn may_concern(&self, file: &DataFile) -> bool {
        let may_hold = || self.incoming.bounds.may_hold(&self.key, &self.place.schema, file);
        match &self.effect {
            Effect::Replaces | Effect::Yields => self.superseded.may_be_in(&self.place.schema, file) || may_hold(),
            Effect::History(history) => {
                let may_have_current = history::may_have_current(&self.place.schema, file);
                may_have_current && history.closes_missing()
                    || (may_have_current || history.may_end_later(&self.place.schema, file)) && may_hold()
            }
        }
    }

    async fn apply_to(self, number: usize, file: Arc<DataFile>, always: bool) -> Result<ExaminedFile> {
        let mut verdict = self.judge(&file, always).await?;
        if verdict.removed + verdict.closed == 0 && !always {
            return Ok(ExaminedFile {
                file: number,
                rewritten: None,
                verdict,
            });
        }
        let rewritten = if always || verdict.closed > 0 {
            let rewritten = self.place.rewrite(&file, |rows, mut batch| {
                let fates = &verdict.fates[rows];
                if let Effect::History(history) = &self.effect {
                    if always {
                        batch = history.hash_again(batch)?;
                    }
                    batch = history.close(batch, fates)?;
                }
                let stays: BooleanArray = fates.iter().map(|fate| Some(*fate != Fate::Goes)).collect();
                filter_record_batch(&batch, &stays).doing(|| format!("rewriting {}", file.location))
            });
            rewritten.await?
        } else {
            // A bit for each row instead of a byte, while the file is written.
            let fates = std::mem::take(&mut verdict.fates);
            let stays = fates.iter().map(|fate| *fate != Fate::Goes).collect();
            drop(fates);
            self.place.keep_rows(&file, &stays).await?
        };
        Ok(ExaminedFile {
            file: number,
            rewritten: Some(rewritten),
            verdict,
        })
    }

    /// Reads the file's columns that matter, and says what becomes of its rows; `widened` says that columns have other
    /// types than the file has.
    async fn judge(&self, file: &DataFile, widened: bool) -> Result<Verdict> {
        let mut columns = self.key.columns().to_vec();
        let hashed_again = match &self.effect {
            Effect::History(history) if widened => Some(history),
            _ => None,
        };
        if hashed_again.is_some() {
            columns = self
                .place
                .schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect();
        } else if let Effect::History(_) = &self.effect {
            columns.extend(history::COLUMNS.map(str::to_owned));
        }
        if !self.superseded.is_empty() {
            let more = superseded::COLUMNS.map(str::to_owned);
            columns.extend(more.into_iter().filter(|column| !self.key.columns().contains(column)));
        }
        let fields = columns
            .iter()
            .filter_map(|column| self.place.schema.field_with_name(column).ok().cloned());
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let size = u64::try_from(file.add.size).unwrap_or_default();
        let store = self.place.lake.object_store();
        let mut batches = data_file::read(store, &file.location, size, Some(&columns)).await?;
        let mut verdict = Verdict::over(file.rows());
        while let Some(batch) = batches.next().await {
            let mut batch = conform(&batch?, &schema, &self.place.former)?;
            if let Some(history) = hashed_again {
                batch = history.hash_again(batch)?;
            }
            self.judge_batch(&batch, &mut verdict)?;
        }
        Ok(verdict)
    }

    fn judge_batch(&self, batch: &RecordBatch, verdict: &mut Verdict) -> Result<()> {
        let positions = self.incoming.keys.find(&self.key, batch)?.into_iter();
        let stays = (!self.superseded.is_empty()).then(|| self.superseded.stay(batch));
        let goes = |row: usize| stays.as_ref().is_some_and(|stays| !stays.value(row));
        match &self.effect {
            Effect::Replaces => positions.enumerate().for_each(|(row, position)| {
                verdict.next(match position {
                    None if !goes(row) => Fate::Stays,
                    _ => Fate::Goes,
                });
            }),
            Effect::Yields => positions.enumerate().for_each(|(row, position)| {
                if goes(row) {
                    return verdict.next(Fate::Goes);
                }
                verdict.findings.unwanted.extend(position);
                verdict.next(Fate::Stays);
            }),
            Effect::History(history) => history.judge(batch, positions, &self.incoming, verdict)?,
        }
        Ok(())
    }
}
