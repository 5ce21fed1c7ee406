//! Scheduling delay: the time for which threads were runnable, but not running, on a busy machine.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// The threads to measure.
pub(crate) struct Threads(Vec<PathBuf>);

impl Threads {
    /// This thread, and those whose names begin with one of these prefixes.
    pub(crate) fn ours_and(names: &[&str]) -> Self {
        let begins_so = |task: &PathBuf| {
            let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
            names.iter().any(|begins| name.starts_with(begins))
        };
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        let named = tasks.flatten().map(|task| task.path()).filter(begins_so);
        let ours = fs::canonicalize("/proc/thread-self");
        Self(named.chain(ours).collect())
    }

    /// Their total scheduling delay so far; zero where the system does not report it.
    pub(crate) fn kept(&self) -> Duration {
        let of_each = self.0.iter().map(|task| {
            let times = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
            let kept = times.split_whitespace().nth(1);
            Duration::from_nanos(kept.and_then(|kept| kept.parse().ok()).unwrap_or(0))
        });
        of_each.sum()
    }
}

#[test]
fn a_waiting_thread_has_no_scheduling_delay_and_one_of_many_busy_threads_has() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    // No other case may run meanwhile, because this test uses all processors.
    let _alone = crate::case::one_at_a_time();
    let ours = Threads::ours_and(&[]);
    assert!(ours.0.len() <= 1, "{:?}", ours.0);
    if fs::read_to_string("/proc/thread-self/schedstat").is_err() {
        return;
    }
    let before = ours.kept();
    thread::sleep(Duration::from_millis(50));
    let asleep = ours.kept().saturating_sub(before);
    // Twice as many threads as processors: each thread gets half of a processor.
    let over = AtomicBool::new(false);
    let before = ours.kept();
    thread::scope(|scope| {
        for _ in 0..2 * thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let until = std::time::Instant::now() + Duration::from_millis(400);
        while std::time::Instant::now() < until {}
        over.store(true, Ordering::Relaxed);
    });
    let busy = ours.kept().saturating_sub(before);
    assert!(busy > asleep, "{busy:?}, {asleep:?}");
}
