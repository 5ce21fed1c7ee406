use ::bytes::Bytes;

use super::*;

fn serialize<T: ?Sized>(serializer: &dyn Serializer<T>, data: &T) -> Option<Vec<u8>> {
    let mut headers = Headers::new();
    let bytes = serializer.serialize("topic", &mut headers, data).unwrap();
    assert!(headers.is_empty());
    bytes.map(|bytes| bytes.to_vec())
}

fn encoded(entries: &[(&str, &str)], is_key: bool, text: &str) -> Vec<u8> {
    let mut serializer: Box<dyn Serializer<str>> = Box::new(StringSerializer::new());
    let config = PluginConfig::new("client", entries.iter().copied());
    serializer.configure(&config, is_key).unwrap();
    serialize(&serializer, text).unwrap()
}

/// Numbers are sent big-endian (IN-8).
#[test]
fn numbers_are_sent_most_significant_byte_first() {
    assert_eq!(serialize(&ShortSerializer, &-2).unwrap(), [0xff, 0xfe]);
    assert_eq!(
        serialize(&IntegerSerializer, &0x0102_0304).unwrap(),
        [1, 2, 3, 4]
    );
    assert_eq!(
        serialize(&LongSerializer, &1).unwrap(),
        [0, 0, 0, 0, 0, 0, 0, 1]
    );
    assert_eq!(
        serialize(&LongSerializer, &i64::MIN).unwrap(),
        [0x80, 0, 0, 0, 0, 0, 0, 0]
    );
    assert_eq!(
        serialize(&FloatSerializer, &1.0).unwrap(),
        [0x3f, 0x80, 0, 0]
    );
    assert_eq!(
        serialize(&DoubleSerializer, &-2.0).unwrap(),
        [0xc0, 0, 0, 0, 0, 0, 0, 0]
    );
}

/// Java: SerializationTest#floatSerdeShouldPreserveNaNValues (IN-8)
#[test]
fn a_float_keeps_the_bits_of_its_nan_and_a_double_does_not() {
    let float = f32::from_bits(0x7f80_0001);
    assert_eq!(
        serialize(&FloatSerializer, &float).unwrap(),
        0x7f80_0001_u32.to_be_bytes()
    );
    let double = f64::from_bits(0xfff0_0000_0000_0001);
    let canonical = 0x7ff8_0000_0000_0000_u64.to_be_bytes();
    assert_eq!(serialize(&DoubleSerializer, &double).unwrap(), canonical);
}

/// Bytes are sent without a copy (IN-9).
#[test]
fn bytes_and_utf8_are_borrowed() {
    let mut headers = Headers::new();
    let data = vec![1, 2, 3];
    let bytes = ByteArraySerializer
        .serialize("t", &mut headers, &data)
        .unwrap();
    assert!(matches!(bytes, Some(Serialized::Borrowed(b)) if std::ptr::eq(b, data.as_slice())));
    let data = Bytes::from_static(b"abc");
    let bytes = BytesSerializer.serialize("t", &mut headers, &data).unwrap();
    assert!(matches!(bytes, Some(Serialized::Borrowed(b)) if std::ptr::eq(b, data.as_ref())));
    let text = "grüße";
    let bytes = StringSerializer::new()
        .serialize("t", &mut headers, text)
        .unwrap();
    assert!(matches!(bytes, Some(Serialized::Borrowed(b)) if std::ptr::eq(b, text.as_bytes())));
}

#[test]
fn numbers_take_no_allocation() {
    let bytes = LongSerializer
        .serialize("t", &mut Headers::new(), &7)
        .unwrap();
    assert!(matches!(bytes, Some(Serialized::Inline(_))));
}

/// Java: SerializationTest#allSerdesShouldSupportNull (IN-7)
#[test]
fn null_is_sent_as_null() {
    fn assert_null<T: StockSerialize + ?Sized>() {
        for class in T::JAVA_CLASSES {
            let serializer = T::stock_serializer(class).unwrap();
            let bytes = serializer.serialize_null("t", &mut Headers::new()).unwrap();
            assert_eq!(bytes, None, "{class}");
        }
    }
    assert_null::<str>();
    assert_null::<[u8]>();
    assert_null::<Bytes>();
    assert_null::<i16>();
    assert_null::<i32>();
    assert_null::<i64>();
    assert_null::<f32>();
    assert_null::<f64>();
    assert_null::<()>();
}

