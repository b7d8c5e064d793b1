//! The memory and the disk of one statement: a part of the lake's, within its limits.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use cordada_core::units::Size;
use datafusion::common::{DataFusionError, Result, resources_err};
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use datafusion::execution::{SessionState, TaskContext};
use futures::Stream;

use super::interrupt::{Interrupt, Why};
use super::limits::StatementLimits;

/// What a statement runs in: the session's, with memory and disk of its own below those of the lake.
///
/// # Errors
/// Those of the engine.
pub(super) fn context(
    state: &SessionState,
    limits: &StatementLimits,
    interrupt: &Interrupt,
) -> Result<Arc<TaskContext>> {
    let lake = state.runtime_env();
    let pool = StatementPool {
        lake: lake.memory_pool.clone(),
        most: limits.memory,
        used: AtomicUsize::new(0),
    };
    let spills = StatementSpills {
        lake: lake.disk_manager.clone(),
        written: Arc::new(Written {
            bytes: AtomicU64::new(0),
            most: limits.spill,
            interrupt: interrupt.clone(),
        }),
    };
    let runtime = RuntimeEnvBuilder::from_runtime_env(lake)
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_temp_file_factory(Arc::new(spills)))
        .build_arc()?;
    // Plans hold the functions that they call; nothing looks them up by name while it runs.
    Ok(Arc::new(TaskContext::new(
        None,
        state.session_id().to_owned(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        runtime,
    )))
}

/// A part of the lake's memory.
#[derive(Debug)]
struct StatementPool {
    lake: Arc<dyn MemoryPool>,
    most: usize,
    used: AtomicUsize,
}

impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of a statement", Size(self.most as u64))
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.lake.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.lake.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.lake.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.lake.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = |used: usize| used.checked_add(additional).filter(|grown| *grown <= self.most);
        let within = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        if within.is_err() {
            let (consumer, most) = (reservation.consumer().name(), Size(self.most as u64));
            return resources_err!(
                "{consumer} needs more than the {most} that a statement may take, `memory` in `server: {{limits: …}}`"
            );
        }
        self.lake.try_grow(reservation, additional).inspect_err(|_| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}

/// A part of the lake's disk.
struct StatementSpills {
    lake: Arc<DiskManager>,
    written: Arc<Written>,
}

/// Bytes that are on disk for a statement.
struct Written {
    bytes: AtomicU64,
    most: u64,
    interrupt: Interrupt,
}

impl TempFileFactory for StatementSpills {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        Ok(Arc::new(StatementSpill {
            file: self.lake.create_tmp_file(description)?,
            all: self.written.clone(),
            own: Arc::default(),
        }))
    }
}

/// A file that counts as long as it is there.
struct StatementSpill {
    file: Arc<dyn SpillFile>,
    all: Arc<Written>,
    own: Arc<AtomicU64>,
}

impl Drop for StatementSpill {
    fn drop(&mut self) {
        let own = self.own.load(Ordering::Relaxed);
        self.all.bytes.fetch_sub(own, Ordering::Relaxed);
    }
}

impl SpillFile for StatementSpill {
    fn path(&self) -> Option<&std::path::Path> {
        self.file.path()
    }

    fn size(&self) -> Option<u64> {
        self.file.size()
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        self.file.read_stream()
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        Ok(Box::new(Writer {
            writer: self.file.open_writer()?,
            all: self.all.clone(),
            own: self.own.clone(),
        }))
    }
}

struct Writer {
    writer: Box<dyn SpillWriter>,
    all: Arc<Written>,
    own: Arc<AtomicU64>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let most = self.all.most;
        if self
            .all
            .bytes
            .load(Ordering::Relaxed)
            .saturating_add(bytes.len() as u64)
            > most
        {
            // The statement's end says why; what is told here is lost among the layers between.
            self.all.interrupt.interrupt(Why::Spill(most));
            return Err(std::io::Error::other("a statement may not write more to disk"));
        }
        let written = self.writer.write(bytes)?;
        self.own.fetch_add(written as u64, Ordering::Relaxed);
        self.all.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

impl SpillWriter for Writer {
    fn finish(&mut self) -> Result<(), DataFusionError> {
        self.writer.finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::prelude::SessionContext;

    use super::*;

    fn limits(memory: usize, spill: u64) -> StatementLimits {
        StatementLimits {
            by_user: 1,
            time: Duration::from_secs(60),
            memory,
            rows: None,
            spill,
        }
    }

    /// The context of a statement over a lake with 1000 bytes.
    fn statement(memory: usize, spill: u64) -> (Arc<TaskContext>, Interrupt) {
        let lake = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(1000)));
        let config = datafusion::prelude::SessionConfig::new();
        let session = SessionContext::new_with_config_rt(config, lake.build_arc().unwrap());
        let interrupt = Interrupt::default();
        (
            context(&session.state(), &limits(memory, spill), &interrupt).unwrap(),
            interrupt,
        )
    }

    #[test]
    fn a_statement_has_its_part_of_the_memory_and_no_more() {
        let (context, _) = statement(400, 0);
        let one = MemoryConsumer::new("one").register(context.memory_pool());
        let two = MemoryConsumer::new("two").register(context.memory_pool());
        one.try_grow(300).unwrap();
        let error = two.try_grow(200).unwrap_err().to_string();
        assert!(
            error.contains("two needs more") && error.contains("`memory`"),
            "{error}"
        );
        two.try_grow(100).unwrap();
        drop(one);
        two.try_grow(300).unwrap();
        assert_eq!(context.memory_pool().reserved(), 400);
        let (context, _) = statement(5000, 0);
        let own = MemoryConsumer::new("own").register(context.memory_pool());
        assert!(own.try_grow(1001).is_err(), "the lake has no more");
        own.try_grow(1000).unwrap();
        assert_eq!(context.memory_pool().reserved(), 1000);
    }

    #[test]
    fn files_on_disk_count_as_long_as_they_are_there() {
        let (context, interrupt) = statement(400, 10);
        let disk = context.runtime_env().disk_manager.clone();
        let file = || disk.create_tmp_file("a test").unwrap();
        let first = file();
        first.open_writer().unwrap().write_all(b"12345678").unwrap();
        drop(first);
        let second = file();
        let mut writer = second.open_writer().unwrap();
        writer.write_all(b"12345678").unwrap();
        assert!(!interrupt.is_interrupted());
        assert!(writer.write_all(b"123").is_err());
        let told = interrupt.error().to_string();
        assert!(told.contains("10 bytes") && told.contains("`spill`"), "{told}");
    }
}
