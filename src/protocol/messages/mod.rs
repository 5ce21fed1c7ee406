//! Messages: plain structures, each with its encoding in every version.
//!
//! Each file has the request and the response of one API. All are listed once, in `messages!` below, which generates
//! the enums [`Request`] and [`Response`] and their dispatch.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod api_versions;
mod end_txn;
mod find_coordinator;
mod init_producer_id;
mod metadata;
mod produce;
mod sasl_authenticate;
mod sasl_handshake;
mod topic_result;
mod txn_offset_commit;

#[cfg(test)]
use bytes::Bytes;

pub(crate) use self::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
pub(crate) use self::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::api_versions::ApiVersionRange;
pub(crate) use self::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub(crate) use self::end_txn::{EndTxnRequest, EndTxnResponse};
pub(crate) use self::find_coordinator::{
    Coordinator, CoordinatorType, FindCoordinatorRequest, FindCoordinatorResponse,
};
pub(crate) use self::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use self::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
pub(crate) use self::produce::{
    BatchHead, BatchIndexAndErrorMessage, MemoryRecords, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
pub(crate) use self::sasl_authenticate::{
    AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse,
};
pub(crate) use self::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
#[cfg(any(test, feature = "testing"))]
pub(crate) use self::topic_result::PartitionResult;
pub(crate) use self::topic_result::TopicResult;
pub(crate) use self::txn_offset_commit::{
    TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitTopic,
};
use super::api::ApiKey;
use super::frame::{Frame, FrameBuilder};
use super::header::RequestHeader;
#[cfg(any(test, feature = "testing"))]
use super::header::encode_response_correlation;
use super::wire::{DecodeError, DecodeErrorKind, EncodeError, Reader, Writer};

/// Encoding of a request's fields. The version is a supported one; reader and writer are set to its encoding.
trait RequestBody: Sized {
    /// Upper bound of the encoded size in any version, without the bodies of batches: the buffer is allocated once.
    fn size_hint(&self) -> usize;

    /// Encodes the fields that the version has. All other fields must have their default values, or be ignorable in
    /// Kafka's schema; else encoding fails.
    fn encode(&self, w: &mut Writer, version: i16);

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;
}

impl<T: RequestBody> RequestBody for Box<T> {
    fn size_hint(&self) -> usize {
        (**self).size_hint()
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        (**self).encode(w, version);
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        T::decode(r, version).map(Self::new)
    }
}

/// Encoding of a response's fields; see [`RequestBody`].
trait ResponseBody: Sized {
    /// Encodes the fields that the version has.
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16);

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;
}

/// Generates [`Request`] and [`Response`] from a list of APIs, each with its two messages.
macro_rules! messages {
    ($($api:ident: $request:ty => $response:ty;)+) => {
        /// A request.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Request {
            $($api($request),)+
        }

        impl Request {
            /// The request's API key.
            pub(crate) fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)+
                }
            }

            pub(super) fn size_hint(&self) -> usize {
                match self {
                    $(Self::$api(request) => request.size_hint(),)+
                }
            }

            fn encode_fields(&self, w: &mut Writer, version: i16) {
                match self {
                    $(Self::$api(request) => request.encode(w, version),)+
                }
            }

            #[cfg(any(test, feature = "testing"))]
            fn decode_fields(
                api: ApiKey,
                r: &mut Reader<'_>,
                version: i16,
            ) -> Result<Self, DecodeError> {
                match api {
                    $(ApiKey::$api => <$request>::decode(r, version).map(Self::$api),)+
                }
            }
        }

        /// A response.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Response {
            $($api($response),)+
        }

        impl Response {
            /// The API key of the request that the response belongs to.
            #[cfg(any(test, feature = "testing"))]
            pub(crate) fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$api(_) => ApiKey::$api,)+
                }
            }

            #[cfg(any(test, feature = "testing"))]
            fn encode_fields(&self, w: &mut Writer, version: i16) {
                match self {
                    $(Self::$api(response) => response.encode(w, version),)+
                }
            }

            fn decode_fields(
                api: ApiKey,
                r: &mut Reader<'_>,
                version: i16,
            ) -> Result<Self, DecodeError> {
                match api {
                    $(ApiKey::$api => <$response>::decode(r, version).map(Self::$api),)+
                }
            }
        }
    };
}

// Messages larger than a Produce request are boxed: requests are moved by value, and nearly all are Produce requests.
messages! {
    Produce: ProduceRequest => ProduceResponse;
    Metadata: MetadataRequest => MetadataResponse;
    FindCoordinator: FindCoordinatorRequest => FindCoordinatorResponse;
    SaslHandshake: SaslHandshakeRequest => SaslHandshakeResponse;
    ApiVersions: ApiVersionsRequest => ApiVersionsResponse;
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse;
    AddPartitionsToTxn: Box<AddPartitionsToTxnRequest> => AddPartitionsToTxnResponse;
    AddOffsetsToTxn: Box<AddOffsetsToTxnRequest> => AddOffsetsToTxnResponse;
    EndTxn: EndTxnRequest => EndTxnResponse;
    TxnOffsetCommit: Box<TxnOffsetCommitRequest> => TxnOffsetCommitResponse;
    SaslAuthenticate: SaslAuthenticateRequest => SaslAuthenticateResponse;
}

