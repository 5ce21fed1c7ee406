//! Watchdog: registers the calls in progress. If a call does not return in time, prints them all and aborts the
//! process.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::producers::Shared;
use crate::say;
use crate::world::World;

/// Added to the bound of each call: on a busy machine a thread may not be scheduled for this long.
const SLACK: Duration = Duration::from_secs(30);

/// The record and the producer of a call, for messages.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) record: Option<u64>,
    pub(crate) producer: Option<u64>,
}

impl About {
    pub(crate) fn producer(shared: &Shared) -> Self {
        Self {
            record: None,
            producer: Some(shared.number),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(record) = self.record {
            write!(f, " of record {record}")?;
        }
        if let Some(producer) = self.producer {
            write!(f, " of producer {producer}")?;
        }
        Ok(())
    }
}

/// A call in progress.
#[derive(Debug, Clone, Copy)]
struct PendingCall {
    name: &'static str,
    about: About,
    since: Instant,
    bound: Duration,
}

impl PendingCall {
    fn is_late(&self) -> bool {
        self.since.elapsed() > self.bound + SLACK
    }
}

/// The nested calls of one thread, outermost first.
type CallStack = Arc<Mutex<Vec<PendingCall>>>;

/// The call stack of a thread that may have ended.
type WeakCallStack = Weak<Mutex<Vec<PendingCall>>>;

/// Registry of the calls in progress, with one call stack per thread.
#[derive(Default)]
pub(crate) struct CallRegistry {
    threads: Mutex<Vec<(String, WeakCallStack)>>,
    is_stopped: Mutex<bool>,
    stopped: Condvar,
}

impl CallRegistry {
    /// The calling thread's call stack, registered at the first use.
    fn own_stack(&self) -> CallStack {
        thread_local! {
            static STACK: RefCell<Option<CallStack>> = const { RefCell::new(None) };
        }
        STACK.with_borrow_mut(|stack| {
            let new = || {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("worker");
                let name = format!("{name} {:?}", thread.id());
                let stack = CallStack::default();
                let mut threads = self.threads.lock().unwrap();
                threads.retain(|(_, stack)| stack.strong_count() > 0);
                threads.push((name, Arc::downgrade(&stack)));
                stack
            };
            Arc::clone(stack.get_or_insert_with(new))
        })
    }

    fn snapshot(&self) -> Vec<(String, Vec<PendingCall>)> {
        let threads = self.threads.lock().unwrap();
        let alive = threads.iter().filter_map(|(name, stack)| {
            let calls = stack.upgrade()?.lock().unwrap().clone();
            Some((name.clone(), calls))
        });
        alive.collect()
    }
}

impl World {
    /// Runs a call that has to return within `bound`. The watchdog aborts the process if it does not.
    pub(crate) fn within<R>(
        &self,
        bound: Duration,
        name: &'static str,
        about: About,
        call: impl FnOnce() -> R,
    ) -> R {
        let since = Instant::now();
        let stack = self.calls.own_stack();
        let pending = PendingCall {
            name,
            about,
            since,
            bound,
        };
        stack.lock().unwrap().push(pending);
        let result = call();
        stack.lock().unwrap().pop();
        if let Some(late) = since.elapsed().checked_sub(bound) {
            self.overrun(name, late);
        }
        result
    }
}

pub(crate) struct Watchdog {
    world: Arc<World>,
    thread: JoinHandle<()>,
}

impl Watchdog {
    pub(crate) fn stop(self) {
        *self.world.calls.is_stopped.lock().unwrap() = true;
        self.world.calls.stopped.notify_all();
        self.thread.join().unwrap();
    }
}

pub(crate) fn start(world: &Arc<World>) -> Watchdog {
    let (world, watched) = (Arc::clone(world), Arc::clone(world));
    let thread = std::thread::spawn(move || watch(&watched));
    Watchdog { world, thread }
}

fn watch(world: &World) {
    let mut is_stopped = world.calls.is_stopped.lock().unwrap();
    while !*is_stopped {
        let interval = Duration::from_millis(500);
        let stopped = &world.calls.stopped;
        is_stopped = stopped.wait_timeout(is_stopped, interval).unwrap().0;
        let threads = world.calls.snapshot();
        let mut calls = threads.iter().flat_map(|(_, calls)| calls);
        if calls.any(PendingCall::is_late) {
            say(&report(world, &threads));
            std::process::abort();
        }
    }
}

fn report(world: &World, threads: &[(String, Vec<PendingCall>)]) -> String {
    let mut text = "a call does not return\n".to_owned();
    for (thread, calls) in threads {
        for call in calls {
            let (passed, bound) = (call.since.elapsed(), call.bound);
            let late = if call.is_late() { "LATE " } else { "" };
            let (name, about) = (call.name, call.about);
            let _ = writeln!(
                text,
                "{late}{thread}: {name}{about}, running for {passed:.1?}, bound {bound:?}"
            );
        }
    }
    if let Ok(producers) = world.producers.try_lock() {
        for shared in producers.iter().filter_map(Weak::upgrade) {
            let handles = Arc::strong_count(&shared) - 1;
            let _ = writeln!(text, "{handles} handles of {shared:?}");
            // Not dropped: dropping the last handle closes the producer, which would block here.
            std::mem::forget(shared);
        }
    }
    if let Ok(faults) = world.faults.try_lock() {
        for (at, fault) in &*faults {
            let _ = writeln!(text, "{:.1?} ago: {fault}", at.elapsed());
        }
    }
    text.push_str(&threads_of_the_process());
    text
}

/// The threads of this process as listed by `/proc`, with the kernel function in which each sleeps.
fn threads_of_the_process() -> String {
    let mut text = String::new();
    for task in std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (name, wchan) = (read("comm"), read("wchan"));
        let _ = writeln!(
            text,
            "{}: {}, in {wchan}",
            task.file_name().to_string_lossy(),
            name.trim()
        );
    }
    text
}
