use super::*;

fn of(pairs: &[(&'static str, &'static str)]) -> Headers {
    pairs
        .iter()
        .map(|(key, value)| Header::new(*key, *value))
        .collect()
}

fn last<'a>(headers: &'a Headers, key: &str) -> Option<&'a [u8]> {
    headers.last(key).and_then(Header::value)
}

/// Java: RecordHeadersTest#testAdd (IN-12)
#[test]
fn headers_keep_the_order_they_were_added_in() {
    let mut headers = Headers::new();
    headers.add("key", "value").unwrap();
    headers.add("key2", "value2").unwrap();
    let all: Vec<_> = headers.iter().map(|h| (h.key(), h.value())).collect();
    assert_eq!(
        all,
        [("key", Some(&b"value"[..])), ("key2", Some(&b"value2"[..]))]
    );
    assert_eq!(headers.len(), 2);
}

/// Java: RecordHeadersTest#testRemove
#[test]
fn removing_the_only_header_leaves_none() {
    let mut headers = of(&[("key", "value")]);
    assert_eq!(headers.remove("key"), Ok(1));
    assert!(headers.is_empty());
    assert_eq!(headers.remove("key"), Ok(0));
}

/// Java: RecordHeadersTest#testAddRemoveInterleaved
#[test]
fn adding_and_removing_in_turn_removes_every_header_of_a_key_and_no_other() {
    let mut headers = of(&[("key", "value"), ("key2", "value2")]);
    headers.remove("key").unwrap();
    assert_eq!(headers.len(), 1);
    headers.add("key3", "value3").unwrap();
    assert_eq!(headers.last("key"), None);
    assert_eq!(last(&headers, "key2"), Some(&b"value2"[..]));
    assert_eq!(last(&headers, "key3"), Some(&b"value3"[..]));
    headers.remove("key2").unwrap();
    headers.add("key3", "value4").unwrap();
    assert_eq!(last(&headers, "key3"), Some(&b"value4"[..]));
    headers.add("key", "valueNew").unwrap();
    assert_eq!(headers.len(), 3);
    assert_eq!(headers.remove("key3"), Ok(2));
    assert_eq!(headers, of(&[("key", "valueNew")]));
}

/// Java: RecordHeadersTest#testLastHeader
#[test]
fn the_last_of_several_headers_with_one_key_is_found() {
    let headers = of(&[
        ("key", "value"),
        ("key", "value2"),
        ("key", "value3"),
        ("other", "x"),
    ]);
    assert_eq!(last(&headers, "key"), Some(&b"value3"[..]));
    assert_eq!(headers.last("none"), None);
}

/// Java: RecordHeadersTest#testReadOnly
#[test]
fn frozen_headers_refuse_every_change() {
    let mut headers = of(&[("key", "value")]);
    headers.freeze();
    assert!(headers.is_frozen());
    assert_eq!(headers.add("key", "again"), Err(HeadersFrozen));
    assert_eq!(headers.push(Header::null("key")), Err(HeadersFrozen));
    assert_eq!(headers.remove("key"), Err(HeadersFrozen));
    assert_eq!(headers, of(&[("key", "value")]));
    assert!(HeadersFrozen.to_string().contains("frozen"));
}

/// Java: RecordHeadersTest#testHeaders
#[test]
fn the_headers_of_one_key_are_returned_in_order() {
    let headers = of(&[("key", "value"), ("key1", "key1value"), ("key", "value2")]);
    let values: Vec<_> = headers
        .iter_for("key")
        .map(|h| h.value().unwrap())
        .collect();
    assert_eq!(values, [&b"value"[..], b"value2"]);
    assert_eq!(headers.iter_for("key1").count(), 1);
    assert_eq!(headers.iter_for("key2").count(), 0);
}

/// Java: RecordHeadersTest#testNew
#[test]
fn a_clone_of_frozen_headers_can_be_changed_and_leaves_the_original_alone() {
    let mut headers = of(&[("key", "value")]);
    headers.freeze();
    let mut clone = headers.clone();
    clone.add("key", "value2").unwrap();
    assert_eq!(headers, of(&[("key", "value")]));
    assert_eq!(last(&clone, "key"), Some(&b"value2"[..]));
}

#[test]
fn a_null_value_is_not_an_empty_one() {
    let null = Header::null("key");
    let empty = Header::new("key", "");
    assert_eq!(null.value(), None);
    assert_eq!(empty.value(), Some(&b""[..]));
    assert_ne!(null, empty);
}

#[test]
fn empty_headers_own_no_memory() {
    assert_eq!(Headers::new().list.capacity(), 0);
}
