//! API keys of a producer's requests: supported versions, first flexible version, header versions, throttling.

use std::fmt;
use std::ops::RangeInclusive;

/// An API key.
///
/// # Kafka
/// `org.apache.kafka.common.protocol.ApiKeys`, as far as a producer needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub(crate) enum ApiKey {
    Produce = 0,
    Metadata = 3,
    FindCoordinator = 10,
    SaslHandshake = 17,
    ApiVersions = 18,
    InitProducerId = 22,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
    SaslAuthenticate = 36,
}

/// The versions of one API.
struct RequestVersions {
    /// Versions that can be encoded and decoded.
    all: RangeInclusive<i16>,
    /// Oldest version that the client sends.
    client_min: i16,
    /// First flexible version: compact strings and arrays, tagged fields (KIP-482).
    first_flexible: Option<i16>,
    /// First version in which the broker responds at once and the client waits for the throttle time (KIP-219); in
    /// older ones the broker delays the response.
    client_throttles_from: Option<i16>,
}

impl ApiKey {
    /// All API keys, by code.
    pub(crate) const ALL: [Self; 11] = [
        Self::Produce,
        Self::Metadata,
        Self::FindCoordinator,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
        Self::SaslAuthenticate,
    ];

    const fn table(self) -> RequestVersions {
        let (max, client_min, first_flexible, client_throttles_from) = match self {
            Self::Produce => (9, 0, Some(9), Some(6)),
            // Not version 0, in which an empty list of topics means all topics.
            Self::Metadata => (11, 1, Some(9), Some(6)),
            Self::FindCoordinator => (4, 0, Some(3), Some(2)),
            Self::SaslHandshake => (1, 0, None, None),
            Self::ApiVersions => (3, 0, Some(3), Some(2)),
            Self::InitProducerId => (4, 0, Some(2), Some(1)),
            Self::AddPartitionsToTxn
            | Self::AddOffsetsToTxn
            | Self::EndTxn
            | Self::TxnOffsetCommit => (3, 0, Some(3), Some(1)),
            Self::SaslAuthenticate => (2, 0, Some(2), None),
        };
        RequestVersions {
            all: 0..=max,
            client_min,
            first_flexible,
            client_throttles_from,
        }
    }

    /// The API key of a code, if a producer uses it.
    pub(crate) fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.code() == code)
    }

    /// The code on the wire.
    pub(crate) const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name of the API.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Produce => "Produce",
            Self::Metadata => "Metadata",
            Self::FindCoordinator => "FindCoordinator",
            Self::SaslHandshake => "SaslHandshake",
            Self::ApiVersions => "ApiVersions",
            Self::InitProducerId => "InitProducerId",
            Self::AddPartitionsToTxn => "AddPartitionsToTxn",
            Self::AddOffsetsToTxn => "AddOffsetsToTxn",
            Self::EndTxn => "EndTxn",
            Self::TxnOffsetCommit => "TxnOffsetCommit",
            Self::SaslAuthenticate => "SaslAuthenticate",
        }
    }

    /// All versions that can be encoded and decoded.
    pub(crate) fn versions(self) -> RangeInclusive<i16> {
        self.table().all
    }

    /// The oldest version the client sends.
    pub(crate) fn min_version(self) -> i16 {
        self.table().client_min
    }

    /// The newest version the client sends.
    pub(crate) fn max_version(self) -> i16 {
        *self.table().all.end()
    }

    /// The newest version that the client shares with a broker that supports `broker_min..=broker_max`; `None` if there
    /// is none.
    pub(crate) fn latest_usable(self, broker_min: i16, broker_max: i16) -> Option<i16> {
        let newest = self.max_version().min(broker_max);
        (newest >= self.min_version().max(broker_min)).then_some(newest)
    }

    /// The first flexible version (compact strings, tagged fields); `None` if no version is flexible.
    pub(crate) fn first_flexible(self) -> Option<i16> {
        self.table().first_flexible
    }

    /// Whether the version is flexible (compact strings, tagged fields).
    pub(crate) fn is_flexible(self, version: i16) -> bool {
        self.first_flexible().is_some_and(|first| version >= first)
    }

    /// The header version of a request.
    pub(crate) fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The header version of a response.
    pub(crate) fn response_header_version(self, version: i16) -> i16 {
        // Always 0 for ApiVersions: a broker that does not support the request's version answers in version 0, and the
        // client must be able to read that.
        i16::from(self != Self::ApiVersions && self.is_flexible(version))
    }

    /// The first version in which the client waits for the throttle time (KIP-219); `None` if there is none.
    pub(crate) fn throttles_client_from(self) -> Option<i16> {
        self.table().client_throttles_from
    }

    /// Whether the client has to wait for the throttle time of a response in this version. In older versions the broker
    /// has delayed the response already.
    pub(crate) fn throttles_client(self, version: i16) -> bool {
        self.throttles_client_from()
            .is_some_and(|first| version >= first)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
