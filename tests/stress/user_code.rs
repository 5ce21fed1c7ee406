//! What the producers call: callbacks and wakers, some of which do what they must not.

use std::sync::{Arc, Condvar, Mutex, Weak};
use std::task::Wake;
use std::time::Duration;

use fastrand::Rng;
use kafka_producer::{CloseError, FlushError, Misuse, ProduceError, RecordMetadata};

use crate::producers::Shared;
use crate::watchdog::About;
use crate::worker::{GET_IN_CALLBACK, Held, send_one};
use crate::world::World;

/// A panic that is meant to be.
struct Planted;

/// Every other panic is a violation, also one that the library contains.
pub(crate) fn watch_panics(world: &Arc<World>) {
    let world = Arc::downgrade(world);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().is::<Planted>() {
            return;
        }
        if let Some(world) = world.upgrade() {
            world.violation(format!("a panic: {info}"));
        }
        usual(info);
    }));
}

/// What a callback does besides telling.
pub(crate) enum Deed {
    Nothing,
    Panic,
    TakeTime(Duration),
    /// Sends another record, whose callback does so as well, now and then.
    Send(Weak<Shared>, Rng),
    DropFutures(Vec<Held>),
    /// Calls what is refused there.
    Wait(Weak<Shared>, Option<Held>),
    /// Drops what may be the last handle of its own producer.
    DropProducer(Arc<Shared>),
}

impl Deed {
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
                let deed = match dice.u8(..4) {
                    0 => Some(Self::Nothing),
                    1 => Some(Self::Send(Arc::downgrade(&shared), dice.fork())),
                    _ => None,
                };
                // Whatever the producer says: it may be closed, or have no memory.
                if let Some(held) = send_one(world, &shared, &mut dice, deed) {
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
    world.within(
        bound,
        "a producer dropped in a callback",
        About::default(),
        || drop(shared),
    );
}

fn waits_are_refused(world: &World, shared: &Shared, held: Option<Held>) {
    let bound = Duration::from_secs(1);
    let about = About::producer(shared);
    world.within(bound, "calls that are refused", about, || {
        let flush = shared.producer.flush();
        let flush_timeout = shared.producer.flush_timeout(Duration::from_secs(5));
        let close = shared.producer.close();
        let close_timeout = shared.producer.close_timeout(Duration::ZERO);
        for flushed in [flush, flush_timeout] {
            if !matches!(flushed, Err(FlushError::Misuse(Misuse::InsideCallback))) {
                world.violation(format!("a flush in a callback is {flushed:?}"));
            }
        }
        for closed in [close, close_timeout] {
            if !matches!(closed, Err(CloseError::Misuse(Misuse::InsideCallback))) {
                world.violation(format!("a close in a callback is {closed:?}"));
            }
        }
        if let Some(held) = held {
            held.told(world, GET_IN_CALLBACK, held.future.get().as_ref());
        }
    });
}

/// A callback that is noted in the ledger and then does its deed.
pub(crate) fn callback(
    world: &Arc<World>,
    number: u64,
    deed: Deed,
) -> impl FnOnce(Result<&RecordMetadata, &ProduceError>) + Send + 'static {
    let world = Arc::clone(world);
    move |told| {
        world.ledger.called(number);
        world.told(number, "callback", told);
        world.count("callback does", deed.name());
        deed.run(&world);
    }
}

/// A waker that is remembered to have woken.
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

    /// Until it is woken, however long.
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
