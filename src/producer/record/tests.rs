use std::time::Duration;

use super::*;

type Text<'a> = ProducerRecord<'a, str, [u8]>;

/// Java: ProducerRecordTest#testEqualsAndHashCode
#[test]
fn records_are_equal_when_all_their_parts_are() {
    let record = || ProducerRecord::<'_, str, i32>::keyed("test", "key", 1).with_partition(1);
    assert_eq!(record(), record());
    assert_ne!(
        record(),
        ProducerRecord::keyed("test-1", "key", 1).with_partition(1)
    );
    assert_ne!(record(), record().with_partition(2));
    assert_ne!(record(), record().with_key("key-1"));
    assert_ne!(
        record(),
        ProducerRecord::keyed("test", "key", 2).with_partition(1)
    );
    assert_ne!(record(), record().with_timestamp(0));
    assert_ne!(record(), record().with_header("h", ""));
    let mut bare = record();
    bare.set_partition(None);
    bare.clear_key();
    bare.clear_value();
    assert_eq!(bare, bare.clone());
    assert_ne!(bare, record());
}

/// Java: ProducerRecordTest#testInvalidRecords (IN-13)
#[test]
fn a_negative_partition_or_timestamp_is_refused() {
    let record = || Text::new("test", "value");
    assert_eq!(record().validate(), Ok(()));
    assert_eq!(
        record().with_partition(0).with_timestamp(0).validate(),
        Ok(())
    );
    let negative_partition = record().with_partition(-1).validate();
    assert_eq!(negative_partition, Err(RecordError::NegativePartition(-1)));
    let negative_timestamp = record().with_timestamp(-7).validate();
    assert_eq!(negative_timestamp, Err(RecordError::NegativeTimestamp(-7)));
}

#[test]
fn borrowed_data_is_not_copied() {
    let (topic, key, value) = ("t".to_owned(), "k".to_owned(), vec![1, 2, 3]);
    let record = Text::keyed(&topic, &key, &value);
    assert!(std::ptr::eq(record.topic(), topic.as_str()));
    assert!(std::ptr::eq(record.key().unwrap(), key.as_str()));
    assert!(std::ptr::eq(record.value().unwrap(), value.as_slice()));
    let clone = record.clone();
    assert!(std::ptr::eq(clone.value().unwrap(), value.as_slice()));
}

#[test]
fn owned_data_is_moved_not_copied() {
    let value = vec![1, 2, 3];
    let place = value.as_ptr();
    let record: ProducerRecord<'static, String, Vec<u8>> =
        ProducerRecord::keyed("t".to_owned(), "k".to_owned(), value);
    assert_eq!(record.value().unwrap().as_ptr(), place);
    let record = record.into_owned();
    assert_eq!(record.value().unwrap().as_ptr(), place);
}

#[test]
fn a_record_is_built_from_borrowed_and_owned_values() {
    let expected = Text::keyed("t", "k", b"abc");
    let (topic, key, value) = ("t".to_owned(), "k".to_owned(), b"abc".to_vec());
    assert_eq!(
        Text::keyed("t".to_owned(), "k".to_owned(), b"abc".to_vec()),
        expected
    );
    assert_eq!(Text::keyed(&topic, &key, &value), expected);
    assert_eq!(
        Text::keyed("t", Cow::Borrowed("k"), Cow::Borrowed(&b"abc"[..])),
        expected
    );
    assert_eq!(Text::keyed("t", Field::Borrowed("k"), *b"abc"), expected);
    assert_eq!(Text::keyed("t", "k", "abc"), expected);
    assert_eq!(Text::keyed("t", "k", "abc".to_owned()), expected);
    let value = 2.0;
    let numbers: ProducerRecord<'_, i32, f64> =
        ProducerRecord::keyed("t", 1, Field::Borrowed(&value));
    assert_eq!((numbers.key(), numbers.value()), (Some(&1), Some(&value)));
}

#[test]
fn a_tombstone_has_a_key_and_no_value() {
    let record = Text::tombstone("t", "k");
    assert_eq!((record.key(), record.value()), (Some("k"), None));
}

