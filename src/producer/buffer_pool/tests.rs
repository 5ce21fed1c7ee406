use std::sync::atomic::AtomicBool;
use std::sync::mpsc::channel;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::producer::waiting::{Event, SleepPermit};

const LONG: Duration = Duration::from_secs(60);

/// The longest time in which a notified thread wakes up.
const SOME: Duration = Duration::from_secs(20);

/// Java: BufferPoolTest#testSimple
#[test]
fn memory_is_returned_and_buffers_of_batch_size_are_pooled() {
    let pool = BufferPool::new(4096, 1024);
    let mut usual = pool.try_allocate(1024).unwrap();
    usual.buffer().extend_from_slice(b"old");
    assert_eq!(pool.available_bytes(), 3072);
    drop(usual);
    assert_eq!(pool.available_bytes(), 4096);
    let again = pool.try_allocate(1024).unwrap();
    assert_eq!(again.len(), 0, "a kept buffer is empty");
    let other = pool.try_allocate(3072).unwrap();
    assert_eq!(pool.try_allocate(1).unwrap_err(), Denied::Exhausted);
    drop((again, other));
    // The pooled buffer is turned back into plain bytes.
    let all = pool.try_allocate(4096).unwrap();
    assert_eq!(pool.available_bytes(), 0);
    drop(all);
    assert_eq!(pool.available_bytes(), 4096);
}

/// KAFKA-19012
#[test]
fn memory_stays_leased_until_the_last_share_is_dropped() {
    let pool = BufferPool::new(100, 100);
    let mut lease = pool.try_allocate(100).unwrap();
    lease.buffer().extend_from_slice(b"records");
    let bytes = lease.into_bytes();
    let share = bytes.slice(2..4);
    drop(bytes);
    assert_eq!(pool.available_bytes(), 0);
    assert_eq!(&share[..], b"co");
    drop(share);
    assert_eq!(pool.available_bytes(), 100);
}

/// Java: BufferPoolTest#testStressfulSituation, for the waiters only (BP-5, BP-6)
#[test]
fn the_longest_waiter_is_served_first_and_gathers_returned_memory() {
    let pool = BufferPool::new(30, 10);
    let mut leases = [(); 3].map(|()| Some(pool.try_allocate(10).unwrap()));
    let mut large = pool.enqueue(25).unwrap();
    let mut small = pool.enqueue(5).unwrap();
    assert_eq!(pool.waiting(), 2);
    for lease in &mut leases[..2] {
        drop(lease.take());
        assert_eq!(
            small.poll().unwrap_err(),
            Denied::Exhausted,
            "the large one is first"
        );
        assert_eq!(large.poll().unwrap_err(), Denied::Exhausted);
        assert_eq!(
            pool.available_bytes(),
            0,
            "the free memory is reserved for it"
        );
    }
    drop(leases[2].take());
    let lease = large.poll().unwrap();
    assert_eq!(small.poll().unwrap().size_bytes, 5);
    drop((lease, small, large));
    assert_eq!((pool.waiting(), pool.available_bytes()), (0, 30));
}

/// Java: BufferPoolTest#testCleanupMemoryAvailabilityWaiterOnInterruption (BP-8)
#[test]
fn a_dropped_ticket_returns_its_gathered_memory_to_the_next_waiter() {
    let pool = BufferPool::new(20, 10);
    let held = pool.try_allocate(10).unwrap();
    let mut first = pool.enqueue(20).unwrap();
    let mut second = pool.enqueue(10).unwrap();
    assert_eq!(first.poll().unwrap_err(), Denied::Exhausted);
    assert_eq!(second.poll().unwrap_err(), Denied::Exhausted);
    drop(first);
    assert_eq!(pool.waiting(), 1);
    drop(second.poll().unwrap());
    drop(held);
    assert_eq!((pool.waiting(), pool.available_bytes()), (0, 20));
}

/// A new allocation may take free memory although other threads wait (BP-7).
#[test]
fn an_allocation_may_take_free_memory_although_other_threads_wait() {
    let pool = BufferPool::new(20, 10);
    let held = pool.try_allocate(10).unwrap();
    let waits = pool.enqueue(20).unwrap();
    assert!(pool.try_allocate(5).is_ok());
    drop((held, waits));
}

/// Starts a thread that sleeps until its ticket is notified; it is asleep when this function returns. The thread
/// returns its ticket, and panics if its sleep times out.
fn sleeper<'s>(scope: &'s Scope<'s, '_>, ticket: Ticket) -> ScopedJoinHandle<'s, Ticket> {
    let pool = Arc::clone(&ticket.pool);
    let (sender, receiver) = channel();
    let thread = scope.spawn(move || {
        let clock = SystemClock::new();
        let pool = Arc::clone(&ticket.pool);
        let mut state = pool.state.lock();
        sender.send(clock.now()).expect("the receiver exists");
        SleepPermit::of(SOME).on(&ticket.waiter.changed, &mut state);
        drop(state);
        (ticket, clock.now())
    });
    let began = receiver.recv().expect("the thread runs");
    // The thread holds the lock until it sleeps.
    drop(pool.state.lock());
    scope.spawn(move || {
        let (ticket, woken) = thread.join().expect("it only sleeps");
        assert!(woken - began < SOME, "it was not woken");
        ticket
    })
}

