//! Tests of rules across keys.

use crate::util::log::Level;

use super::*;

/// Java: KafkaProducerTest#testOverwriteAcksAndRetriesForIdempotentProducers
#[test]
fn a_transactional_producer_is_idempotent_with_all_acks_and_retries() {
    let config = complete(&[("transactional.id", "payments")]).unwrap();
    assert!(config.enable_idempotence());
    assert_eq!(config.acks(), Acks::All);
    assert_eq!(config.retries(), i32::MAX as u32);
    assert_eq!(config.client_id(), "producer-payments");
    assert_eq!(config.transactional_id(), Some("payments"));
}

/// The client id is in a request header, where its length is limited. A generated client id contains the transactional
/// id.
#[test]
fn names_too_long_for_a_request_header_are_rejected() {
    let text = |bytes: usize| "x".repeat(bytes);
    for (key, most) in [("client.id", 32_767), ("transactional.id", 32_758)] {
        let config = complete(&[(key, &text(most))]).unwrap();
        assert!(config.client_id().len() <= 32_767);
        let error = complete(&[(key, &text(most + 1))]).unwrap_err();
        assert_eq!(error.key(), Some(key));
        assert!(
            error.to_string().contains(&format!("{most} bytes")),
            "{error}"
        );
        assert!(error.to_string().len() < 1_000);
    }
    assert!(complete(&[("client.id", "")]).is_ok());
    assert!(complete(&[("transactional.id", "")]).is_err());
}

