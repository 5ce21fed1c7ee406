//! An application thread: makes random calls until the end of the run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fastrand::Rng;
use kafka_producer::{
    CloseError, FlushError, FutureRecordMetadata, ProduceError, ProducerRecord, RecordMetadata,
    ReloadTlsError, SendError, TrySendReason,
};

use crate::ledger::{self, Outcome, TOPICS};
use crate::producers::Shared;
use crate::user_code::{CallbackAction, Wakeful, callback};
use crate::watchdog::About;
use crate::world::{SLOTS, World, name_of};

/// Maximum number of futures that a thread keeps.
const MAX_HELD: usize = 400;

/// Source of an outcome: `get` on another record's future, called inside a callback.
pub(crate) const GET_IN_CALLBACK: &str = "get in a callback";

/// A record's future, with the record's number and producer.
pub(crate) struct Held {
    pub(crate) future: FutureRecordMetadata,
    number: u64,
    /// The number of its producer.
    producer: u64,
    delivery_timeout: Duration,
    /// The waker with which the future was last polled.
    waits: Option<Arc<Wakeful>>,
}

impl Held {
    /// Reports to the ledger the outcome that `by` returned.
    pub(crate) fn reported(
        &self,
        world: &World,
        by: &'static str,
        result: Result<&RecordMetadata, &ProduceError>,
    ) {
        world.reported(self.number, by, result);
        // Inside a callback, other callbacks of the same batch may not have run yet.
        let must_be_called = Outcome::of(result).is_some() && by != GET_IN_CALLBACK;
        if must_be_called && world.ledger.awaits_callback(self.number) {
            let number = self.number;
            world.violation(format!(
                "record {number}: {by} returned {result:?} before the callback ran"
            ));
        }
    }

    fn about(&self) -> About {
        About {
            record: Some(self.number),
            producer: Some(self.producer),
        }
    }

    /// Waits for the result, and then for the wake-up if the future was polled before.
    pub(crate) fn get(self, world: &World) {
        let get = || self.future.get();
        let result = world.within(self.delivery_timeout, "get", self.about(), get);
        self.finish(world, "get", result.as_ref());
    }

    /// Polls the future. Returns whether it is ready.
    fn poll(&mut self, world: &World, wakeful: &Arc<Wakeful>) -> bool {
        let waker = Waker::from(Arc::clone(wakeful));
        match Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => {
                self.reported(world, "poll", result.as_ref());
                true
            }
            Poll::Pending => {
                self.waits = Some(Arc::clone(wakeful));
                false
            }
        }
    }

    /// Reports the final result, and waits for the wake-up of the waker with which the future was polled.
    fn finish(
        self,
        world: &World,
        by: &'static str,
        result: Result<&RecordMetadata, &ProduceError>,
    ) {
        self.reported(world, by, result);
        if let Some(wakeful) = &self.waits {
            let bound = Duration::from_millis(10);
            world.within(bound, "wake-up", self.about(), || wakeful.wait());
        }
    }
}

/// Sends a record with a new number, by one of the sending methods. Returns `None` if the record was refused.
pub(crate) fn send_one(
    world: &Arc<World>,
    shared: &Shared,
    dice: &mut Rng,
    action: Option<CallbackAction>,
) -> Option<Held> {
    let number = world.ledger.open(shared.guarantee, action.is_some());
    let (key, value) = (number.to_le_bytes(), ledger::value(number));
    let topic = match dice.u16(..1000) {
        0..2 => "missing",
        _ => TOPICS[dice.usize(..TOPICS.len())],
    };
    let mut record = ProducerRecord::new(topic, &value[..]);
    if dice.bool() {
        record = record.with_key(&key[..]);
    }
    if dice.u8(..8) == 0 {
        record = record.with_partition(0);
    }
    if dice.u16(..1000) == 0 {
        record = record.with_header("large", vec![0; 2_000_000]);
    }
    let about = About {
        record: Some(number),
        producer: Some(shared.number),
    };
    let producer = &shared.producer;
    let sent = match action {
        Some(action) => {
            let callback = callback(world, number, action);
            let send = || {
                let sent = producer.send_with_callback(record, callback);
                sent.map(Into::into)
            };
            world.within(shared.max_block, "send with callback", about, send)
        }
        None if dice.u8(..4) == 0 => {
            let try_send = || {
                producer
                    .try_send(record)
                    .map_err(|error| error.reason().clone())
            };
            let sent = world.within(Duration::ZERO, "try_send", about, try_send);
            sent.map_err(|reason| match reason {
                TrySendReason::Call(error) => error,
                reason => {
                    world.count("try_send refused", name_of(&reason));
                    SendError::Closed
                }
            })
        }
        None => world.within(shared.max_block, "send", about, || producer.send(record)),
    };
    world.ledger.returned(number, sent.is_ok());
    match sent {
        Ok(future) => {
            shared.accepted.fetch_add(1, Ordering::Relaxed);
            Some(Held {
                future,
                number,
                producer: shared.number,
                delivery_timeout: shared.delivery_timeout,
                waits: None,
            })
        }
        Err(error) => {
            world.count("send refused", name_of(&error));
            None
        }
    }
}

