//! Buffer pool: waiting threads get memory in FIFO order, whatever other threads do.

use std::sync::Arc;
use std::time::Duration;

use loom::thread;

use super::check;
use crate::planted::Defect;
use crate::producer::buffer_pool::{BufferPool, Denied, Lease, Ticket};
use crate::producer::waiting::{Event, SleepPermit};
use crate::sync::{Mutex, Rank};

/// Memory of one batch, in bytes.
const BATCH: usize = 10;

/// Waits for memory, as `send` does.
fn wait(mut ticket: Ticket) -> Result<Lease, Denied> {
    loop {
        match ticket.poll() {
            Err(Denied::Exhausted) => ticket.sleep(SleepPermit::of(Duration::MAX)),
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

#[test]
fn two_waiting_threads_get_the_memory_of_two_batches_that_the_sender_returns_in_one_step() {
    let defects = [
        Defect::DeferredWakeUpForgotten,
        Defect::NextInLineNotWoken,
        Defect::TicketLooksUnlocked,
    ];
    check(3, &defects, || {
        let pool = BufferPool::new(2 * BATCH, BATCH);
        let leases = [(); 2].map(|()| pool.try_allocate(BATCH).unwrap());
        let waiters = [(); 2].map(|()| {
            let ticket = pool.enqueue(BATCH).unwrap();
            // The lease is kept, so that the other waiter needs the other one.
            thread::spawn(move || wait(ticket).unwrap())
        });
        let deferred = pool.defer_wake_ups();
        drop(leases);
        drop(deferred);
        let leases = waiters.map(|waiter| waiter.join().unwrap());
        drop(leases);
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