/// Java: SerializationTest#testSerializeVoid (IN-9)
#[test]
fn void_is_null() {
    assert_eq!(serialize(&VoidSerializer, &()), None);
}

/// Java: SerializationTest#stringSerdeShouldSupportDifferentEncodings
#[test]
fn a_string_is_sent_in_the_encoding_that_is_configured() {
    let cases: [(&str, &[u8]); 6] = [
        ("UTF-8", &[0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80]),
        (
            "utf-16",
            &[0xfe, 0xff, 0, 0x61, 0, 0xe9, 0xd8, 0x3d, 0xde, 0],
        ),
        ("UTF-16BE", &[0, 0x61, 0, 0xe9, 0xd8, 0x3d, 0xde, 0]),
        ("UTF-16LE", &[0x61, 0, 0xe9, 0, 0x3d, 0xd8, 0, 0xde]),
        ("ISO-8859-1", &[0x61, 0xe9, b'?']),
        ("US-ASCII", &[0x61, b'?', b'?']),
    ];
    for (name, bytes) in cases {
        assert_eq!(
            encoded(&[("serializer.encoding", name)], true, "aé😀"),
            bytes,
            "{name}"
        );
        assert_eq!(
            encoded(&[("serializer.encoding", name)], false, ""),
            b"",
            "{name}"
        );
    }
}

#[test]
fn the_encoding_of_keys_or_values_takes_precedence_over_the_shared_one() {
    let entries = [
        ("key.serializer.encoding", "UTF-16LE"),
        ("serializer.encoding", "UTF-16BE"),
    ];
    assert_eq!(encoded(&entries, true, "a"), [0x61, 0]);
    assert_eq!(encoded(&entries, false, "a"), [0, 0x61]);
    assert_eq!(encoded(&entries[..1], false, "é"), "é".as_bytes());
}

#[test]
fn an_encoding_that_is_not_known_is_refused_by_name() {
    let config = PluginConfig::new("client", [("value.serializer.encoding", "EBCDIC")]);
    let mut serializer: Box<dyn Serializer<String>> = Box::new(StringSerializer::new());
    let error = serializer
        .configure(&config, false)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("value.serializer.encoding=EBCDIC"),
        "{error}"
    );
    assert!(serializer.configure(&config, true).is_ok());
}

/// A UUID is sent as text (IN-9).
#[test]
#[cfg(feature = "uuid")]
fn a_uuid_is_sent_as_text() {
    let id = ::uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    let mut serializer = UuidSerializer::new();
    let text = "01234567-89ab-cdef-0123-456789abcdef";
    assert_eq!(serialize(&serializer, &id).unwrap(), text.as_bytes());
    let config = PluginConfig::new("client", [("serializer.encoding", "UTF-16BE")]);
    serializer.configure(&config, true).unwrap();
    assert_eq!(serialize(&serializer, &id).unwrap().len(), 72);
}

#[test]
fn a_java_class_names_a_serializer_for_the_types_it_fits() {
    let class = "org.apache.kafka.common.serialization.StringSerializer";
    assert_eq!(
        serialize(&str::stock_serializer(class).unwrap(), "a"),
        Some(b"a".to_vec())
    );
    assert!(String::stock_serializer(class).is_some());
    assert!(i32::stock_serializer(class).is_none());
    for class in <[u8]>::JAVA_CLASSES {
        let serializer = <[u8]>::stock_serializer(class).unwrap();
        assert_eq!(serialize(&serializer, &[7][..]), Some(vec![7]), "{class}");
    }
    // The first class is the default of the type.
    assert_eq!(i32::JAVA_CLASSES, [IntegerSerializer::JAVA_CLASS]);
    assert_eq!(Bytes::JAVA_CLASSES[0], BytesSerializer::JAVA_CLASS);
}

