use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::mock::MockClock;
use crate::error::Misuse;
use crate::producer::callback_scope;
use crate::producer::instance::InstanceId;
use crate::sync::{Mutex, Rank};
use crate::util::process::Process;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// An event whose sleep only advances the clock by `each`.
#[derive(Debug)]
struct Sleeper<'a> {
    clock: &'a MockClock,
    each: Duration,
    sleeps: Cell<u32>,
}

impl Event for Sleeper<'_> {
    fn sleep(&self, _permit: SleepPermit) {
        self.clock.advance(self.each);
        self.sleeps.set(self.sleeps.get() + 1);
    }

    #[cfg(all(feature = "testing", feature = "_internals"))]
    fn watched(&self) -> Option<(&'static str, &crate::sync::Condvar)> {
        None
    }
}

/// A call that waits until its timeout.
struct Idle<'a, const CHECK: u8> {
    event: Sleeper<'a>,
    time: Stopwatch,
}

const CHECKS: [Check; 3] = [Check::First, Check::BeforeWaiting, Check::BeforeLongWait];

impl<'a, const CHECK: u8> Idle<'a, CHECK> {
    fn new(clock: &'a MockClock, timeout: Option<Duration>) -> Self {
        Self {
            event: Sleeper {
                clock,
                each: MS(1),
                sleeps: Cell::new(0),
            },
            time: Stopwatch::new(timeout),
        }
    }
}

impl<const CHECK: u8> BlockingCall for Idle<'_, CHECK> {
    type Output = Result<(), Misuse>;

    const CHECK: Check = CHECKS[CHECK as usize];

    fn step(&mut self) -> Step<'_, Self::Output> {
        let clock = self.event.clock;
        if !self.time.start(clock) && self.time.is_over(clock) {
            return Step::Done(Ok(()));
        }
        Step::Wait(Wait {
            event: &self.event,
            until: self.time.deadline(),
        })
    }

    fn refuse(&mut self, why: Misuse) -> Self::Output {
        Err(why)
    }
}

/// Runs an [`Idle`] call. Returns how often the call slept, and its result.
fn run<const CHECK: u8>(
    producer: InstanceId,
    timeout: Option<Duration>,
) -> (u32, Result<(), Misuse>) {
    let clock = MockClock::new();
    let mut call = Idle::<CHECK>::new(&clock, timeout);
    let outcome = Driver::new(&clock, producer).run(&mut call);
    (call.event.sleeps.get(), outcome)
}

#[test]
fn a_call_is_stepped_until_it_is_over_with_sleeps_in_between() {
    let producer = InstanceId::next();
    assert_eq!(run::<0>(producer, Some(MS(7))), (7, Ok(())));
    assert_eq!(run::<1>(producer, Some(MS(7))), (7, Ok(())));
    assert_eq!(run::<2>(producer, Some(MS(70))), (70, Ok(())));
    assert_eq!(run::<1>(producer, Some(MS(0))), (0, Ok(())));
}

#[test]
fn inside_a_callback_of_its_producer_no_call_waits() {
    let (producer, other) = (InstanceId::next(), InstanceId::next());
    let _scope = callback_scope::enter(producer);
    let refused = (0, Err(Misuse::InsideCallback));
    assert_eq!(run::<0>(producer, None), refused);
    assert_eq!(run::<1>(producer, None), refused);
    assert_eq!(run::<2>(producer, None), refused);
    assert_eq!(run::<1>(other, Some(MS(1))), (1, Ok(())));
}

#[test]
fn a_fork_is_detected_before_a_wait_or_once_the_wait_takes_long() {
    let of_parent = InstanceId::built_in(Process::other());
    assert_eq!(run::<0>(of_parent, None), (0, Err(Misuse::Forked)));
    assert_eq!(run::<1>(of_parent, None), (0, Err(Misuse::Forked)));
    assert_eq!(run::<2>(of_parent, None), (50, Err(Misuse::Forked)));
    assert_eq!(run::<2>(of_parent, Some(MS(40))), (40, Ok(())));
}

/// A call that enqueues a request for the sender, as transactional calls do. The request outlives the call, so that a
/// call that timed out can be repeated without a second request.
mod resumed {
    use super::*;

    type Answer = Arc<Latch<Result<u32, &'static str>>>;

    /// The request whose result no call has returned yet.
    struct Asked(Mutex<Option<Answer>>);

    struct Ask<'a> {
        asked: &'a Asked,
        times_asked: &'a Cell<u32>,
        clock: &'a MockClock,
        answer: Option<Answer>,
        time: Stopwatch,
    }

    impl BlockingCall for Ask<'_> {
        type Output = Option<Result<u32, &'static str>>;

        const CHECK: Check = Check::First;

        fn step(&mut self) -> Step<'_, Self::Output> {
            self.time.start(self.clock);
            let answer = &*self.answer.get_or_insert_with(|| {
                let mut asked = self.asked.0.lock();
                let ask = || {
                    self.times_asked.set(self.times_asked.get() + 1);
                    Arc::new(Latch::new())
                };
                Arc::clone(asked.get_or_insert_with(ask))
            });
            if let Some(known) = answer.get() {
                *self.asked.0.lock() = None;
                return Step::Done(Some(*known));
            }
            if self.time.is_over(self.clock) {
                return Step::Done(None);
            }
            Step::Wait(Wait {
                event: &**answer,
                until: self.time.deadline(),
            })
        }

        fn refuse(&mut self, why: Misuse) -> Self::Output {
            panic!("{why}")
        }
    }

    #[test]
    fn a_call_that_timed_out_is_resumed_by_the_next() {
        let (asked, times_asked, clock) = (
            Asked(Mutex::new(Rank::LEAF, None)),
            Cell::new(0),
            MockClock::new(),
        );
        let call = || Ask {
            asked: &asked,
            times_asked: &times_asked,
            clock: &clock,
            answer: None,
            time: Stopwatch::new(Some(MS(10))),
        };
        let mut first = call();
        assert_eq!(first.step().done(), None);
        clock.advance(MS(10));
        assert_eq!(first.step().done(), Some(None), "its time is up");
        let mut second = call();
        assert_eq!(second.step().done(), None);
        let answer = asked.0.lock().clone().expect("it was asked");
        answer.set(Ok(7));
        assert_eq!(second.step().done(), Some(Some(Ok(7))));
        assert_eq!(times_asked.get(), 1);
        assert_eq!(call().step().done(), None);
        assert_eq!(times_asked.get(), 2, "that is another question");
    }

    #[test]
    fn the_first_value_of_a_latch_stays_and_wakes_waiters_without_a_timeout() {
        let latch = Latch::new();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                while latch.get().is_none() {
                    latch.sleep(SleepPermit::new(None));
                }
                latch.get().copied()
            });
            latch.set(1);
            latch.set(2);
            assert_eq!(waiter.join().expect("no panic"), Some(1));
        });
    }
}
