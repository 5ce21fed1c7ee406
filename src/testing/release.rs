//! Which versions of which requests the brokers of a release answer.

use std::ops::RangeInclusive;

use crate::error::ErrorCode;
use crate::protocol::ApiKey;

/// A release of Kafka whose brokers a cluster imitates: which requests they answer, in which versions. A
/// producer concludes from it in which format to write records, and whether it can be idempotent.
///
/// Releases that answer the same requests of a producer are one: 0.10.1 is like 0.10.2, 1.0 like 1.1,
/// 2.2 like 2.1, 2.3 nearly so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum KafkaRelease {
    /// 0.10.0: message sets with timestamps, no idempotent producers; the first that tells its versions.
    V0_10_0,
    /// 0.10.2: metadata with the cluster's id.
    V0_10_2,
    /// 0.11: the first with batches of format 2, headers and idempotent producers.
    V0_11,
    /// 1.1: idempotent producers with five requests in flight.
    V1_1,
    /// 2.0: clients are told to wait, rather than made to.
    V2_0,
    /// 2.1: zstd.
    V2_1,
    /// 2.4: errors of single records.
    V2_4,
    /// 3.0: what is imitated unless another is chosen.
    #[default]
    V3_0,
}

/// Requests that are told of and not answered: by them clients judge what else a broker can. librdkafka
/// writes message format 2 only where Fetch has version 4, and compresses with lz4 only where there is
/// `FindCoordinator`.
const FETCH: i16 = 1;

impl KafkaRelease {
    /// The newest versions of Produce, Fetch, Metadata, `ApiVersions` and `InitProducerId`.
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

    /// The versions of a request that are answered, if any.
    pub(crate) fn spoken(self, api: ApiKey) -> Option<RangeInclusive<i16>> {
        let (produce, _, metadata, api_versions, init_producer_id) = self.newest();
        let newest = match api {
            ApiKey::Produce => Some(produce),
            ApiKey::Metadata => Some(metadata),
            ApiKey::ApiVersions => Some(api_versions),
            ApiKey::InitProducerId => init_producer_id,
            ApiKey::SaslHandshake => Some(i16::from(self >= Self::V1_1)),
            ApiKey::SaslAuthenticate => match self {
                Self::V0_10_0 | Self::V0_10_2 | Self::V0_11 => None,
                Self::V1_1 | Self::V2_0 | Self::V2_1 => Some(0),
                Self::V2_4 => Some(1),
                Self::V3_0 => Some(2),
            },
            _ => None,
        };
        newest.map(|newest| 0..=newest)
    }

    /// Requests, by number, that are told of and not answered.
    pub(crate) fn told(self) -> [(i16, RangeInclusive<i16>); 2] {
        let (_, fetch, ..) = self.newest();
        let find_coordinator = match self {
            Self::V0_10_0 | Self::V0_10_2 => 0,
            Self::V0_11 | Self::V1_1 => 1,
            Self::V2_0 | Self::V2_1 => 2,
            Self::V2_4 => 3,
            Self::V3_0 => 4,
        };
        [
            (FETCH, 0..=fetch),
            (ApiKey::FindCoordinator.code(), 0..=find_coordinator),
        ]
    }

    /// The error for a batch of a producer of which nothing is known, if it is not the first: from 2.5 on, none,
    /// as what was known may have expired (KAFKA-7190).
    pub(crate) fn answer_to_unknown_producer(self) -> Option<ErrorCode> {
        match self {
            Self::V0_10_0 | Self::V0_10_2 | Self::V3_0 => None,
            Self::V0_11 => Some(ErrorCode::OutOfOrderSequenceNumber),
            Self::V1_1 | Self::V2_0 | Self::V2_1 | Self::V2_4 => Some(ErrorCode::UnknownProducerId),
        }
    }

    /// Whether a request for versions that comes in an unknown version is answered with those of this
    /// one request (KIP-511); before, with none.
    pub(crate) fn names_its_own_versions(self) -> bool {
        self >= Self::V2_4
    }
}
