use std::sync::Arc;

use super::*;
use crate::producer::instance::Instance;
use crate::sync::{Mutex, Rank};

const WRITTEN: BatchOutcome = BatchOutcome::Written {
    base_offset: 100,
    log_append_time_ms: -1,
};

const RECORD: RecordParts<'_> = RecordParts {
    key: None,
    value: Some(b"v"),
    headers: &[],
    timestamp_ms: 7,
};

struct Fixture {
    thunks: Thunks,
    calls: Arc<Mutex<Vec<i64>>>,
}

impl Fixture {
    fn new() -> Self {
        Self {
            thunks: Thunks::default(),
            calls: Arc::new(Mutex::new(Rank::LEAF, Vec::new())),
        }
    }

    fn add(&mut self, index: u32, callback: impl Callback) {
        Some(callback).move_to(&mut self.thunks, index, &RECORD);
    }

    /// A callback that records its record's offset, or panics at the offset `panic_at`. All these callbacks are of one
    /// type.
    fn noting(&self, panic_at: Option<i64>) -> impl Callback + use<> {
        let calls = Arc::clone(&self.calls);
        move |answer: RecordResultRef<'_>| {
            let offset = answer.unwrap().offset();
            assert_ne!(Some(offset), panic_at, "the test's panic");
            calls.lock().push(offset);
        }
    }

    fn run(self) -> Vec<i64> {
        run(self.thunks);
        self.calls.lock().clone()
    }
}

fn run(thunks: Thunks) -> Option<SpareVector> {
    thunks.run(CompletedBatch {
        partition: &TopicPartition::new("t", 3),
        outcome: &WRITTEN,
        listener: None,
        fence: Fence::of(&Instance::for_tests()),
    })
}

/// As a batch ends: its thunks run unless there are none.
fn end(thunks: Thunks) {
    if !thunks.is_empty() {
        run(thunks);
    }
}

#[test]
fn callbacks_of_several_types_run_in_the_order_of_sending() {
    let mut fixture = Fixture::new();
    for index in 0..8 {
        let calls = Arc::clone(&fixture.calls);
        match index % 4 {
            2 => fixture.add(index, move |answer: RecordResultRef<'_>| {
                calls.lock().push(-answer.unwrap().offset());
            }),
            3 => fixture.thunks.push_silent(index, &RECORD),
            _ => fixture.add(index, fixture.noting(None)),
        }
    }
    assert_eq!(fixture.run(), [100, 101, -102, 104, 105, -106]);
}

/// The callbacks of a batch run in the order of sending (KP-34). If one panics, the next is still called.
#[test]
fn a_panic_of_one_callback_does_not_stop_the_others() {
    let mut fixture = Fixture::new();
    for index in 0..5 {
        fixture.add(index, fixture.noting(Some(101 + i64::from(index / 4))));
    }
    assert_eq!(fixture.run(), [100, 102, 103, 104]);
}

#[test]
fn callbacks_of_one_type_share_one_vector() {
    let mut fixture = Fixture::new();
    for index in 0..100 {
        fixture.add(index, fixture.noting(None));
    }
    assert!(fixture.thunks.rare.is_none());
    assert_eq!(fixture.run().len(), 100);
}

#[test]
fn callbacks_of_one_type_each_get_the_sizes_and_timestamp_of_their_own_record() {
    let facts = Arc::new(Mutex::new(Rank::LEAF, Vec::new()));
    let long = vec![0; 40_000];
    let records = [
        (None, 7),
        (Some(&long[..]), 9),
        (Some(&b""[..]), i64::MAX),
        (None, 6),
    ];
    let mut thunks = Thunks::default();
    for (index, (key, timestamp_ms)) in (0..).zip(records) {
        let facts = Arc::clone(&facts);
        let callback = move |result: RecordResultRef<'_>| {
            let written = result.unwrap();
            let timestamp_ms = written.timestamp();
            facts
                .lock()
                .push((written.serialized_key_size(), timestamp_ms));
        };
        let record = RecordParts {
            key,
            timestamp_ms,
            ..RECORD
        };
        Some(callback).move_to(&mut thunks, index, &record);
    }
    run(thunks);
    let expected = records.map(|(key, at)| (key.map(<[u8]>::len), at));
    assert_eq!(*facts.lock(), expected);
}