#[test]
fn free_memory_the_drop_of_an_earlier_ticket_and_a_close_each_wake_a_waiter() {
    let pool = BufferPool::new(10, 10);
    let held = pool.try_allocate(10).unwrap();
    let [first, second, third] = [(); 3].map(|()| pool.enqueue(10).unwrap());
    std::thread::scope(|scope| {
        let [first, second, third] = [first, second, third].map(|it| sleeper(scope, it));
        drop(held);
        let first = first.join().expect("memory wakes it");
        drop(first);
        let mut second = second
            .join()
            .expect("the drop of an earlier ticket wakes it");
        let held = second.poll().expect("it is its turn");
        pool.close();
        let mut third = third.join().expect("close wakes it");
        assert_eq!(third.poll().unwrap_err(), Denied::Closed);
        drop(held);
    });
}

/// Java: BufferPoolTest#testDelayedAllocation
#[test]
fn a_waiting_thread_continues_when_memory_is_returned() {
    let pool = BufferPool::new(10, 10);
    let held = pool.try_allocate(10).unwrap();
    std::thread::scope(|scope| {
        let mut ticket = pool.enqueue(10).unwrap();
        let waiter = scope.spawn(move || {
            loop {
                match ticket.poll() {
                    Ok(lease) => break lease,
                    Err(denied) => assert_eq!(denied, Denied::Exhausted),
                }
                ticket.sleep(SleepPermit::of(LONG));
            }
        });
        drop(held);
        assert_eq!(waiter.join().unwrap().size_bytes, 10);
    });
    assert_eq!(pool.available_bytes(), 10);
}

#[test]
fn memory_returned_while_wake_ups_are_deferred_notifies_the_first_waiter_once() {
    let pool = BufferPool::new(40, 10);
    let leases = [(); 4].map(|()| pool.try_allocate(10).unwrap());
    let [mut first, second] = [(); 2].map(|()| pool.enqueue(10).unwrap());
    let wakes = |ticket: &Ticket| ticket.waiter.changed.wakes();
    let deferred = [(); 2].map(|()| pool.defer_wake_ups());
    drop(leases);
    assert_eq!((wakes(&first), wakes(&second)), (0, 0));
    let [one, other] = deferred;
    drop(one);
    assert_eq!(wakes(&first), 0, "the other still defers");
    drop(other);
    assert_eq!((wakes(&first), wakes(&second)), (1, 0));
    let lease = first.poll().unwrap();
    assert_eq!(wakes(&second), 1, "the first one has left some memory");
    drop((lease, second));
}

/// A waiter that is awake already takes memory at once.
#[test]
fn deferred_wake_ups_keep_no_memory_from_a_waiter_that_polls() {
    let pool = BufferPool::new(10, 10);
    let held = pool.try_allocate(10).unwrap();
    let mut ticket = pool.enqueue(10).unwrap();
    let deferred = pool.defer_wake_ups();
    drop(held);
    // It would sleep for a minute.
    ticket.sleep(SleepPermit::of(LONG));
    assert!(ticket.poll().is_ok());
    drop(deferred);
}

/// Java: BufferPoolTest#testCloseNotifyWaiters, #testCloseAllocations (BP-12)
#[test]
fn a_closed_pool_refuses_allocations_and_waiters_and_still_accepts_returned_memory() {
    let pool = BufferPool::new(10, 10);
    let held = pool.try_allocate(10).unwrap();
    std::thread::scope(|scope| {
        let mut ticket = pool.enqueue(10).unwrap();
        let waiter = scope.spawn(move || {
            loop {
                match ticket.poll() {
                    Err(Denied::Closed) => break,
                    other => assert_eq!(other.unwrap_err(), Denied::Exhausted),
                }
                ticket.sleep(SleepPermit::of(LONG));
            }
        });
        pool.close();
        waiter.join().unwrap();
    });
    assert_eq!(pool.try_allocate(1).unwrap_err(), Denied::Closed);
    assert_eq!(pool.enqueue(1).unwrap_err(), Denied::Closed);
    drop(held);
    assert_eq!((pool.available_bytes(), pool.waiting()), (10, 0));
}

