//! API versions by Kafka release: which versions of which requests the brokers support.

use std::ops::RangeInclusive;

use crate::error::ErrorCode;
use crate::protocol::ApiKey;

/// A Kafka release whose brokers a cluster imitates: which requests they support, in which versions. From these
/// versions a producer infers the message format, and whether it can be idempotent.
///
/// Releases with the same versions of a producer's requests share one variant: 0.10.1 is like 0.10.2, 1.0 like 1.1, and
/// 2.2 and 2.3 like 2.1, but for re-authentication (KIP-368), which came with 2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum KafkaRelease {
    /// 0.10.0: message sets with timestamps, no idempotent producers; the first release with ApiVersions.
    V0_10_0,
    /// 0.10.2: the cluster id in Metadata responses.
    V0_10_2,
    /// 0.11: the first with batches of format 2, headers, idempotent producers and transactions.
    V0_11,
    /// 1.1: idempotent producers with five requests in flight.
    V1_1,
    /// 2.0: throttling by the client instead of the broker (KIP-219).
    V2_0,
    /// 2.1: zstd.
    V2_1,
    /// 2.4: errors of single records (KIP-467). No epoch bump by the producer yet (KIP-360), and no member ids in
    /// TxnOffsetCommit (KIP-447).
    V2_4,
    /// 3.0: the default.
    #[default]
    V3_0,
}

/// The API key of Fetch. The API is listed but not supported, because clients infer features from it: librdkafka writes
/// message format 2 only with Fetch version 4.
const FETCH: i16 = 1;

impl KafkaRelease {
    /// The maximum versions of Produce, Fetch, Metadata, `ApiVersions` and `InitProducerId`; the last is `None` if the
    /// release does not support it.
    const fn newest(self) -> (i16, i16, i16, i16, Option<i16>) {
        match self {
            Self::V0_10_0 => (2, 2, 1, 0, None),
            Self::V0_10_2 => (2, 3, 2, 0, None),
            Self::V0_11 => (3, 5, 4, 1, Some(0)),
            Self::V1_1 => (5, 7, 5, 1, Some(0)),
            Self::V2_0 => (6, 8, 6, 2, Some(1)),
            Self::V2_1 => (7, 10, 7, 2, Some(1)),
            Self::V2_4 => (8, 11, 9, 3, Some(2)),
            Self::V3_0 => (9, 12, 11, 3, Some(4)),
        }
    }

    /// The supported versions of a request; `None` if it is not supported.
    pub(crate) fn spoken(self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let (produce, _, metadata, api_versions, init_producer_id) = self.newest();
        let newest = match api {
            ApiKey::Produce => Some(produce),
            ApiKey::Metadata => Some(metadata),
            ApiKey::ApiVersions => Some(api_versions),
            ApiKey::InitProducerId => init_producer_id,
            ApiKey::FindCoordinator => Some(self.find_coordinator()),
            ApiKey::AddPartitionsToTxn | ApiKey::AddOffsetsToTxn | ApiKey::EndTxn => match self {
                Self::V0_10_0 | Self::V0_10_2 => None,
                Self::V0_11 | Self::V1_1 => Some(0),
                Self::V2_0 | Self::V2_1 | Self::V2_4 => Some(1),
                Self::V3_0 => Some(3),
            },
            ApiKey::TxnOffsetCommit => match self {
                Self::V0_10_0 | Self::V0_10_2 => None,
                Self::V0_11 | Self::V1_1 => Some(0),
                Self::V2_0 => Some(1),
                Self::V2_1 | Self::V2_4 => Some(2),
                Self::V3_0 => Some(3),
            },
            ApiKey::SaslHandshake => Some(i16::from(self >= Self::V1_1)),
            ApiKey::SaslAuthenticate => match self {
                Self::V0_10_0 | Self::V0_10_2 | Self::V0_11 => None,
                Self::V1_1 | Self::V2_0 | Self::V2_1 => Some(0),
                Self::V2_4 => Some(1),
                Self::V3_0 => Some(2),
            },
        };
        newest.map(|newest| 0..=newest)
    }

    /// The maximum version of FindCoordinator. Clients infer features from it: librdkafka compresses with lz4 only if
    /// FindCoordinator is supported.
    const fn find_coordinator(self) -> i16 {
        match self {
            Self::V0_10_0 | Self::V0_10_2 => 0,
            Self::V0_11 | Self::V1_1 => 1,
            Self::V2_0 | Self::V2_1 => 2,
            Self::V2_4 => 3,
            Self::V3_0 => 4,
        }
    }

    /// The API key and versions of a request that is listed although it is not supported.
    pub(crate) fn unsupported_request(self) -> (i16, RangeInclusive<i16>) {
        let (_, fetch, ..) = self.newest();
        (FETCH, 0..=fetch)
    }

    /// The error for a batch of an unknown producer id with a sequence number other than 0; `None` from 2.5 on, because
    /// the producer's state may have expired (KAFKA-7190), and before 0.11, where there are no producer ids.
    pub(crate) fn answer_to_unknown_producer(self) -> Option<ErrorCode> {
        match self {
            Self::V0_10_0 | Self::V0_10_2 | Self::V3_0 => None,
            Self::V0_11 => Some(ErrorCode::OutOfOrderSequenceNumber),
            Self::V1_1 | Self::V2_0 | Self::V2_1 | Self::V2_4 => Some(ErrorCode::UnknownProducerId),
        }
    }

    /// Whether the error response to an ApiVersions request of an unsupported version lists the supported versions of
    /// ApiVersions (KIP-511). Older releases list none.
    pub(crate) fn names_its_own_versions(self) -> bool {
        self >= Self::V2_4
    }
}
