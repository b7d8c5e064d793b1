//! How long work tells whoever watches how far it is.

/// Somebody who watches: a terminal's bars, a log, or nobody.
pub trait Progress: Send + Sync {
    /// Begins a piece of work named `label`; `total` in `unit` ("bytes", "rows", "files") if it is known.
    fn start(&self, label: &str, total: Option<u64>, unit: &'static str) -> Box<dyn Task>;
}

/// One piece of work in progress. Dropped without [`Task::finish`], it failed or was cancelled.
pub trait Task: Send + Sync {
    /// `n` more units are done.
    fn advance(&self, n: u64);
    /// It is done; `summary` is what there is to say about it ("541,909 rows").
    fn finish(&self, summary: &str);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _label: &str, _total: Option<u64>, _unit: &'static str) -> Box<dyn Task> {
        Box::new(Silent)
    }
}

impl Task for Silent {
    fn advance(&self, _n: u64) {}
    fn finish(&self, _summary: &str) {}
}