/// Java: BufferPoolTest#testStressfulSituation
#[test]
fn many_threads_share_little_memory_and_all_of_it_is_returned() {
    const THREADS: u64 = 8;
    let pool = BufferPool::new(2000, 512);
    let overdrawn = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let (pool, overdrawn) = (&pool, &overdrawn);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..2000 {
                    let size = if random.bool() {
                        512
                    } else {
                        random.usize(1..=2000)
                    };
                    let lease = pool.try_allocate(size).or_else(|_| {
                        let mut ticket = pool.enqueue(size)?;
                        loop {
                            match ticket.poll() {
                                Err(Denied::Exhausted) => ticket.sleep(SleepPermit::of(LONG)),
                                other => break other,
                            }
                        }
                    });
                    let lease = lease.unwrap();
                    if pool.available_bytes() + lease.size_bytes > 2000 {
                        overdrawn.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(!overdrawn.load(Ordering::SeqCst));
    assert_eq!((pool.available_bytes(), pool.waiting()), (2000, 0));
}

/// While a batch is split, its records are in memory twice.
#[test]
fn memory_adopted_beyond_the_total_is_repaid_before_any_waiter_gets_memory() {
    let pool = BufferPool::new(2048, 1024);
    let whole = pool.try_allocate(1024).unwrap();
    let other = pool.try_allocate(1000).unwrap();
    assert_eq!(pool.available_bytes(), 24);
    let pieces = [500, 524].map(|size| pool.adopt(Vec::with_capacity(size)));
    assert_eq!(pool.available_bytes(), 0);
    let mut ticket = pool.enqueue(100).unwrap();
    drop(whole);
    assert_eq!(pool.available_bytes(), 24, "1,000 bytes were owed");
    assert_eq!(ticket.poll().unwrap_err(), Denied::Exhausted);
    drop(pieces);
    drop(ticket.poll().unwrap());
    drop(other);
    assert_eq!(pool.available_bytes(), 2048);
}

#[test]
fn the_memory_of_a_waiter_that_gives_up_repays_the_excess_first() {
    let pool = BufferPool::new(2048, 1024);
    let whole = pool.try_allocate(1900).unwrap();
    let mut ticket = pool.enqueue(1000).unwrap();
    assert_eq!(ticket.poll().unwrap_err(), Denied::Exhausted, "it has 148");
    let piece = pool.adopt(Vec::with_capacity(100));
    drop(ticket);
    assert_eq!(pool.available_bytes(), 48);
    drop(piece);
    drop(whole);
    assert_eq!(pool.available_bytes(), 2048);
}

/// An operation on a pool. The number of `Allocate`, `Adopt` and `Enqueue` is a size in bytes; the number of `Poll`,
/// `GiveUp` and `Return` selects one of the existing tickets or leases.
#[derive(Debug, Clone, Copy)]
enum Act {
    Allocate(usize),
    Adopt(usize),
    Enqueue(usize),
    Poll(usize),
    GiveUp(usize),
    Return(usize),
    Close,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = prop_oneof![Just(64_usize), 1..=1000_usize];
    let act = prop_oneof![
        4 => size.clone().prop_map(Act::Allocate),
        2 => size.clone().prop_map(Act::Adopt),
        2 => size.prop_map(Act::Enqueue),
        4 => any::<usize>().prop_map(Act::Poll),
        2 => any::<usize>().prop_map(Act::GiveUp),
        5 => any::<usize>().prop_map(Act::Return),
        1 => Just(Act::Close),
    ];
    proptest::collection::vec(act, 1..200)
}

proptest! {
    /// Checks after every step that the pool's two invariants hold: those documented at the fields of `PoolState`.
    #[test]
    fn bytes_are_conserved_and_none_is_available_while_any_is_owed(acts in acts()) {
        const TOTAL: usize = 1000;
        let pool = BufferPool::new(TOTAL, 64);
        let mut leases: Vec<Lease> = Vec::new();
        let mut tickets: Vec<Ticket> = Vec::new();
        for act in acts {
            match act {
                Act::Allocate(size) => leases.extend(pool.try_allocate(size).ok()),
                Act::Adopt(size) => leases.push(pool.adopt(Vec::with_capacity(size))),
                Act::Enqueue(size) => tickets.extend(pool.enqueue(size).ok()),
                Act::Poll(at) if !tickets.is_empty() => {
                    let at = at % tickets.len();
                    if let Ok(lease) = tickets[at].poll() {
                        leases.push(lease);
                        tickets.remove(at);
                    }
                }
                Act::GiveUp(at) if !tickets.is_empty() => {
                    tickets.remove(at % tickets.len());
                }
                Act::Return(at) if !leases.is_empty() => {
                    leases.swap_remove(at % leases.len());
                }
                // Only while many leases exist, so that the pool is used for a while before it is closed.
                Act::Close if leases.len() > 12 => pool.close(),
                Act::Poll(_) | Act::GiveUp(_) | Act::Return(_) | Act::Close => {}
            }
            let leased: usize = leases.iter().map(Lease::size_bytes).sum();
            let gathered: usize = tickets.iter().map(|ticket| ticket.gathered.bytes).sum();
            let available = pool.available_bytes();
            let owed = pool.state.lock().owed_bytes;
            prop_assert_eq!(available + gathered + leased, TOTAL + owed);
            prop_assert!(owed == 0 || available == 0, "{} owed, {} available", owed, available);
            prop_assert_eq!(pool.waiting(), tickets.len());
        }
        drop(tickets);
        drop(leases);
        prop_assert_eq!(pool.available_bytes(), TOTAL);
    }
}