#[test]
fn more_records_than_expected_do_not_double_the_memory() {
    let mut fixture = Fixture::new();
    fixture.thunks.expect(100);
    for index in 0..110 {
        fixture.add(index, fixture.noting(None));
    }
    assert!(fixture.thunks.rare.is_none());
    let like = fixture.noting(None);
    assert_eq!(capacity_for(&mut fixture.thunks, &like), Some(126));
    assert_eq!(fixture.run().len(), 110);
}

fn capacity_for<F: Callback>(thunks: &mut Thunks, _like: &F) -> Option<usize> {
    let alike = thunks.alike.as_deref_mut()?.as_any();
    Some(alike.downcast_ref::<Vec<Thunk<F>>>()?.capacity())
}

/// The pieces of a split batch take over its callbacks (PB-21).
#[test]
fn a_piece_takes_the_thunks_of_its_records_with_indexes_relative_to_the_piece() {
    let mut whole = Fixture::new();
    for index in [0, 2, 3, 6] {
        whole.add(index, whole.noting(None));
    }
    let calls = Arc::clone(&whole.calls);
    whole.add(7, move |answer: RecordResultRef<'_>| {
        calls.lock().push(-answer.unwrap().offset());
    });
    let mut runs = Vec::new();
    for records in [3, 1, 4] {
        let piece = Fixture {
            thunks: whole.thunks.take_front(records),
            calls: Arc::clone(&whole.calls),
        };
        runs.push(piece.run());
        whole.calls.lock().clear();
    }
    assert_eq!(runs, [vec![100, 102], vec![100], vec![102, -103]]);
    assert!(whole.run().is_empty());
}

/// Runs a batch with `records` callbacks of the fixture's type, and returns its emptied vector.
fn emptied(fixture: &Fixture, records: u32) -> SpareVector {
    let mut thunks = Thunks::default();
    thunks.expect(records as usize);
    for index in 0..records {
        Some(fixture.noting(None)).move_to(&mut thunks, index, &RECORD);
    }
    run(thunks).expect("the batch had callbacks")
}

#[test]
fn a_later_batch_stores_its_callbacks_in_the_vector_of_a_completed_one() {
    let mut fixture = Fixture::new();
    let spare = emptied(&fixture, 100);
    fixture.calls.lock().clear();
    fixture.thunks = Thunks::in_spare(Some(spare));
    assert!(fixture.thunks.is_empty());
    // Fewer are expected, but not so few that the vector is dropped.
    fixture.thunks.expect(50);
    for index in 0..100 {
        fixture.add(index, fixture.noting(None));
    }
    let like = fixture.noting(None);
    assert_eq!(capacity_for(&mut fixture.thunks, &like), Some(100));
    assert_eq!(fixture.run(), (100..200).collect::<Vec<_>>());
}

#[test]
fn a_vector_for_callbacks_of_another_type_is_not_reused() {
    let mut fixture = Fixture::new();
    fixture.thunks = Thunks::in_spare(Some(emptied(&Fixture::new(), 100)));
    fixture.thunks.expect(7);
    let calls = Arc::clone(&fixture.calls);
    // The first record of the batch has no callback.
    for index in 1..3 {
        let calls = Arc::clone(&calls);
        let callback = move |answer: RecordResultRef<'_>| {
            calls.lock().push(-answer.unwrap().offset());
        };
        fixture.add(index, callback);
    }
    assert_eq!(fixture.run(), [-101, -102]);
}

/// The room of a batch's vector, if that batch expects so many records and the vector of a batch with `before` callbacks
/// is spare.
fn capacity_after(before: u32, expected: usize) -> Option<usize> {
    let mut fixture = Fixture::new();
    fixture.thunks = Thunks::in_spare(Some(emptied(&fixture, before)));
    fixture.thunks.expect(expected);
    fixture.add(0, fixture.noting(None));
    let like = fixture.noting(None);
    capacity_for(&mut fixture.thunks, &like)
}

#[test]
fn a_spare_vector_has_room_for_the_expected_records_and_not_for_many_more() {
    // Far too large: dropped.
    assert_eq!(capacity_after(500, 100), Some(100));
    assert_eq!(capacity_after(400, 100), Some(400));
    // Too small: it grows at once, not with each record.
    assert_eq!(capacity_after(1, 150), Some(150));
    // The records of a large batch are more than room is reserved for at first.
    let grown = capacity_after(10_000, 10_000);
    assert!(grown.is_some_and(|room| room >= 10_000), "{grown:?}");
}

