use super::*;

/// Java: `LegacyRecord.RECORD_OVERHEAD_V0`, `RECORD_OVERHEAD_V1`
#[test]
fn sizes_are_those_of_kafka() {
    let (v0, v1) = (LegacyMagic::V0, LegacyMagic::V1);
    assert_eq!([v0.record_overhead(), v1.record_overhead()], [14, 22]);
    assert_eq!([v0.message_size(3, 5), v1.message_size(3, 5)], [34, 42]);
    assert_eq!([v0.set_overhead(false), v1.set_overhead(false)], [0, 0]);
    assert_eq!([v0.set_overhead(true), v1.set_overhead(true)], [26, 34]);
}

/// KP-19. Java: KafkaProducer#ensureValidRecordSize by AbstractRecords#estimateSizeInBytesUpperBound:
/// 12 + 22 + 8 plain; 12 + 22 + (22 + 8) in a wrapper.
#[test]
fn the_upper_bound_is_the_size_that_records_are_checked_with() {
    let bound = LegacyMagic::V1.set_size_upper_bound(false, 3, 5);
    assert_eq!(bound, 42);
    assert_eq!(LegacyMagic::V1.set_size_upper_bound(true, 3, 5), 64);
    assert_eq!(LegacyMagic::V0.set_size_upper_bound(false, 3, 5), 34);
    assert_eq!(LegacyMagic::V0.set_size_upper_bound(true, 3, 5), 48);
}

#[test]
fn only_magic_0_and_1_are_legacy_formats() {
    assert_eq!(LegacyMagic::of(Magic::V2), None);
    for magic in [LegacyMagic::V0, LegacyMagic::V1] {
        assert_eq!(LegacyMagic::of(magic.magic()), Some(magic));
    }
}
