//! Buffer pool: waiting threads get memory in FIFO order, whatever other threads do.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use crate::clock::{Deadline, Instant};
use crate::planted::Defect;
use crate::producer::buffer_pool::{BufferPool, Denied, Lease, Ticket};
use crate::producer::waiting::{Event, SleepPermit};
use crate::sync::{Mutex, Rank};

/// Memory of one batch, in bytes.
const BATCH: usize = 10;

/// Waits for memory, as `send` does. A batched sleep times out at once.
fn wait(mut ticket: Ticket) -> Result<Lease, Denied> {
    let mut now = Instant::ORIGIN;
    loop {
        match ticket.poll() {
            Err(Denied::Exhausted) => match ticket.next_poll(now) {
                Deadline::At(end) => now = end,
                Deadline::Never => ticket.sleep(SleepPermit::of(Duration::MAX)),
            },
            end => return end,
        }
    }
}

/// As [`wait`], but a batched sleep ends only when it is notified.
fn wait_for_notification(mut ticket: Ticket) -> Result<Lease, Denied> {
    loop {
        match ticket.poll() {
            Err(Denied::Exhausted) => {
                ticket.next_poll(Instant::ORIGIN);
                ticket.sleep(SleepPermit::of(Duration::MAX));
            }
            end => return end,
        }
    }
}

fn assert_all_memory_is_free(pool: &BufferPool) {
    assert_eq!(pool.available_bytes(), pool.total_bytes());
    assert_eq!(pool.waiting(), 0);
}

#[test]
fn two_waiting_threads_get_memory_in_order() {
    let defects = [
        Defect::MemoryWaiterNotWoken,
        Defect::LineIsNotKept,
        Defect::TicketLooksUnlocked,
    ];
    check(4, &defects, || {
        let pool = BufferPool::new(BATCH, BATCH);
        let lease = pool.try_allocate(BATCH).unwrap();
        let served = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
        let waiters = [1, 2].map(|number| {
            let (ticket, served) = (pool.enqueue(BATCH).unwrap(), Arc::clone(&served));
            thread::spawn(move || {
                let lease = wait(ticket).unwrap();
                served.lock().push(number);
                drop(lease);
            })
        });
        drop(lease);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(*served.lock(), [1, 2]);
        assert_all_memory_is_free(&pool);
    });
}

#[test]
fn memory_given_to_a_waiter_that_times_out_goes_to_the_next_waiter() {
    let defects = [Defect::NextInLineNotWoken, Defect::BlindTicketKeepsGathered];
    check(4, &defects, || {
        let pool = BufferPool::new(BATCH, BATCH);
        let halves = [(); 2].map(|()| pool.try_allocate(BATCH / 2).unwrap());
        let mut first = pool.enqueue(BATCH).unwrap();
        let second = pool.enqueue(BATCH).unwrap();
        let first = thread::spawn(move || {
            // The waiter may have been given half of the memory, or all of it. Then it times out.
            drop(first.poll());
            drop(first);
        });
        let second = thread::spawn(move || drop(wait(second).unwrap()));
        drop(halves);
        first.join().unwrap();
        second.join().unwrap();
        assert_all_memory_is_free(&pool);
    });
}

#[test]
fn every_thread_that_waits_for_memory_is_woken_when_the_pool_is_closed() {
    let defects = [Defect::PoolCloseTellsOne, Defect::TicketLooksUnlocked];
    check(4, &defects, || {
        let pool = BufferPool::new(BATCH, BATCH);
        let lease = pool.try_allocate(BATCH).unwrap();
        let waiters = [(); 2].map(|()| {
            let ticket = pool.enqueue(BATCH).unwrap();
            thread::spawn(move || wait(ticket).map(drop))
        });
        pool.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), Err(Denied::Closed));
        }
        assert!(matches!(pool.enqueue(1), Err(Denied::Closed)));
        drop(lease);
        assert_all_memory_is_free(&pool);
    });
}

#[test]
fn memory_returned_while_the_pool_is_being_closed_is_not_lost() {
    check(2, &[Defect::TicketLooksUnlocked], || {
        let pool = BufferPool::new(BATCH, BATCH);
        let lease = pool.try_allocate(BATCH).unwrap();
        let waiters = [(); 2].map(|()| {
            let ticket = pool.enqueue(BATCH).unwrap();
            thread::spawn(move || wait(ticket).map(drop))
        });
        let closing = Arc::clone(&pool);
        let closing = thread::spawn(move || closing.close());
        drop(lease);
        for waiter in waiters {
            assert!(matches!(
                waiter.join().unwrap(),
                Ok(()) | Err(Denied::Closed)
            ));
        }
        closing.join().unwrap();
        assert_all_memory_is_free(&pool);
    });
}

/// A pool so large that a return of memory notifies the first waiter only once four batches are free.
fn large_pool() -> Arc<BufferPool> {
    BufferPool::new(32 * BATCH, BATCH)
}

#[test]
fn a_waiter_for_the_memory_of_several_batches_is_woken_by_the_last_of_them() {
    let defects = [Defect::MemoryWaiterNotWoken, Defect::TicketLooksUnlocked];
    check(4, &defects, || {
        let pool = large_pool();
        let rest = pool.try_allocate(28 * BATCH).unwrap();
        let halves = [(); 2].map(|()| pool.try_allocate(2 * BATCH).unwrap());
        let ticket = pool.enqueue(BATCH).unwrap();
        let waiter = thread::spawn(move || drop(wait_for_notification(ticket).unwrap()));
        drop(halves);
        waiter.join().unwrap();
        drop(rest);
        assert_all_memory_is_free(&pool);
    });
}

/// Only the first waiter is not notified of a single batch's memory.
#[test]
fn the_second_waiter_is_woken_by_a_single_batch_if_the_first_has_timed_out() {
    let defects = [
        Defect::MemoryWaiterNotWoken,
        Defect::BatchedSleepInherited,
        Defect::TicketLooksUnlocked,
    ];
    check(4, &defects, || {
        let pool = large_pool();
        let rest = pool.try_allocate(31 * BATCH).unwrap();
        let returned = pool.try_allocate(BATCH).unwrap();
        let mut first = pool.enqueue(BATCH).unwrap();
        let second = pool.enqueue(BATCH).unwrap();
        let first = thread::spawn(move || {
            // If nothing is free yet, it begins a batched sleep, which a timeout of its call ends.
            drop(first.poll());
            first.next_poll(Instant::ORIGIN);
            drop(first);
        });
        let second = thread::spawn(move || drop(wait(second).unwrap()));
        drop(returned);
        first.join().unwrap();
        second.join().unwrap();
        drop(rest);
        assert_all_memory_is_free(&pool);
    });
}

/// A small allocation may overtake a waiting thread. Its memory then returns to the pool.
#[test]
fn a_waiter_is_woken_by_memory_that_an_overtaking_allocation_returns() {
    check(4, &[Defect::MemoryWaiterNotWoken], || {
        let pool = BufferPool::new(BATCH, BATCH);
        let lease = pool.try_allocate(BATCH).unwrap();
        let ticket = pool.enqueue(BATCH).unwrap();
        let waiter = thread::spawn(move || drop(wait(ticket).unwrap()));
        let other = Arc::clone(&pool);
        let other = thread::spawn(move || drop(other.try_allocate(1)));
        drop(lease);
        waiter.join().unwrap();
        other.join().unwrap();
        assert_all_memory_is_free(&pool);
    });
}
