//! The requests a producer makes: their numbers, their versions, and what each version means for the
//! bytes around the message.

use std::fmt;
use std::ops::RangeInclusive;

/// A kind of request.
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

/// The versions of one kind of request.
struct Versions {
    /// What can be written and read.
    all: RangeInclusive<i16>,
    /// The oldest that the client sends.
    client_min: i16,
    /// From here on: compact strings and arrays, tagged fields.
    first_flexible: Option<i16>,
    /// From here on a broker answers first and expects the client to wait; before, it waited itself.
    client_throttles_from: Option<i16>,
}

impl ApiKey {
    /// All of them, in the order of their numbers.
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

    const fn table(self) -> Versions {
        let (max, client_min, first_flexible, client_throttles_from) = match self {
            Self::Produce => (9, 0, Some(9), Some(6)),
            // Version 0 cannot say "these topics, but do not list all when there are none".
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
        Versions {
            all: 0..=max,
            client_min,
            first_flexible,
            client_throttles_from,
        }
    }

    /// The request of a number, if a producer makes it.
    pub(crate) fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.code() == code)
    }

    /// The number on the wire.
    pub(crate) const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name for it.
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

    /// All versions that can be written and read here.
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

    /// The newest version that both sides speak, of the client's and of a broker's
    /// `broker_min..=broker_max`; `None` if there is none.
    pub(crate) fn latest_usable(self, broker_min: i16, broker_max: i16) -> Option<i16> {
        let newest = self.max_version().min(broker_max);
        (newest >= self.min_version().max(broker_min)).then_some(newest)
    }

    /// The first version with compact strings and tagged fields.
    pub(crate) fn first_flexible(self) -> Option<i16> {
        self.table().first_flexible
    }

    /// Whether the version has compact strings and tagged fields.
    pub(crate) fn is_flexible(self, version: i16) -> bool {
        self.first_flexible().is_some_and(|first| version >= first)
    }

    /// The version of the header before a request.
    pub(crate) fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header before a response.
    pub(crate) fn response_header_version(self, version: i16) -> i16 {
        // A client must be able to read the answer to an ApiVersions request whose version the broker
        // does not know, so that header never changes.
        i16::from(self != Self::ApiVersions && self.is_flexible(version))
    }

    /// The first version whose throttle time the client has to wait for itself (KIP-219).
    pub(crate) fn throttles_client_from(self) -> Option<i16> {
        self.table().client_throttles_from
    }

    /// Whether the client has to wait for the throttle time in a response of this version itself. Of
    /// older versions the broker has already held the answer back.
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
