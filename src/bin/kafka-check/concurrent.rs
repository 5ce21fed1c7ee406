//! Checks of several brokers at the same time.

use std::sync::mpsc::channel;
use std::thread;

use crate::broker::{BrokerCheck, CheckedBroker};
use crate::finding::CheckStep;

/// Maximum number of brokers that are checked at the same time.
pub(crate) const CONCURRENT: usize = 16;

/// Runs checks, a limited number at the same time. Passes the steps of the first check to `finished` as they end, then
/// those of the second, and so on.
pub(crate) fn run_all(
    checks: &[BrokerCheck<'_>],
    topics: &[String],
    finished: &mut dyn FnMut(usize, CheckStep),
) -> Vec<CheckedBroker> {
    let mut all = Vec::with_capacity(checks.len());
    for chunk in checks.chunks(CONCURRENT) {
        let first = all.len();
        thread::scope(|scope| {
            let start = |check| {
                let (sender, steps) = channel();
                let body = move || {
                    // The receiver lives until the thread has ended.
                    BrokerCheck::run(check, topics, &mut |step| drop(sender.send(step)))
                };
                (scope.spawn(body), steps)
            };
            let running: Vec<_> = chunk.iter().map(start).collect();
            for (at, (thread, steps)) in (first..).zip(running) {
                for step in steps {
                    finished(at, step);
                }
                match thread.join() {
                    Ok(checked) => all.push(checked),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    all
}
