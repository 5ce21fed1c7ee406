use super::*;
use crate::clock::Clock;
use crate::clock::mock::MockClock;
use crate::compress::CompressionType;
use crate::producer::accumulator::tests::{Fixture, MS, append, fixture, fixture_with};
use crate::types::Magic;

const TIMEOUT: Duration = Duration::from_secs(10);

struct Rig {
    fixture: Fixture,
    drainer: Drainer,
    version: u32,
}

impl Rig {
    /// A drainer and a topic "t" with one partition for each of these leaders; -1 for a partition without a leader.
    fn new(batch_size: usize, linger: Duration, leaders: &[NodeId]) -> Self {
        Self::of(fixture(batch_size, linger), linger, leaders)
    }

    fn of(fixture: Fixture, linger: Duration, leaders: &[NodeId]) -> Self {
        let options = DrainerOptions {
            linger,
            delivery_timeout: TIMEOUT,
        };
        let mut rig = Self {
            fixture,
            drainer: Drainer::new(options),
            version: 0,
        };
        rig.lead_by(leaders);
        rig
    }

    fn now(&self) -> Instant {
        let clock: &MockClock = &self.fixture.clock;
        clock.now()
    }

    fn lead_by(&mut self, leaders: &[NodeId]) {
        let cluster = Arc::new(self.fixture.cluster(leaders));
        self.version += 1;
        self.drainer
            .handle_cluster(cluster, self.version, self.fixture.clock.now());
    }

    fn append(&mut self, partition: i32) {
        let _future = append(&self.fixture, partition, "v");
        let now = self.now();
        self.drainer.handle_inbox(&self.fixture.accumulator, now);
    }

    fn ready(&self) -> Vec<NodeId> {
        let mut nodes = Vec::new();
        self.drainer.ready_nodes(false, &mut nodes);
        nodes
    }

    fn drain_up_to(&mut self, node: NodeId, max: usize) -> (Vec<Drained>, DrainResult) {
        let (now, mut drained) = (self.now(), Vec::new());
        let result = self.drainer.drain(node, max, None, now, &mut drained);
        (drained, result)
    }

    fn drain(&mut self, node: NodeId) -> Vec<Drained> {
        self.drain_up_to(node, usize::MAX).0
    }
}

fn partitions(drained: &[Drained]) -> Vec<i32> {
    drained
        .iter()
        .map(|d| d.batch.topic_partition().partition())
        .collect()
}

/// RA-15, RA-16 (KAFKA-13834)
#[test]
fn a_drain_starts_at_the_partition_where_the_last_drain_of_its_node_stopped() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, 0, 0, 1]);
    for partition in [0, 0, 1, 1, 2, 2, 3] {
        rig.append(partition);
    }
    let size = {
        let (drained, result) = rig.drain_up_to(0, 1);
        assert_eq!((partitions(&drained), result.cut_short), (vec![0], true));
        drained[0].batch.size_bytes()
    };
    // A drain of another node does not change the drain index of this one.
    assert_eq!(partitions(&rig.drain(1)), [3]);
    let (drained, result) = rig.drain_up_to(0, 2 * size);
    assert_eq!((partitions(&drained), result.cut_short), (vec![1, 2], true));
    assert_eq!(partitions(&rig.drain(0)), [0, 1, 2]);
    assert_eq!(rig.drain(0).len(), 0);
    assert!(!rig.drainer.has_undrained());
}

/// A drain visits every partition of the node once, whether its batch is due or not. The sender thread compresses an
/// open batch that it takes (RA-15).
#[test]
fn an_open_batch_is_drained_with_a_full_batch_of_its_node_compressed_or_not() {
    for codec in [CompressionType::None, CompressionType::Lz4] {
        let linger = MS(10);
        let fixture = fixture_with(100, linger, codec, Magic::V2);
        let mut rig = Rig::of(fixture, linger, &[0, 0]);
        rig.append(0);
        assert!(rig.ready().is_empty(), "{codec}");
        while rig.ready().is_empty() {
            rig.append(1);
        }
        assert_eq!(partitions(&rig.drain(0)), [0, 1], "{codec}");
    }
}