impl Request {
    /// Whether the broker sends a response. It sends none to a Produce request with acks=0 (fire and forget).
    pub(crate) fn expects_response(&self) -> bool {
        !matches!(self, Self::Produce(request) if request.acks == 0)
    }

    /// Encodes the request as a frame, which references the batches (zero-copy).
    ///
    /// # Errors
    /// The version is unknown or lacks a field that is set, or a string or the whole message is too long.
    pub(crate) fn encode(
        &self,
        version: i16,
        correlation_id: i32,
        client_id: Option<&str>,
    ) -> Result<Frame, EncodeError> {
        let api = self.api_key();
        check_version(api, version)?;
        let header_hint = 11 + client_id.map_or(0, str::len);
        let shared = match self {
            Self::Produce(request) => request.partition_count(),
            _ => 0,
        };
        let mut frame = FrameBuilder::with_capacity(header_hint + self.size_hint(), shared);
        let writer = frame.writer();
        RequestHeader::encode(writer, api, version, correlation_id, client_id);
        self.encode_fields(writer, version);
        frame.finish()
    }
}

#[cfg(any(test, feature = "testing"))]
// The broker's side.
impl Request {
    /// Decodes a frame (without length prefix). Batches share the frame's memory (zero-copy).
    #[cfg(test)]
    pub(crate) fn decode(frame: &Bytes) -> Result<(RequestHeader, Self), DecodeError> {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader)?;
        let request = Self::decode_body(header.api_key, header.api_version, &mut reader)?;
        Ok((header, request))
    }

    /// Decodes the rest of a frame whose header was decoded already.
    pub(crate) fn decode_body(
        api: ApiKey,
        version: i16,
        reader: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        check_known(api, version, reader)?;
        reader.set_flexible(api.is_flexible(version));
        Self::decode_fields(api, reader, version)
    }
}

/// The throttle time field of a response, if it has one; SASL responses have none.
macro_rules! throttle_time {
    ($response:expr) => {
        match $response {
            Response::Produce(ProduceResponse {
                throttle_time_ms, ..
            })
            | Response::Metadata(MetadataResponse {
                throttle_time_ms, ..
            })
            | Response::FindCoordinator(FindCoordinatorResponse {
                throttle_time_ms, ..
            })
            | Response::ApiVersions(ApiVersionsResponse {
                throttle_time_ms, ..
            })
            | Response::InitProducerId(InitProducerIdResponse {
                throttle_time_ms, ..
            })
            | Response::AddPartitionsToTxn(AddPartitionsToTxnResponse {
                throttle_time_ms, ..
            })
            | Response::AddOffsetsToTxn(AddOffsetsToTxnResponse {
                throttle_time_ms, ..
            })
            | Response::EndTxn(EndTxnResponse {
                throttle_time_ms, ..
            })
            | Response::TxnOffsetCommit(TxnOffsetCommitResponse {
                throttle_time_ms, ..
            }) => Some(throttle_time_ms),
            Response::SaslHandshake(_) | Response::SaslAuthenticate(_) => None,
        }
    };
}

impl Response {
    /// Decodes the response to a request of this API and version, after its
    /// [header](super::decode_response_correlation). Trailing bytes stay in the reader: as in Kafka they are no error,
    /// since a newer broker may send more fields.
    pub(crate) fn decode(
        api: ApiKey,
        version: i16,
        body: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        check_known(api, version, body)?;
        body.set_flexible(api.is_flexible(version));
        Self::decode_fields(api, body, version)
    }

    /// The throttle time; 0 if the response has none.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        throttle_time!(self).copied().unwrap_or(0)
    }
}

#[cfg(any(test, feature = "testing"))]
// The broker's side.
impl Response {
    /// Sets the throttle time, if the response has one.
    pub(crate) fn set_throttle_time_ms(&mut self, millis: i32) {
        if let Some(own) = throttle_time!(self) {
            *own = millis;
        }
    }

    /// Encodes the response as a frame, as a broker does. Fields that the version lacks are left out.
    ///
    /// # Panics
    /// If the version is unknown or cannot carry several coordinators, or if a string is too long. Only the embedded
    /// broker encodes responses, in versions and with names that it has decoded before.
    pub(crate) fn encode(&self, version: i16, correlation_id: i32) -> Frame {
        self.try_encode(version, correlation_id)
            .expect("a response is in a version that was read, with strings that were read")
    }

    fn try_encode(&self, version: i16, correlation_id: i32) -> Result<Frame, EncodeError> {
        let api = self.api_key();
        check_version(api, version)?;
        let mut frame = FrameBuilder::with_capacity(128, 0);
        let writer = frame.writer();
        encode_response_correlation(writer, api, version, correlation_id);
        self.encode_fields(writer, version);
        frame.finish()
    }
}

fn check_version(api: ApiKey, version: i16) -> Result<(), EncodeError> {
    if api.versions().contains(&version) {
        return Ok(());
    }
    Err(EncodeError::UnknownVersion {
        what: api.name(),
        version,
    })
}

fn check_known(api: ApiKey, version: i16, reader: &Reader<'_>) -> Result<(), DecodeError> {
    if api.versions().contains(&version) {
        return Ok(());
    }
    Err(reader.error(DecodeErrorKind::UnknownVersion(version), api.name()))
}
