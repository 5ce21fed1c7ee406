//! Who waits for what. A call that does not come back in its time ends the process, with a picture of all threads.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::producers::Shared;
use crate::say;
use crate::world::World;

/// A machine that has much else to do lets a thread wait this long for nothing.
const SLACK: Duration = Duration::from_secs(30);

/// What a call is about.
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

/// What a thread does.
#[derive(Debug, Clone, Copy)]
struct Doing {
    what: &'static str,
    about: About,
    since: Instant,
    bound: Duration,
}

impl Doing {
    fn is_late(&self) -> bool {
        self.since.elapsed() > self.bound + SLACK
    }
}

/// What a thread does, and for what it does that.
type Doings = Arc<Mutex<Vec<Doing>>>;

/// Of a thread that may have ended.
type Place = Weak<Mutex<Vec<Doing>>>;

/// Where threads write down what they do, each for itself.
#[derive(Default)]
pub(crate) struct Board {
    threads: Mutex<Vec<(String, Place)>>,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Board {
    /// The place of the thread that asks.
    fn place(&self) -> Doings {
        thread_local! {
            static PLACE: RefCell<Option<Doings>> = const { RefCell::new(None) };
        }
        PLACE.with_borrow_mut(|place| {
            let new = || {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("worker");
                let name = format!("{name} {:?}", thread.id());
                let place = Doings::default();
                let mut threads = self.threads.lock().unwrap();
                threads.retain(|(_, place)| place.strong_count() > 0);
                threads.push((name, Arc::downgrade(&place)));
                place
            };
            Arc::clone(place.get_or_insert_with(new))
        })
    }

    fn picture(&self) -> Vec<(String, Vec<Doing>)> {
        let threads = self.threads.lock().unwrap();
        let alive = threads.iter().filter_map(|(name, place)| {
            let doings = place.upgrade()?.lock().unwrap().clone();
            Some((name.clone(), doings))
        });
        alive.collect()
    }
}

impl World {
    /// Does what must be done within `bound`, under the watchdog's eyes.
    pub(crate) fn within<R>(
        &self,
        bound: Duration,
        what: &'static str,
        about: About,
        act: impl FnOnce() -> R,
    ) -> R {
        let since = Instant::now();
        let place = self.board.place();
        let doing = Doing {
            what,
            about,
            since,
            bound,
        };
        place.lock().unwrap().push(doing);
        let result = act();
        place.lock().unwrap().pop();
        if let Some(late) = since.elapsed().checked_sub(bound) {
            self.overrun(what, late);
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
        *self.world.board.is_over.lock().unwrap() = true;
        self.world.board.over.notify_all();
        self.thread.join().unwrap();
    }
}

pub(crate) fn start(world: &Arc<World>) -> Watchdog {
    let (world, watched) = (Arc::clone(world), Arc::clone(world));
    let thread = std::thread::spawn(move || watch(&watched));
    Watchdog { world, thread }
}

fn watch(world: &World) {
    let mut is_over = world.board.is_over.lock().unwrap();
    while !*is_over {
        let pause = Duration::from_millis(500);
        is_over = world.board.over.wait_timeout(is_over, pause).unwrap().0;
        let threads = world.board.picture();
        let mut doings = threads.iter().flat_map(|(_, doings)| doings);
        if doings.any(Doing::is_late) {
            say(&picture(world, &threads));
            std::process::abort();
        }
    }
}

fn picture(world: &World, threads: &[(String, Vec<Doing>)]) -> String {
    let mut text = "a call does not come back\n".to_owned();
    for (name, doings) in threads {
        for doing in doings {
            let (passed, bound) = (doing.since.elapsed(), doing.bound);
            let late = if doing.is_late() { "LATE " } else { "" };
            let (what, about) = (doing.what, doing.about);
            let _ = writeln!(
                text,
                "{late}{name}: {what}{about}, for {passed:.1?} of {bound:?}"
            );
        }
    }
    if let Ok(producers) = world.producers.try_lock() {
        for shared in producers.iter().filter_map(Weak::upgrade) {
            let handles = Arc::strong_count(&shared) - 1;
            let _ = writeln!(text, "{handles} handles of {shared:?}");
            // Whoever is last to drop it would wait here.
            std::mem::forget(shared);
        }
    }
    if let Ok(troubles) = world.troubles.try_lock() {
        for (at, trouble) in &*troubles {
            let _ = writeln!(text, "{:.1?} ago: {trouble}", at.elapsed());
        }
    }
    text.push_str(&threads_of_the_process());
    text
}

/// What the system says of its threads.
fn threads_of_the_process() -> String {
    let mut text = String::new();
    for task in std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        let (name, place) = (read("comm"), read("wchan"));
        let _ = writeln!(
            text,
            "{}: {}, in {place}",
            task.file_name().to_string_lossy(),
            name.trim()
        );
    }
    text
}
