//! User code that the producers call: callbacks and wakers, some of which misbehave.

use std::sync::{Arc, Condvar, Mutex, Weak};
use std::task::Wake;
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::{CloseError, FlushError, Misuse, ProduceError, RecordMetadata};

use crate::producers::Shared;
use crate::watchdog::About;
use crate::worker::{GET_IN_CALLBACK, Held, send_one};
use crate::world::World;

/// Payload of a planted panic.
struct Planted;

/// Reports every panic that is not planted as a violation, also one that the library catches.
pub(crate) fn watch_panics(world: &Arc<World>) {
    let world = Arc::downgrade(world);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().is::<Planted>() {
            return;
        }
        if let Some(world) = world.upgrade() {
            world.violation(format!("unexpected panic: {info}"));
        }
        usual(info);
    }));
}

/// The action of a callback after it has reported the outcome.
pub(crate) enum CallbackAction {
    Nothing,
    Panic,
    TakeTime(Duration),
    /// Sends another record, whose callback sometimes sends a record, too.
    Send(Weak<Shared>, Rng),
    DropFutures(Vec<Held>),
    /// Calls blocking methods, which are refused inside a callback.
    Wait(Weak<Shared>, Option<Held>),
    /// Drops a handle, possibly the last, of the callback's own producer.
    DropProducer(Arc<Shared>),
}

impl CallbackAction {
    fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Panic => "panic",
            Self::TakeTime(_) => "take time",
            Self::Send(..) => "send",
            Self::DropFutures(_) => "drop futures",
            Self::Wait(..) => "wait",
            Self::DropProducer(_) => "drop producer",
        }
    }

    fn run(self, world: &Arc<World>) {
        match self {
            Self::Nothing => {}
            Self::Panic => std::panic::panic_any(Planted),
            Self::TakeTime(time) => std::thread::sleep(time),
            Self::Send(shared, mut dice) => {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                let action = match dice.u8(..4) {
                    0 => Some(Self::Nothing),
                    1 => Some(Self::Send(Arc::downgrade(&shared), dice.fork())),
                    _ => None,
                };
                // An error is not a violation: the producer may be closed, or out of memory.
                if let Some(held) = send_one(world, &shared, &mut dice, action) {
                    world.stash.lock().unwrap().push(held);
                }
                drop_in_callback(world, shared);
            }
            Self::DropFutures(futures) => drop(futures),
            Self::Wait(shared, held) => {
                if let Some(shared) = shared.upgrade() {
                    waits_are_refused(world, &shared, held);
                    drop_in_callback(world, shared);
                }
            }
            Self::DropProducer(shared) => drop_in_callback(world, shared),
        }
    }
}

fn drop_in_callback(world: &World, shared: Arc<Shared>) {
    let bound = Duration::from_secs(1);
    if Arc::strong_count(&shared) == 1 {
        world.count("callback", "drops the last handle");
    }
    world.within(bound, "drop in a callback", About::default(), || {
        drop(shared);
    });
}

fn waits_are_refused(world: &World, shared: &Shared, held: Option<Held>) {
    let bound = Duration::from_secs(1);
    let about = About::producer(shared);
    world.within(bound, "refused calls", about, || {
        let flush = shared.producer.flush();
        let flush_timeout = shared.producer.flush_timeout(Duration::from_secs(5));
        let close = shared.producer.close();
        let close_timeout = shared.producer.close_timeout(Duration::ZERO);
        for flushed in [flush, flush_timeout] {
            if !matches!(flushed, Err(FlushError::Misuse(Misuse::InsideCallback))) {
                world.violation(format!("a flush in a callback returned {flushed:?}"));
            }
        }
        for closed in [close, close_timeout] {
            if !matches!(closed, Err(CloseError::Misuse(Misuse::InsideCallback))) {
                world.violation(format!("a close in a callback returned {closed:?}"));
            }
        }
        if let Some(held) = held {
            held.reported(world, GET_IN_CALLBACK, held.future.get().as_ref());
        }
    });
}

/// A callback that reports the outcome to the ledger and then runs `action`.
pub(crate) fn callback(
    world: &Arc<World>,
    number: u64,
    action: CallbackAction,
) -> impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static {
    let world = Arc::clone(world);
    move |result| {
        world.ledger.called(number);
        world.reported(number, "callback", result);
        world.count("callback does", action.name());
        action.run(&world);
    }
}

/// A waker that stores whether it was woken. Some panic when they are woken.
pub(crate) struct Wakeful {
    woken: Mutex<bool>,
    wakes: Condvar,
    panics: bool,
}

impl Wakeful {
    pub(crate) fn new(dice: &mut Rng) -> Arc<Self> {
        Arc::new(Self {
            woken: Mutex::new(false),
            wakes: Condvar::new(),
            panics: dice.u8(..8) == 0,
        })
    }

    /// Waits without a time-out until the waker is woken.
    pub(crate) fn wait(&self) {
        let woken = self.woken.lock().unwrap();
        let mut woken = self.wakes.wait_while(woken, |woken| !*woken).unwrap();
        *woken = false;
    }
}

impl Wake for Wakeful {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_all();
        if self.panics {
            std::panic::panic_any(Planted);
        }
    }
}