/// Log lines and the brokers' logs contain both names.
#[test]
fn a_name_that_looks_like_a_secret_is_rejected_and_not_shown() {
    for key in ["client.id", "transactional.id"] {
        for secret in [
            "PlainLoginModule required username=\"a\" password=\"hunter2\";",
            "Endpoint=sb://x;SharedAccessKey=hunter2",
            "https://a:hunter2@host",
            "-----BEGIN PRIVATE KEY----- hunter2",
        ] {
            let error = complete(&[(key, secret)]).unwrap_err();
            assert_eq!((error.key(), error.value()), (Some(key), None));
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

/// Java: KafkaProducerTest#testAcksAndIdempotenceForIdempotentProducers
#[test]
fn acks_retries_and_requests_in_flight_decide_whether_idempotence_is_enabled() {
    let five = ("retries", "5");
    let none = ("retries", "0");
    let many = ("max.in.flight.requests.per.connection", "6");
    let on = ("enable.idempotence", "true");
    let off = ("enable.idempotence", "false");
    // The keys set, and whether the producer is idempotent.
    let accepted: [(Entries<'_>, bool); 15] = [
        (&[], true),
        (&[on], true),
        (&[off], false),
        (&[("acks", "all")], true),
        (&[("acks", "-1"), on], true),
        (&[("acks", "0"), off], false),
        (&[("acks", "all"), off], false),
        (&[("acks", "1")], false),
        (&[("acks", "0")], false),
        (&[none], false),
        (&[five], true),
        (&[five, on], true),
        (&[many], false),
        (&[("max.in.flight.requests.per.connection", "5"), on], true),
        (&[many, none, ("acks", "0"), off], false),
    ];
    for (entries, idempotent) in accepted {
        let config = complete(entries).unwrap_or_else(|error| panic!("{entries:?}: {error}"));
        assert_eq!(config.enable_idempotence(), idempotent, "{entries:?}");
    }
    let retries = complete(&[five, on]).unwrap().retries();
    assert_eq!(retries, 5, "what was set is kept");

    let id = ("transactional.id", "t");
    // The keys set, and the keys that the error names.
    let refused: [(Entries<'_>, &[&str]); 9] = [
        (&[("acks", "1"), on], &["acks", "enable.idempotence"]),
        (&[("acks", "0"), on], &["acks", "enable.idempotence"]),
        (&[none, on], &["retries", "enable.idempotence"]),
        (
            &[many, on],
            &[
                "max.in.flight.requests.per.connection",
                "enable.idempotence",
            ],
        ),
        (&[off, id], &["transactional.id", "enable.idempotence"]),
        (
            &[("acks", "0"), off, id],
            &["transactional.id", "enable.idempotence"],
        ),
        (&[("acks", "1"), id], &["acks", "transactional.id"]),
        (&[none, id], &["retries", "transactional.id"]),
        (
            &[many, id],
            &["max.in.flight.requests.per.connection", "transactional.id"],
        ),
    ];
    for (entries, keys) in refused {
        let error = complete(entries).expect_err(&format!("{entries:?}"));
        assert!(error.is_conflict());
        assert_eq!(error.keys().collect::<Vec<_>>(), keys, "{entries:?}");
        for key in keys {
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

#[test]
fn disabling_idempotence_by_another_key_is_logged() {
    let (config, notices) = noticed(&[("acks", "1")]).unwrap();
    assert_eq!(
        source(&config, "enable.idempotence"),
        ("false".to_owned(), ConfigSource::Derived)
    );
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].level, Level::Info);
    assert!(notices[0].text.contains("acks=1"), "{notices:?}");

    let (_, notices) = noticed(&[("max.in.flight.requests.per.connection", "6")]).unwrap();
    assert_eq!(
        notices.iter().map(|n| n.level).collect::<Vec<_>>(),
        [Level::Warn]
    );

    let (_, notices) = noticed(&[("acks", "1"), ("enable.idempotence", "false")]).unwrap();
    assert_eq!(notices, []);
}

/// Java: KafkaProducerTest#testOsDefaultSocketBufferSizes
#[test]
fn minus_one_leaves_socket_buffers_to_the_system() {
    let config = config(&[("send.buffer.bytes", "-1"), ("receive.buffer.bytes", "-1")]).unwrap();
    assert_eq!(
        (config.send_buffer_bytes(), config.receive_buffer_bytes()),
        (None, None)
    );
}

/// Java: KafkaProducerTest#testInvalidSocketSendBufferSize, #testInvalidSocketReceiveBufferSize
#[test]
fn socket_buffers_below_minus_one_are_refused() {
    for key in ["send.buffer.bytes", "receive.buffer.bytes"] {
        let error = config(&[(key, "-2")]).unwrap_err();
        assert_eq!((error.key(), error.value()), (Some(key), Some("-2")));
        assert!(error.remedy().contains("-1 or more"), "{error}");
    }
}

/// Java: CommonClientConfigsTest#testExponentialBackoffDefaults
#[test]
fn a_reconnect_backoff_set_alone_is_constant() {
    let backoff = |entries: &[(&str, &str)]| {
        let config = config(entries).unwrap();
        (config.reconnect_backoff(), config.reconnect_backoff_max())
    };
    let (base, max) = (
        ("reconnect.backoff.ms", "123"),
        ("reconnect.backoff.max.ms", "12345"),
    );
    assert_eq!(backoff(&[]), (MS(50), MS(1000)));
    assert_eq!(backoff(&[base, max]), (MS(123), MS(12_345)));
    assert_eq!(backoff(&[base]), (MS(123), MS(123)));
    assert_eq!(backoff(&[max]), (MS(50), MS(12_345)));
}

#[test]
fn the_retry_backoff_is_constant_unless_a_maximum_is_set() {
    let (config, notices) = noticed(&[("retry.backoff.max.ms", "1000")]).unwrap();
    assert_eq!(
        (config.retry_backoff(), config.retry_backoff_max()),
        (MS(100), Some(MS(1000)))
    );
    assert_eq!(notices, []);
    // A maximum below the base makes the back-off constant, at the maximum (KIP-580).
    let (config, notices) = noticed(&[("retry.backoff.max.ms", "40")]).unwrap();
    assert_eq!(
        (config.retry_backoff(), config.retry_backoff_max()),
        (MS(40), Some(MS(40)))
    );
    assert_eq!(notices[0].level, Level::Warn);
}

/// Java: KafkaProducer#configureDeliveryTimeout
#[test]
fn a_delivery_timeout_below_linger_plus_request_timeout_is_rejected_if_set_and_raised_if_not() {
    let error = config(&[("delivery.timeout.ms", "30009"), ("linger.ms", "10")]).unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(
        error.keys().collect::<Vec<_>>(),
        ["delivery.timeout.ms", "linger.ms", "request.timeout.ms"]
    );
    assert!(error.to_string().contains("30010"), "{error}");
    let exact = config(&[("delivery.timeout.ms", "30010"), ("linger.ms", "10")]).unwrap();
    assert_eq!(exact.delivery_timeout(), MS(30_010));

    let (raised, notices) = noticed(&[("request.timeout.ms", "120001")]).unwrap();
    assert_eq!(raised.delivery_timeout(), MS(120_001));
    assert_eq!(
        source(&raised, "delivery.timeout.ms"),
        ("120001".to_owned(), ConfigSource::Derived)
    );
    assert_eq!(
        notices.iter().map(|n| n.level).collect::<Vec<_>>(),
        [Level::Warn]
    );
}

#[test]
fn linger_and_its_sum_with_the_request_timeout_stay_within_32_bits() {
    let (config, _) = noticed(&[("linger.ms", "9223372036854775807")]).unwrap();
    assert_eq!(config.linger(), MS(2_147_483_647));
    assert_eq!(config.delivery_timeout(), MS(2_147_483_647));
}

#[test]
fn a_batch_size_above_the_buffer_memory_is_rejected_with_both_keys() {
    let error = config(&[("batch.size", "1025"), ("buffer.memory", "1024")]).unwrap_err();
    assert_eq!(
        error.keys().collect::<Vec<_>>(),
        ["batch.size", "buffer.memory"]
    );
    assert!(error.to_string().contains("1025") && error.to_string().contains("1024"));
    assert!(config(&[("batch.size", "1024"), ("buffer.memory", "1024")]).is_ok());
}

#[test]
fn bootstrap_servers_are_validated_unless_the_list_is_empty() {
    assert!(config(&[("bootstrap.servers", "")]).is_ok());
    let listed = config(&[("bootstrap.servers", " a:1 , PLAINTEXT://b:2,")]).unwrap();
    assert_eq!(listed.bootstrap_servers(), ["a:1", "PLAINTEXT://b:2", ""]);
    let error = config(&[("bootstrap.servers", "a:1,b")]).unwrap_err();
    assert_eq!(
        (error.key(), error.value()),
        (Some("bootstrap.servers"), Some("b"))
    );
}

/// KIP-390
#[test]
fn the_compression_level_is_that_of_the_chosen_codec() {
    let levels = [
        ("compression.gzip.level", "1"),
        ("compression.lz4.level", "9"),
        ("compression.zstd.level", "-5"),
    ];
    let cases = [
        ("none", CompressionType::None, None),
        ("gzip", CompressionType::Gzip, Some(1)),
        ("snappy", CompressionType::Snappy, None),
        ("lz4", CompressionType::Lz4, Some(9)),
        ("zstd", CompressionType::Zstd, Some(-5)),
    ];
    for (name, codec, level) in cases {
        let entries: Vec<_> = levels
            .into_iter()
            .chain([("compression.type", name)])
            .collect();
        let config = complete(&entries).unwrap();
        assert_eq!(config.compression_type(), codec);
        assert_eq!(config.compression_level(), level);
        let own = format!("compression.{name}.level");
        let keys = levels.iter().map(|(key, _)| *key);
        let idle: Vec<_> = keys.filter(|key| *key != own).collect();
        assert_eq!(config.unused_keys(), idle);
    }
    let typed = ProducerConfig::builder()
        .compression_gzip_level(9)
        .compression_lz4_level(9)
        .compression_zstd_level(22)
        .compression_type(CompressionType::Zstd);
    let config = ProducerConfig::check(typed.given().clone(), &Strictness::default()).unwrap();
    assert_eq!(config.compression_type(), CompressionType::Zstd);
    assert_eq!(config.compression_level(), Some(22));
}

#[test]
fn an_unsupported_compression_level_is_rejected_only_if_its_codec_is_chosen() {
    const KEY: &str = "compression.lz4.level";
    let error = complete(&[("compression.type", "lz4"), (KEY, "12")]).unwrap_err();
    assert!(error.is_not_built());
    assert_eq!((error.key(), error.value()), (Some(KEY), Some("12")));
    assert!(error.problem().contains("slower compressor"), "{error}");
    assert!(complete(&[("compression.type", "gzip"), (KEY, "12")]).is_ok());
    // Out of range: invalid with any codec.
    let error = complete(&[("compression.type", "gzip"), (KEY, "18")]).unwrap_err();
    assert!(!error.is_not_built());
}
