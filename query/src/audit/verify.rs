//! Whether the records of `ops.audit` are those that were put down.

use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use futures::TryStreamExt;

use super::chain::{beginning, hash_of};
use super::record::{AUDIT, Value, rows};

/// What was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Servers, from their start to their end.
    pub chains: u64,
    /// Their records.
    pub records: u64,
}

/// Reads all records and holds each against the one before it in its chain. That the last records of a chain are
/// missing, or all of it, does not show.
///
/// # Errors
/// Failed: a record was changed, or is missing between others. Those of reading.
pub async fn verify(lake: &Lake) -> Result<Verified> {
    let doing = || "verifying ops.audit";
    let release = lake.releases().newest().await?;
    let session = lake.session(&release);
    let schema = AUDIT.schema();
    let columns = schema.fields().iter().map(|field| format!("\"{}\"", field.name()));
    let columns: Vec<_> = columns.collect();
    let sql = format!(
        "select {} from lake.ops.audit order by chain, number",
        columns.join(", ")
    );
    let plan = cordada_lake::query::sql::plan(lake, &session, &sql).await?;
    let records = session.execute_logical_plan(plan).await.doing(doing)?;
    let mut batches = records.execute_stream().await.doing(doing)?;
    let mut walk = Walk::default();
    while let Some(batch) = batches.try_next().await.doing(doing)? {
        for row in rows(&batch)? {
            walk.next(&row)?;
        }
    }
    Ok(walk.verified)
}

/// The records, in the order of their chains.
#[derive(Debug, Default)]
struct Walk {
    verified: Verified,
    chain: String,
    number: i64,
    hash: String,
}

impl Walk {
    fn next(&mut self, row: &[Value]) -> Result<()> {
        let (
            [Value::Text(Some(chain)), Value::Number(Some(number)), ..],
            [.., Value::Text(Some(previous)), Value::Text(Some(hash))],
        ) = (row, row)
        else {
            return Err(broken("?", 0, "it is none that a server wrote"));
        };
        if self.verified.chains == 0 || self.chain != *chain {
            self.verified.chains += 1;
            self.chain.clone_from(chain);
            self.hash = beginning(chain);
            self.number = 0;
        }
        // A write of which nobody knew whether it happened is done again.
        if *number == self.number && *hash == self.hash {
            return Ok(());
        }
        if *number != self.number + 1 {
            return Err(broken(chain, self.number + 1, "it is missing"));
        }
        let covered = &row[..row.len() - 1];
        if *previous != self.hash || hash_of(covered) != *hash {
            return Err(broken(chain, *number, "it is not what was put down"));
        }
        self.number = *number;
        self.hash.clone_from(hash);
        self.verified.records += 1;
        Ok(())
    }
}

fn broken(chain: &str, number: i64, why: &str) -> Error {
    Error::failed("verifying ops.audit", format!("record {number} of chain {chain}: {why}"))
        .hint("whoever can write the files of the lake can change records; the table's Delta log tells when files were written")
}