#[test]
fn a_function_is_a_serializer() {
    let digits = serialize_with(|number: &u64| {
        if *number == 0 {
            Err("zero")
        } else {
            Ok(number.to_string().into_bytes())
        }
    });
    let serializer: Box<dyn Serializer<u64>> = Box::new(digits);
    assert_eq!(serialize(&serializer, &12), Some(b"12".to_vec()));
    let error = serializer
        .serialize("t", &mut Headers::new(), &0)
        .unwrap_err();
    assert_eq!(error.to_string(), "zero");
    let of_text = serialize_with(|text: &str| Ok::<_, BoxError>(text.into()));
    assert_eq!(serialize(&of_text, "a"), Some(b"a".to_vec()));
}

#[test]
fn up_to_sixteen_bytes_are_held_inline() {
    assert!(matches!(Serialized::from([7; 16]), Serialized::Inline(_)));
    assert!(matches!(Serialized::from([7; 17]), Serialized::Owned(_)));
    assert_eq!(Serialized::from([7; 3]), Serialized::from(vec![7; 3]));
    assert_eq!(Serialized::from([7; 3]).len(), 3);
    assert_ne!(Serialized::from([7; 3]), Serialized::from(vec![7; 4]));
    assert!(Serialized::from("").is_empty());
    assert_eq!(InlineBytes::new(&[0; 17]), None);
}

/// Java: SerializationTest#listSerdeSerializerShouldReturnByteArrayOfFixedSizeForIntPrimitiveInput
/// and its siblings (IN-11)
#[test]
fn a_list_of_numbers_begins_with_the_number_of_nulls_and_its_length() {
    let lists = ListSerializer::fixed(IntegerSerializer);
    let bytes = serialize(&lists, &[1, 2, 3][..]).unwrap();
    assert_eq!(
        bytes,
        [
            0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3
        ]
    );
    assert_eq!(serialize(&lists, &vec![1, 2, 3]).unwrap(), bytes);
    let longs = ListSerializer::fixed(LongSerializer);
    assert_eq!(serialize(&longs, &[1, 2, 3][..]).unwrap().len(), 33);
    let shorts = ListSerializer::fixed(ShortSerializer);
    assert_eq!(serialize(&shorts, &[1, 2, 3][..]).unwrap().len(), 15);
    assert_eq!(serialize(&shorts, &[][..]).unwrap(), [0; 9]);
}

/// Java: SerializationTest#listSerdeShouldRoundtripPrimitiveInputWithNullEntries (IN-11)
#[test]
fn a_null_number_in_a_list_is_listed_by_its_index_and_has_no_bytes() {
    let lists = ListSerializer::fixed(NullableSerializer(ShortSerializer));
    let bytes = serialize(&lists, &[Some(1), None, Some(3)][..]).unwrap();
    assert_eq!(bytes, [0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 0, 3]);
}

/// Java: SerializationTest#listSerdeShouldRoundtripNonPrimitiveInputWithNullEntries (IN-11)
#[test]
fn the_entries_of_a_list_of_strings_are_preceded_by_their_sizes() {
    let lists = ListSerializer::new(NullableSerializer(StringSerializer::new()));
    let entries = [Some("A".to_owned()), None, Some("CD".to_owned())];
    let bytes = serialize(&lists, &entries[..]).unwrap();
    let expected = [
        1, 0, 0, 0, 3, 0, 0, 0, 1, b'A', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, b'C', b'D',
    ];
    assert_eq!(bytes, expected);
}

#[test]
fn a_list_of_fixed_size_entries_refuses_an_entry_of_another_size() {
    let lists = ListSerializer::fixed(StringSerializer::new());
    let entries = ["A".to_owned(), "CD".to_owned()];
    let error = lists
        .serialize("t", &mut Headers::new(), &entries[..])
        .unwrap_err();
    assert!(error.to_string().contains("entry 1"), "{error}");
}

#[test]
fn a_list_configures_the_serializer_of_its_entries() {
    let mut lists = ListSerializer::new(NullableSerializer(StringSerializer::new()));
    let config = PluginConfig::new("client", [("serializer.encoding", "UTF-16BE")]);
    Serializer::<Vec<Option<String>>>::configure(&mut lists, &config, true).unwrap();
    let bytes = serialize(&lists, &vec![Some("A".to_owned())]).unwrap();
    assert_eq!(bytes, [1, 0, 0, 0, 1, 0, 0, 0, 2, 0, b'A']);
}