struct Worker {
    world: Arc<World>,
    dice: Rng,
    held: Vec<Held>,
}

pub(crate) fn work(world: Arc<World>, index: usize, seed: u64, until: Instant) {
    let mut worker = Worker {
        world,
        dice: Rng::with_seed(seed.wrapping_mul(31).wrapping_add(index as u64)),
        held: Vec::new(),
    };
    while Instant::now() < until {
        worker.act();
    }
    for held in worker.held {
        held.get(&worker.world);
    }
}

impl Worker {
    fn act(&mut self) {
        let slot = self.dice.usize(..SLOTS);
        match self.dice.u8(..100) {
            0..60 => self.send_some(slot),
            60..68 => self.poll_some(),
            68..72 => self.await_some(),
            72..80 => self.get_some(),
            80..84 => self.drop_some(),
            84..90 => self.swap_with_others(),
            90..94 => self.flush(slot),
            94 if self.dice.bool() => self.reload_tls(slot),
            94 => self.partitions_for(slot),
            95 => {
                let shared = self.shared(slot);
                self.close(&shared);
                self.let_go(shared);
            }
            96 => self.replace(slot),
            _ => self.short_life(),
        }
        while self.held.len() > MAX_HELD {
            self.get_some();
            self.drop_some();
        }
    }

    fn shared(&self, slot: usize) -> Arc<Shared> {
        let slot = self.world.slots[slot].lock().unwrap();
        Arc::clone(slot.as_ref().unwrap())
    }

    fn take_one(&mut self) -> Option<Held> {
        let count = self.held.len();
        (count > 0).then(|| self.held.swap_remove(self.dice.usize(..count)))
    }

    fn take_some(&mut self, most: usize) -> Vec<Held> {
        let count = self.dice.usize(..=most);
        (0..count).map_while(|_| self.take_one()).collect()
    }

    // ---- records

    fn send_some(&mut self, slot: usize) {
        let shared = self.shared(slot);
        let count = self.dice.usize(1..60);
        self.send_to(&shared, count);
        if shared.is_closed.load(Ordering::Relaxed) {
            self.replace(slot);
        }
        self.let_go(shared);
    }

    fn send_to(&mut self, shared: &Arc<Shared>, count: usize) {
        for _ in 0..count {
            if shared.is_closed.load(Ordering::Relaxed) && self.dice.bool() {
                break;
            }
            let action = self.dice.bool().then(|| self.action(shared));
            if let Some(held) = send_one(&self.world, shared, &mut self.dice, action) {
                // Half of the futures are dropped at once.
                if self.dice.bool() {
                    self.held.push(held);
                }
            }
        }
    }

    fn action(&mut self, shared: &Arc<Shared>) -> CallbackAction {
        match self.dice.u16(..400) {
            0..4 => CallbackAction::Panic,
            4..8 => CallbackAction::TakeTime(Duration::from_micros(self.dice.u64(..10_000))),
            8..40 => CallbackAction::Send(Arc::downgrade(shared), self.dice.fork()),
            40..50 => CallbackAction::DropFutures(self.take_some(5)),
            50..60 => {
                let own = self
                    .held
                    .iter()
                    .position(|held| held.producer == shared.number);
                let held = own.map(|at| self.held.swap_remove(at));
                CallbackAction::Wait(Arc::downgrade(shared), held)
            }
            60..64 => CallbackAction::DropProducer(Arc::clone(shared)),
            _ => CallbackAction::Nothing,
        }
    }

    // ---- futures

    fn poll_some(&mut self) {
        for mut held in self.take_some(20) {
            let wakeful = Wakeful::new(&mut self.dice);
            if held.poll(&self.world, &wakeful) {
                // `get` also waits for the wake-up of an earlier waker, if the future was polled before.
                held.get(&self.world);
            } else {
                self.held.push(held);
            }
        }
    }

    fn await_some(&mut self) {
        let mut pending = self.take_some(8);
        let wakeful = Wakeful::new(&mut self.dice);
        let longest = pending.iter().map(|held| held.delivery_timeout).max();
        let about = pending.first().map(Held::about).unwrap_or_default();
        let world = &self.world;
        world.within(longest.unwrap_or_default(), "await", about, || {
            loop {
                pending.retain_mut(|held| !held.poll(world, &wakeful));
                if pending.is_empty() {
                    break;
                }
                wakeful.wait();
            }
        });
    }

    fn get_some(&mut self) {
        for held in self.take_some(20) {
            if self.dice.bool() {
                held.get(&self.world);
                continue;
            }
            let timeout = Duration::from_micros(self.dice.u64(..20_000));
            let get = || held.future.get_timeout(timeout);
            let result = self.world.within(timeout, "get_timeout", held.about(), get);
            if held.future.is_done() {
                held.get(&self.world);
            } else {
                held.reported(&self.world, "get_timeout", result.as_ref());
                self.held.push(held);
            }
        }
    }

    fn drop_some(&mut self) {
        drop(self.take_some(20));
    }

