//! One run, on a thread of its own and with panics caught.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use super::{RunOne, RunReport};
use crate::events::Event;
use crate::scenario::Scenario;

thread_local! {
    /// The last panic of the run on this thread.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs a scenario on a new thread: producers cache recent topics in thread-locals, and with the cache of an earlier
/// run a scenario would run differently than alone. A panic is reported as a violation.
pub(super) fn run(
    run: RunOne,
    scenario: &Scenario,
    see: &mut (dyn FnMut(&Event) + Send),
) -> RunReport {
    suppress_panic_output();
    thread::scope(|scope| {
        let on_its_own = scope.spawn(|| {
            IS_RUNNING.set(true);
            let done = panic::catch_unwind(AssertUnwindSafe(|| run(scenario, see)));
            done.map_err(|_| PANIC.take())
        });
        on_its_own.join().expect("panics are caught")
    })
    .unwrap_or_else(|panic| RunReport {
        violations: vec![format!(
            "panic: {}",
            panic.unwrap_or_else(|| "without a message".to_owned())
        )],
        ..RunReport::default()
    })
}

/// Suppresses the output of panics inside a run: in many runs user code panics on purpose.
fn suppress_panic_output() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_RUNNING.with_borrow(|is_running| !is_running) {
                return others(info);
            }
            let payload = info.payload();
            let text = payload.downcast_ref::<&str>().copied();
            let text = text.or_else(|| payload.downcast_ref::<String>().map(|text| &**text));
            let what = text.unwrap_or("a payload that is not text").to_owned();
            let place = info
                .location()
                .map_or(String::new(), |at| format!(", at {at}"));
            PANIC.set(Some(what + &place));
        }));
    });
}