/// Java: RecordAccumulatorTest#testPartialDrain, RA-18
#[test]
fn a_batch_larger_than_the_request_limit_is_drained_alone() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, 0]);
    rig.append(0);
    rig.append(1);
    for expected in [0, 1] {
        assert_eq!(partitions(&rig.drain_up_to(0, 1).0), [expected]);
    }
}

/// Java: RecordAccumulatorTest#testNextReadyCheckDelay, #testLinger
#[test]
fn a_batch_is_due_after_its_linger_and_the_timer_is_for_the_earliest() {
    let mut rig = Rig::new(1000, MS(10), &[0, 1]);
    rig.append(0);
    let due = rig.now() + MS(10);
    rig.fixture.clock.advance(MS(4));
    rig.append(1);
    assert_eq!(
        (rig.ready(), rig.drainer.next_due()),
        (vec![], Deadline::At(due))
    );
    rig.fixture.clock.advance(MS(6));
    let now = rig.now();
    rig.drainer.handle_timers(now);
    assert_eq!(
        (rig.ready(), rig.drainer.next_due()),
        (vec![0], Deadline::At(due + MS(4)))
    );
    assert_eq!(partitions(&rig.drain(0)), [0]);
    let mut all = Vec::new();
    rig.drainer.ready_nodes(true, &mut all);
    assert_eq!(all, [1], "a flush does not wait for the linger");
}

/// Java: RecordAccumulatorTest#testRetryBackoff, RA-13, RA-17
#[test]
fn a_retry_waits_for_its_backoff_and_later_batches_of_its_partition_wait_behind_it() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, 0]);
    for partition in [0, 0, 1] {
        rig.append(partition);
    }
    let mut drained = rig.drain(0);
    assert_eq!(partitions(&drained), [0, 1]);
    let now = rig.now();
    let Drained { index, mut batch } = drained.remove(0);
    let id = batch.id();
    batch.mark_retried(now, now + MS(100));
    rig.drainer.reenqueue(index, batch, now);
    assert_eq!((rig.ready(), rig.drainer.retries_queued()), (vec![], 1));
    rig.append(1);
    assert_eq!(
        partitions(&rig.drain(0)),
        [1],
        "the other partition is not held"
    );
    rig.fixture.clock.advance(MS(100));
    let now = rig.now();
    rig.drainer.handle_timers(now);
    assert_eq!(rig.ready(), [0]);
    assert_eq!(rig.drain(0)[0].batch.id(), id);
    assert_eq!(
        (partitions(&rig.drain(0)), rig.drainer.retries_queued()),
        (vec![0], 0)
    );
}

/// A batch that is to be sent again returns to its position by batch id, before all newer batches of its partition
/// (RA-27, RA-28).
#[test]
fn retries_are_queued_in_the_order_in_which_they_were_opened() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0]);
    for _ in 0..3 {
        rig.append(0);
    }
    let drained: Vec<Drained> = (0..3).flat_map(|_| rig.drain(0)).collect();
    let ids: Vec<BatchId> = drained.iter().map(|d| d.batch.id()).collect();
    let now = rig.now();
    for Drained { index, batch } in drained.into_iter().rev() {
        rig.drainer.reenqueue(index, batch, now);
    }
    let again: Vec<BatchId> = (0..3)
        .flat_map(|_| rig.drain(0))
        .map(|d| d.batch.id())
        .collect();
    assert_eq!(again, ids);
}

/// Java: RecordAccumulatorTest#testMutedPartitions, RA-9
#[test]
fn a_muted_partition_is_not_ready_until_it_is_unmuted() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0]);
    rig.append(0);
    let (index, now) = (0, rig.now());
    rig.drainer.mute(index, now);
    assert_eq!((rig.ready(), rig.drain(0).len()), (vec![], 0));
    rig.drainer.unmute(index, now);
    assert_eq!((rig.ready(), rig.drain(0).len()), (vec![0], 1));
}

