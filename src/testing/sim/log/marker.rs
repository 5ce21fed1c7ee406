//! Transaction markers: the control batch that a coordinator writes at the end of a transaction.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::batch::RecordBatch;
use crate::record::format::{
    ATTRIBUTES_OFFSET, Attributes, CRC_OFFSET, LOG_OVERHEAD, MAGIC_V2, NO_PARTITION_LEADER_EPOCH,
    NO_SEQUENCE, RECORD_BATCH_OVERHEAD,
};
use crate::types::ProducerIdAndEpoch;
use crate::util::crc32c::crc32c;

/// Position of the marker type (commit or abort) in the records.
const TYPE_AT: usize = 8;
const ABORT: u8 = 0;
const COMMIT: u8 = 1;
/// The coordinator epoch, which no code here reads.
const COORDINATOR_EPOCH: [u8; 4] = [0; 4];

/// Encodes the control batch.
///
/// # Kafka
/// `MemoryRecords#writeEndTransactionalMarker`, `EndTransactionMarker`.
pub(super) fn marker(producer: ProducerIdAndEpoch, committed: bool, now: Timestamp) -> Bytes {
    let kind = if committed { COMMIT } else { ABORT };
    let [c0, c1, c2, c3] = COORDINATOR_EPOCH;
    // Variable-length integers are zig-zag encoded, which doubles these values: record of 16 bytes, key of 4, value of
    // 6. Key: version and type; value: version and coordinator epoch.
    let record = [32, 0, 0, 0, 8, 0, 0, 0, kind, 12, 0, 0, c0, c1, c2, c3, 0];
    let attributes = Attributes::default().transactional(true).control(true);
    let length = (RECORD_BATCH_OVERHEAD - LOG_OVERHEAD + record.len()) as i32;
    let time = now.as_millis().to_be_bytes();
    let fields: [&[u8]; 14] = [
        &0_i64.to_be_bytes(),
        &length.to_be_bytes(),
        &NO_PARTITION_LEADER_EPOCH.to_be_bytes(),
        &MAGIC_V2.to_be_bytes(),
        &[0; 4],
        &attributes.bits().to_be_bytes(),
        &0_i32.to_be_bytes(),
        &time,
        &time,
        &producer.id.to_be_bytes(),
        &producer.epoch.to_be_bytes(),
        &NO_SEQUENCE.to_be_bytes(),
        &1_i32.to_be_bytes(),
        &record,
    ];
    let mut batch = fields.concat();
    let crc = crc32c(&batch[ATTRIBUTES_OFFSET..]);
    batch[CRC_OFFSET..ATTRIBUTES_OFFSET].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

/// Whether a marker commits its transaction.
pub(super) fn is_commit(marker: &RecordBatch) -> bool {
    marker.payload().get(TYPE_AT) == Some(&COMMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_control_batch_whose_only_record_is_a_commit_or_an_abort() {
        for (committed, kind) in [(false, 0), (true, 1)] {
            let producer = ProducerIdAndEpoch::new(5, 6);
            let bytes = marker(producer, committed, Timestamp::from_millis(77));
            let batch = RecordBatch::parse(&bytes).unwrap();
            assert!(batch.attributes().is_control() && batch.attributes().is_transactional());
            assert_eq!((batch.producer_id(), batch.producer_epoch()), (5, 6));
            assert_eq!((batch.base_sequence(), batch.records_count()), (-1, 1));
            assert_eq!((batch.first_timestamp(), batch.max_timestamp()), (77, 77));
            assert_eq!(is_commit(&batch), committed);
            let records: Result<Vec<_>, _> = batch.records().unwrap().collect();
            let records = records.unwrap();
            assert_eq!(records[0].key, Some(&[0, 0, 0, kind][..]));
            assert_eq!(records[0].value, Some(&[0; 6][..]));
        }
    }
}
