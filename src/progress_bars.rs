//! Progress for people: bars on a terminal, plain lines elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cordada_core::progress::{Progress, Task};
use indicatif::{MultiProgress, ProgressBar, ProgressFinish, ProgressStyle};

/// How often a bar without news is redrawn, so that people see that it lives.
const TICK: Duration = Duration::from_millis(120);

/// A bar a task, redrawn in place.
#[derive(Default)]
pub struct Bars(MultiProgress);

impl Progress for Bars {
    fn start(&self, label: &str, total: Option<u64>, unit: &'static str) -> Box<dyn Task> {
        let count = match (unit, total.is_some()) {
            ("bytes", true) => "{bytes}/{total_bytes} {bytes_per_sec} {eta}",
            ("bytes", false) => "{bytes} {bytes_per_sec}",
            (_, true) => "{human_pos}/{human_len} {eta}",
            (_, false) => "{human_pos}",
        };
        let unit = if unit == "bytes" { "" } else { unit };
        let bar = if total.is_some() {
            "{bar:24.cyan/dim}"
        } else {
            "{spinner:.cyan}"
        };
        let template = format!("{{prefix:<32!}} {bar} {count} {unit}");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let bar = self.0.add(
            bar.with_style(style)
                .with_prefix(label.to_owned())
                .with_finish(ProgressFinish::AndClear),
        );
        bar.enable_steady_tick(TICK);
        Box::new(Bar {
            bar,
            all: self.0.clone(),
            label: label.to_owned(),
            started: Instant::now(),
        })
    }
}

struct Bar {
    bar: ProgressBar,
    all: MultiProgress,
    label: String,
    started: Instant,
}

impl Task for Bar {
    fn advance(&self, n: u64) {
        self.bar.inc(n);
    }

    fn finish(&self, summary: &str) {
        self.bar.finish_and_clear();
        // A terminal that went away is not a reason to fail.
        let _ = self.all.println(finished(&self.label, summary, self.started));
    }
}

/// A line when a task begins to matter: when it is done, or when it ends without having been.
pub struct Lines;

impl Progress for Lines {
    fn start(&self, label: &str, _total: Option<u64>, _unit: &'static str) -> Box<dyn Task> {
        Box::new(Line {
            label: label.to_owned(),
            started: Instant::now(),
            done: AtomicBool::new(false),
        })
    }
}

struct Line {
    label: String,
    started: Instant,
    done: AtomicBool,
}

impl Task for Line {
    fn advance(&self, _n: u64) {}

    fn finish(&self, summary: &str) {
        self.done.store(true, Ordering::Relaxed);
        eprintln!("{}", finished(&self.label, summary, self.started));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.done.load(Ordering::Relaxed) {
            eprintln!("{:<32} not finished", self.label);
        }
    }
}

fn finished(label: &str, summary: &str, started: Instant) -> String {
    format!("{label:<32} {summary} ({:.1} s)", started.elapsed().as_secs_f64())
}
