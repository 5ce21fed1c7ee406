//! ApiVersions responses that announce wrong versions, or none.

use std::time::Instant;

use kafka_producer::ProduceErrorKind;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use crate::case::{BLOCK, Case};
use crate::exchange::Api;

impl Case {
    fn speaking(edit: impl Fn(&mut ApiVersionsResponse) + Send + Sync + Clone + 'static) -> Self {
        Self::meeting(|proxy| {
            proxy.tamper_with(Api::ApiVersions, move |exchange| {
                exchange.edited(edit.clone())
            });
        })
    }

    /// Stops tampering, and closes the connections: versions are cached for each connection.
    fn mend(&self) {
        self.proxy.stop_tampering();
        self.proxy.close_connections();
        // A record that was sent on the old connection may still fail.
        let until = Instant::now() + BLOCK;
        while let Err(error) = self.send().outcome() {
            assert!(Instant::now() < until, "the broker is mended: {error}");
        }
    }
}

fn of(versions: &mut ApiVersionsResponse, api: Api) -> &mut ApiVersion {
    let found = versions
        .api_keys
        .iter_mut()
        .find(|listed| listed.api_key == api as i16);
    found.unwrap()
}

fn without(versions: &mut ApiVersionsResponse, api: Api) {
    versions
        .api_keys
        .retain(|listed| listed.api_key != api as i16);
}

fn with_range(versions: &mut ApiVersionsResponse, api: Api, min: i16, max: i16) {
    let listed = of(versions, api);
    (listed.min_version, listed.max_version) = (min, max);
}

#[test]
fn a_broker_without_versions_or_without_metadata_is_reported_as_unsupported() {
    let unable: [fn(&mut ApiVersionsResponse); 4] = [
        |versions| versions.api_keys.clear(),
        |versions| without(versions, Api::Metadata),
        |versions| with_range(versions, Api::Metadata, 11, 3),
        |versions| with_range(versions, Api::Metadata, 100, 200),
    ];
    for edit in unable {
        let case = Case::speaking(edit);
        let parts = ["the broker does not support Metadata requests"];
        case.failed(&ProduceErrorKind::UnsupportedVersion, &parts);
        case.mend();
        case.finish();
    }
}

#[test]
fn a_broker_without_produce_fails_the_record_at_once() {
    let unable: [fn(&mut ApiVersionsResponse); 4] = [
        |versions| without(versions, Api::Produce),
        |versions| with_range(versions, Api::Produce, 9, 3),
        |versions| with_range(versions, Api::Produce, 100, 200),
        |versions| with_range(versions, Api::Produce, i16::MIN, -1),
    ];
    for edit in unable {
        for idempotent in [true, false] {
            let case = Case::configured(
                |proxy| {
                    proxy.tamper_with(Api::ApiVersions, move |exchange| exchange.edited(edit));
                },
                |config| config.enable_idempotence(idempotent),
            );
            for _ in 0..2 {
                // The error is that of the request or of the record format, whichever is checked first.
                let error = case.failed(&ProduceErrorKind::UnsupportedVersion, &["broker"]);
                assert!(!error.may_be_written());
            }
            case.mend();
            case.finish();
        }
    }
}

/// In Java a broker without `InitProducerId` is a fatal error of the producer (TM-32). Here the producer continues,
/// because another broker may support it.
#[test]
fn a_broker_without_producer_ids_fails_the_record_and_names_the_key() {
    let case = Case::speaking(|versions| without(versions, Api::InitProducerId));
    let kind = ProduceErrorKind::UnsupportedVersion;
    let error = case.failed(&kind, &["InitProducerId", "enable.idempotence=false"]);
    assert!(!error.may_be_written());
    case.mend();
    case.finish();
    let case = Case::configured(
        |proxy| {
            proxy.tamper_with(Api::ApiVersions, |exchange| {
                exchange.edited(|versions| without(versions, Api::InitProducerId))
            });
        },
        |config| config.enable_idempotence(false),
    );
    case.written();
    case.finish();
}

#[test]
fn a_broker_that_fails_every_version_request_is_given_up_and_named() {
    for code in [35, -1, 42] {
        let case = Case::speaking(move |versions| versions.error_code = code);
        let address = case.proxy.address();
        let parts = [&*address, "the request for API versions"];
        case.failed(&ProduceErrorKind::MetadataTimeout, &parts);
        assert!(case.proxy.exchanges_of(Api::ApiVersions) < 200);
        case.finish();
    }
}

#[test]
fn versions_of_requests_that_a_producer_never_sends_are_ignored() {
    let case = Case::speaking(|versions| {
        let strange = |key| {
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(i16::MAX)
                .with_max_version(i16::MIN)
        };
        let keys = (-100..0).chain(100..5000).chain([i16::MAX, i16::MIN]);
        versions.api_keys.extend(keys.map(strange));
    });
    assert_eq!(case.written().offset(), 0);
    case.finish();
}
