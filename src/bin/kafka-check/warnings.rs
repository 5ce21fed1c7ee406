//! Logger that collects the library's warnings about the configuration. All other lines are dropped: the steps report
//! the same facts.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};

static COLLECTS: AtomicBool = AtomicBool::new(false);
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct WarningCollector;

impl Log for WarningCollector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LevelFilter::Warn && COLLECTS.load(Ordering::Relaxed)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = record.args().to_string();
            // The prefix names the producer, and the only producer is this tool's.
            let text = match line.split_once("] ") {
                Some((prefix, text)) if prefix.starts_with("[Producer ") => text.to_owned(),
                _ => line,
            };
            if let Ok(mut lines) = LINES.lock() {
                // The settings are validated twice.
                if !lines.contains(&text) {
                    lines.push(text);
                }
            }
        }
    }

    fn flush(&self) {}
}

pub(crate) fn install() {
    // Cannot fail: this is the only logger of the program.
    if log::set_logger(&WarningCollector).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// Runs `action`, and returns its result and the lines that were logged meanwhile, without duplicates.
pub(crate) fn collected<T>(action: impl FnOnce() -> T) -> (T, Vec<String>) {
    COLLECTS.store(true, Ordering::Relaxed);
    let result = action();
    COLLECTS.store(false, Ordering::Relaxed);
    let lines = LINES
        .lock()
        .map_or_else(|_| Vec::new(), |mut lines| std::mem::take(&mut *lines));
    (result, lines)
}