#[test]
fn an_unused_spare_vector_is_no_callback_and_stays_spare() {
    let mut thunks = Thunks::in_spare(Some(emptied(&Fixture::new(), 3)));
    thunks.expect(3);
    assert!(thunks.is_empty());
    let piece = thunks.take_front(1);
    assert!(piece.is_empty() && thunks.is_empty());
    assert!(run(thunks).is_some());
}

#[test]
fn spare_vectors_are_kept_up_to_a_bound_of_their_size() {
    let fixture = Fixture::new();
    let mut spares = SpareThunks::default();
    let (mut kept, mut bytes) = (0, 0);
    loop {
        let vector = emptied(&fixture, 500);
        bytes += vector.bytes();
        match spares.keep(vector) {
            None => kept += 1,
            Some(_) => break,
        }
    }
    assert!(
        kept > 10 && bytes > spares::MAX_BYTES,
        "{kept} vectors, {bytes} bytes"
    );
    // What is taken makes room.
    let taken = spares.take().expect("some are kept");
    assert!(spares.keep(taken).is_none());
    while spares.take().is_some() {
        kept -= 1;
    }
    assert_eq!(kept, 0);
}

#[test]
fn the_vector_of_a_piece_that_has_no_room_is_not_kept() {
    let mut whole = Fixture::new();
    whole.add(0, whole.noting(None));
    let calls = Arc::clone(&whole.calls);
    whole.add(1, move |answer: RecordResultRef<'_>| {
        calls.lock().push(-answer.unwrap().offset());
    });
    run(whole.thunks.take_front(1));
    let emptied = run(whole.thunks).expect("the first callback had a vector");
    let mut spares = SpareThunks::default();
    assert!(spares.keep(emptied).is_some());
    assert!(spares.take().is_none());
}

/// The bound counts what each vector takes itself, too: there may be many small ones.
#[test]
fn many_small_spare_vectors_are_within_the_bound() {
    let fixture = Fixture::new();
    let mut spares = SpareThunks::default();
    let mut kept = 0;
    while spares.keep(emptied(&fixture, 1)).is_none() {
        kept += 1;
    }
    let least = size_of::<SpareVector>() + size_of::<Vec<u8>>() + size_of::<RecordFacts>();
    assert!(
        kept > 100 && kept * least <= spares::MAX_BYTES,
        "{kept} vectors"
    );
}

#[test]
fn room_for_callbacks_that_own_much_is_not_reserved_at_once() {
    let mut fixture = Fixture::new();
    fixture.thunks.expect(512);
    let owned = [7_u8; 4096];
    let callback = move |answer: RecordResultRef<'_>| {
        assert_eq!((answer.is_ok(), owned[4095]), (true, 7));
    };
    fixture.add(0, callback);
    assert_eq!(capacity_for(&mut fixture.thunks, &callback), Some(3));
    for index in 1..10 {
        fixture.add(index, callback);
    }
    assert!(capacity_for(&mut fixture.thunks, &callback).is_some_and(|room| room < 20));
    fixture.run();
}

/// Whatever types the callbacks have, wherever records have none, and however the batch is split: each callback is
/// called once, with its own record, in the order of sending.
#[test]
fn every_callback_of_a_split_batch_is_called_whatever_the_types() {
    for seed in 0..3_000 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let records = rng.u32(1..40);
        let mut whole = Fixture::new();
        if rng.bool() {
            whole.thunks = Thunks::in_spare(Some(emptied(&whole, rng.u32(1..50))));
            whole.calls.lock().clear();
        }
        whole.thunks.expect(records as usize);
        let kinds = rng.u32(1..5);
        let mut expected = Vec::new();
        for index in 0..records {
            let calls = Arc::clone(&whole.calls);
            // The offset is relative to the piece, so the callback notes the index of its record in the whole batch.
            let number = i64::from(index);
            match rng.u32(0..kinds) {
                0 => whole.add(index, move |answer: RecordResultRef<'_>| {
                    calls.lock().extend(answer.is_ok().then_some(number));
                }),
                1 => whole.add(index, move |answer: RecordResultRef<'_>| {
                    let none = answer.is_err();
                    calls.lock().extend((!none).then_some(number));
                }),
                2 => {
                    whole.thunks.push_silent(index, &RECORD);
                    continue;
                }
                _ => continue,
            }
            expected.push(number);
        }
        let mut left = records;
        while left > 0 && rng.u32(0..4) > 0 {
            let count = rng.u32(1..=left);
            end(whole.thunks.take_front(count));
            left -= count;
        }
        end(whole.thunks);
        assert_eq!(*whole.calls.lock(), expected, "seed {seed}");
    }
}