/// With at most one request in flight, the next batch must wait for the response to the batch in flight, which the old
/// leader may still write.
#[test]
fn a_muted_partition_stays_muted_when_its_leader_changes() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0]);
    rig.append(0);
    let (index, now) = (0, rig.now());
    rig.drainer.mute(index, now);
    rig.lead_by(&[1]);
    rig.append(0);
    assert_eq!((rig.ready(), rig.drain(1).len()), (vec![], 0));
    let now = rig.now();
    rig.drainer.unmute(index, now);
    assert_eq!((rig.ready(), rig.drain(1).len()), (vec![1], 1));
}

#[test]
fn a_partition_moves_to_its_new_leader_and_a_leaderless_topic_is_reported_once_per_snapshot() {
    let mut rig = Rig::new(0, Duration::ZERO, &[-1, 0]);
    rig.append(0);
    assert_eq!(rig.drainer.take_leaderless_topics().len(), 1);
    assert_eq!(rig.drainer.take_leaderless_topics().len(), 0);
    rig.lead_by(&[-1, 0]);
    assert_eq!(rig.drainer.take_leaderless_topics().len(), 1);
    rig.lead_by(&[1, 0]);
    assert_eq!(
        (rig.drainer.take_leaderless_topics().len(), rig.ready()),
        (0, vec![1])
    );
    rig.lead_by(&[0, 0]);
    assert_eq!(
        (rig.ready(), rig.drain(1).len(), rig.drain(0).len()),
        (vec![0], 0, 1)
    );
}

/// Java: RecordAccumulatorTest#testExpiredBatches, RA-24, RA-26
#[test]
fn batches_expire_by_age_also_when_they_are_retried_or_muted() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, 0]);
    rig.append(0);
    rig.append(1);
    let expiry = rig.now() + TIMEOUT;
    let Drained { index, mut batch } = rig.drain(0).remove(0);
    let now = rig.now();
    batch.mark_retried(now, now + TIMEOUT * 2);
    rig.drainer.reenqueue(index, batch, now);
    rig.drainer.mute(index, now);
    rig.fixture.clock.advance(MS(1));
    rig.append(0);
    assert_eq!(rig.drainer.next_expiry(), Deadline::At(expiry));
    rig.fixture.clock.advance(TIMEOUT.saturating_sub(MS(1)));
    let mut expired = Vec::new();
    let now = rig.now();
    rig.drainer.take_expired(now, &[], &mut expired);
    assert_eq!(partitions(&expired), [0]);
    assert_eq!(rig.drainer.next_expiry(), Deadline::At(expiry + MS(1)));
    rig.fixture.clock.advance(MS(1));
    let now = rig.now();
    rig.drainer.take_expired(now, &[], &mut expired);
    assert_eq!(partitions(&expired), [0, 0]);
    assert_eq!(
        (rig.drainer.has_undrained(), rig.drainer.next_expiry()),
        (false, Deadline::Never)
    );
}

/// A drain gate that holds back the partition with this number.
struct Gate(i32);

impl DrainGate for Gate {
    fn may_drain(&self, index: EntryIndex, _: NextBatch) -> bool {
        (index as i32) != self.0
    }

    fn number(&mut self, _: EntryIndex, _: &mut SealedBatch) {}
}

/// A partition that is held back is skipped; in Kafka it ends the drain of the node (RA-19).
#[test]
fn a_partition_that_the_gate_holds_back_does_not_hold_back_others() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, 0, 0]);
    for partition in 0..3 {
        rig.append(partition);
    }
    let (now, mut drained) = (rig.now(), Vec::new());
    rig.drainer
        .drain(0, usize::MAX, Some(&mut Gate(1)), now, &mut drained);
    assert_eq!(partitions(&drained), [0, 2]);
    assert_eq!(partitions(&rig.drain(0)), [1]);
}

/// Java: RecordAccumulatorTest#testAbortIncompleteBatches
#[test]
fn take_all_includes_queues_that_were_never_drained() {
    let mut rig = Rig::new(0, Duration::ZERO, &[0, -1]);
    rig.append(0);
    let _future = append(&rig.fixture, 1, "unseen");
    let (now, mut all) = (rig.now(), Vec::new());
    rig.drainer
        .take_all(&rig.fixture.accumulator, now, &mut all);
    let mut found = partitions(&all);
    found.sort_unstable();
    assert_eq!((found, rig.drainer.has_undrained()), (vec![0, 1], false));
}