#[test]
fn an_owned_record_outlives_the_values_it_was_built_from() {
    let record = {
        let (topic, value) = ("t".to_owned(), vec![7]);
        Text::new(&topic, &value)
            .with_header("h", "v")
            .with_timestamp(5)
            .into_owned()
    };
    assert_eq!(
        record,
        Text::new("t", [7]).with_header("h", "v").with_timestamp(5)
    );
}

/// A record can be sent again, but its headers stay frozen (IN-14).
#[test]
fn a_record_that_was_sent_takes_headers_only_by_copying_them() {
    let mut record = Text::new("t", "v").with_header("a", "1");
    record.headers_mut().freeze();
    assert_eq!(record.headers_mut().add("b", "2"), Err(HeadersFrozen));
    assert_eq!(record.clone().headers_mut().add("b", "2"), Ok(()));
    let record = record.with_header("b", "2");
    let headers: Vec<_> = record.headers().iter().map(Header::key).collect();
    assert_eq!(headers, ["a", "b"]);
}

#[test]
fn the_debug_output_of_a_record_names_its_parts() {
    let record: ProducerRecord<'_, str, str> =
        ProducerRecord::keyed("t", "k", "v").with_partition(3);
    assert_eq!(
        format!("{record:?}"),
        "ProducerRecord { topic: \"t\", partition: Some(3), timestamp: None, key: Some(\"k\"), \
         value: Some(\"v\"), headers: [] }"
    );
}

#[test]
fn the_types_of_a_record_are_inferred_from_its_use() {
    fn key_and_value<K, V>(_like: Like<K, V>, record: &ProducerRecord<'_, K, V>) -> String
    where
        K: ?Sized + RecordData + fmt::Debug,
        V: ?Sized + RecordData + fmt::Debug,
    {
        format!("{:?} {:?}", record.key(), record.value())
    }
    // Fixes the types, as a producer does.
    type Like<K, V> = fn(&K, &V);
    let text_and_bytes: Like<str, [u8]> = |_, _| ();
    let record = ProducerRecord::new("t", "v").with_key("k");
    assert_eq!(
        key_and_value(text_and_bytes, &record),
        "Some(\"k\") Some([118])"
    );
    let owning: Like<String, i64> = |_, _| ();
    let record = ProducerRecord::keyed("t", "k".to_owned(), 7);
    assert_eq!(key_and_value(owning, &record), "Some(\"k\") Some(7)");
}

#[test]
fn a_record_takes_the_key_that_there_is() {
    let record = Text::new("t", "v").with_optional_key(Some("k"));
    assert_eq!(record.key(), Some("k"));
    assert_eq!(record.with_optional_key(None::<&str>).key(), None);
}

#[test]
fn borrowed_headers_are_copied() {
    let (name, value) = ("trace".to_owned(), vec![1, 2]);
    let mut record = Text::new("t", "v").with_copied_header(&name, &value);
    record.headers_mut().add_copied(&name, &name).unwrap();
    drop((name, value));
    let headers: Vec<_> = record
        .headers()
        .iter_for("trace")
        .map(Header::value)
        .collect();
    assert_eq!(headers, [Some(&[1, 2][..]), Some(&b"trace"[..])]);
}

#[test]
fn a_time_becomes_a_timestamp_in_milliseconds() {
    let nanos = Duration::from_nanos;
    let epoch = SystemTime::UNIX_EPOCH;
    for (time, timestamp) in [
        (epoch, 0),
        (epoch + nanos(1_999_999), 1),
        (epoch - nanos(1), -1),
        (epoch - nanos(1_000_000), -1),
        (
            epoch + Duration::from_secs(1_700_000_000),
            1_700_000_000_000,
        ),
    ] {
        let record = Text::new("t", "v").with_system_time(time);
        assert_eq!(record.timestamp(), Some(timestamp));
        assert_eq!(record.validate().is_ok(), timestamp >= 0);
    }
}
