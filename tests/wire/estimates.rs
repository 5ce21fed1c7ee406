//! Estimates of sizes before a batch is written.

use bytes::Bytes;
use kafka_producer::internals::wire::{
    BatchRecord, BatchSpec, build_batch, fill_batch, size_upper_bound,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

crate::tests![
    no_batch_exceeds_its_limit_unless_its_only_record_does,
    no_record_takes_more_than_was_estimated,
];

fn bytes(longest: usize) -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..longest).prop_map(Bytes::from))
}

fn record() -> impl Strategy<Value = BatchRecord> {
    let timestamp = prop_oneof![
        -1..=1i64,
        1_600_000_000_000..1_700_000_000_000i64,
        0..=i64::MAX
    ];
    let headers = vec(("\\PC{0,9}", bytes(70)), 0..4);
    // Lengths take a second byte from 64 on, and a third from 8192 on.
    let value = prop_oneof![bytes(80), bytes(300), bytes(9000)];
    (timestamp, bytes(80), value, headers).prop_map(|(timestamp, key, value, headers)| {
        BatchRecord {
            timestamp,
            key,
            value,
            headers,
        }
    })
}

fn bound(magic: i8, record: &BatchRecord) -> usize {
    size_upper_bound(magic, record).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    fn no_batch_exceeds_its_limit_unless_its_only_record_does(
        records in vec(record(), 1..40),
        limit in prop_oneof![0..600usize, 0..20_000usize],
    ) {
        let (taken, batch) = fill_batch(&records, limit);
        prop_assert!((1..=records.len()).contains(&taken));
        prop_assert!(taken == 1 || batch.len() <= limit, "{} bytes in {limit}", batch.len());
        if let Some(next) = records.get(taken) {
            // The batch is full: with the upper bound of the next record it would exceed the limit.
            prop_assert!(batch.len() + bound(2, next) > limit);
        }
    }

    fn no_record_takes_more_than_was_estimated(records in vec(record(), 1..8)) {
        for magic in 0..=2 {
            let spec = BatchSpec {
                magic,
                codec: "none".to_owned(),
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                transactional: false,
            };
            let mut sum = 0;
            for record in &records {
                let estimated = bound(magic, record);
                let alone = build_batch(&spec, std::slice::from_ref(record)).unwrap();
                prop_assert!(alone.len() <= estimated, "v{magic}: {} of {estimated}", alone.len());
                sum += estimated;
            }
            let together = build_batch(&spec, &records).unwrap();
            prop_assert!(together.len() <= sum, "v{magic}: {} of {sum}", together.len());
            prop_assert!(magic == 2 || together.len() == sum, "message sets are estimated exactly");
        }
    }
}