    fn swap_with_others(&mut self) {
        let given = self.take_some(10);
        let mut stash = self.world.stash.lock().unwrap();
        let at = stash.len().saturating_sub(self.dice.usize(..20));
        let taken = stash.split_off(at);
        stash.extend(given);
        drop(stash);
        self.held.extend(taken);
    }

    // ---- producers

    fn partitions_for(&mut self, slot: usize) {
        let shared = self.shared(slot);
        let topic = TOPICS[self.dice.usize(..TOPICS.len())];
        let call = || shared.producer.partitions_for(topic);
        let about = About::producer(&shared);
        let result = self
            .world
            .within(shared.max_block, "partitions_for", about, call);
        match result {
            Ok(_) => self.world.count("partitions_for", "ok"),
            Err(error) => self.world.count("partitions_for", name_of(&error)),
        }
        self.let_go(shared);
    }

    /// The producers have no TLS, so there are no files to read.
    fn reload_tls(&self, slot: usize) {
        let shared = self.shared(slot);
        let call = || shared.producer.reload_tls();
        let about = About::producer(&shared);
        let result = self.world.within(Duration::ZERO, "reload_tls", about, call);
        match result {
            Ok(reload) if !reload.is_changed() => self.world.count("reload_tls", "ok"),
            Err(ReloadTlsError::Closed) => self.world.count("reload_tls", "closed"),
            other => self
                .world
                .violation(format!("a reload returned {other:?}, {shared:?}")),
        }
        self.let_go(shared);
    }

    fn flush(&mut self, slot: usize) {
        let shared = self.shared(slot);
        let timeout = self
            .dice
            .bool()
            .then(|| Duration::from_micros(self.dice.u64(..30_000)));
        let flush = || match timeout {
            Some(timeout) => shared.producer.flush_timeout(timeout),
            None => shared.producer.flush(),
        };
        let bound = timeout.unwrap_or(shared.delivery_timeout);
        let flushed = self
            .world
            .within(bound, "flush", About::producer(&shared), flush);
        match flushed {
            Ok(()) => {
                self.world.count("flush", "ok");
                self.all_are_done(&shared, "a flush");
            }
            Err(FlushError::TimedOut { .. }) if timeout.is_some() => {
                self.world.count("flush", "timed out");
            }
            Err(error) => self
                .world
                .violation(format!("a flush failed: {error}, {shared:?}")),
        }
        self.let_go(shared);
    }

    fn close(&mut self, shared: &Arc<Shared>) {
        let timeout = match self.dice.u8(..3) {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(Duration::from_millis(self.dice.u64(..500))),
        };
        let close = || match timeout {
            Some(timeout) => shared.producer.close_timeout(timeout),
            None => shared.producer.close(),
        };
        let bound = timeout.unwrap_or(shared.delivery_timeout);
        let closed = self
            .world
            .within(bound, "close", About::producer(shared), close);
        match closed {
            Ok(()) => self.world.count("close", "ok"),
            Err(CloseError::Undelivered { .. }) => self.world.count("close", "undelivered"),
            Err(error) => self
                .world
                .violation(format!("a close failed: {error}, {shared:?}")),
        }
        self.all_are_done(shared, "a close");
        shared.is_closed.store(true, Ordering::Relaxed);
    }

    /// Checks that the futures of all records that this thread sent through the producer are done.
    fn all_are_done(&self, shared: &Shared, after: &str) {
        for held in &self.held {
            if held.producer == shared.number && !held.future.is_done() {
                let about = held.about();
                self.world
                    .violation(format!("not done after {after}: {about}, {shared:?}"));
            }
        }
    }

    /// Replaces the producer of a slot by a new one.
    fn replace(&mut self, slot: usize) {
        let new = Shared::build(&self.world, &mut self.dice);
        let old = self.world.slots[slot].lock().unwrap().replace(new);
        self.end(old.unwrap());
    }

    /// Builds a producer that only this thread uses, and ends it.
    fn short_life(&mut self) {
        let shared = Shared::build(&self.world, &mut self.dice);
        let count = self.dice.usize(..20);
        self.send_to(&shared, count);
        self.end(shared);
    }

    /// Ends a producer: drops the handle, drops it in a callback, or closes the producer.
    fn end(&mut self, shared: Arc<Shared>) {
        match self.dice.u8(..4) {
            0 => self.let_go(shared),
            1 => {
                let action = CallbackAction::DropProducer(Arc::clone(&shared));
                let held = send_one(&self.world, &shared, &mut self.dice, Some(action));
                self.held.extend(held);
                self.let_go(shared);
            }
            _ => {
                self.close(&shared);
                shared.retire(&self.world);
            }
        }
    }

    /// Drops a handle, possibly the last, of a producer.
    fn let_go(&self, shared: Arc<Shared>) {
        let about = About::producer(&shared);
        if Arc::strong_count(&shared) == 1 {
            self.world.count("producers", "dropped open or closed");
        }
        let bound = shared.delivery_timeout;
        self.world.within(bound, "drop", about, || drop(shared));
    }
}
