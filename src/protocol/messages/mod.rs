//! The messages themselves: plain structures, each with its bytes in every version.
//!
//! A file has the request and the response of one API. They are listed once, in `messages!` below, which
//! makes of the list all that is a matter of choosing the right one.

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
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) use self::add_partitions_to_txn::AddPartitionsToTxnTopic;
pub(crate) use self::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
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
    BatchHead, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    RecordError, Records, TopicProduceData, TopicProduceResponse,
};
pub(crate) use self::sasl_authenticate::{
    AuthBytes, SaslAuthenticateRequest, SaslAuthenticateResponse,
};
pub(crate) use self::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) use self::topic_result::{PartitionResult, TopicResult};
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) use self::txn_offset_commit::{TxnOffsetCommitPartition, TxnOffsetCommitTopic};
pub(crate) use self::txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use super::api::ApiKey;
use super::frame::{Frame, FrameBuilder};
use super::header::RequestHeader;
#[cfg(any(test, feature = "testing"))]
use super::header::encode_response_correlation;
use super::wire::{DecodeError, DecodeErrorKind, EncodeError, Reader, Writer};

/// What a request does in its own way. The version is one that its API has; the writer and the reader
/// know its form.
trait RequestBody: Sized {
    /// At least as many bytes as the request takes in any version, but for the bodies of batches: so
    /// its buffer is allocated once.
    fn size_hint(&self) -> usize;

    /// Writes the fields that the version has. Others must be what a reader takes them for, unless
    /// Kafka calls them ignorable.
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

/// What a response does in its own way, likewise.
trait ResponseBody: Sized {
    /// Writes the fields that the version has.
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16);

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError>;
}

/// Makes [`Request`] and [`Response`] of a list of the APIs, each with its two messages.
macro_rules! messages {
    ($($api:ident: $request:ty => $response:ty;)+) => {
        /// A request of a producer.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[cfg_attr(
            not(any(test, feature = "testing")),
            expect(dead_code, reason = "transactions will send what nobody sends yet")
        )]
        pub(crate) enum Request {
            $($api($request),)+
        }

        impl Request {
            /// Which one it is.
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

        /// A broker's answer.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Response {
            $($api($response),)+
        }

        impl Response {
            /// Which request it answers.
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

// What is larger than a Produce request is behind a pointer: requests are moved by value, and nearly all
// of them are Produce requests.
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
    /// Whether the broker answers it at all: to a Produce request with acks=0 it does not.
    pub(crate) fn expects_response(&self) -> bool {
        !matches!(self, Self::Produce(request) if request.acks == 0)
    }

    /// The request as a frame. Batches are referenced, not copied.
    ///
    /// # Errors
    /// When there is no such version, or it cannot carry a field that is set.
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
    /// Reads a frame (without its length) as a request. Batches share the frame's memory.
    #[cfg(test)]
    pub(crate) fn decode(frame: &Bytes) -> Result<(RequestHeader, Self), DecodeError> {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader)?;
        let request = Self::decode_body(header.api_key, header.api_version, &mut reader)?;
        Ok((header, request))
    }

    /// Reads what follows a header that was read already.
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

/// Where a response has its throttle time, if it has one. What goes before authentication has none.
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
    /// Reads the answer to a request of this kind and version, after its
    /// [header](super::decode_response_correlation). Bytes that are left over stay in the reader: as in
    /// Kafka they are no error, since a broker may know more than we do.
    pub(crate) fn decode(
        api: ApiKey,
        version: i16,
        body: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        check_known(api, version, body)?;
        body.set_flexible(api.is_flexible(version));
        Self::decode_fields(api, body, version)
    }

    /// How long the broker wants the client to be quiet, or has kept it waiting; 0 where it cannot say.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        throttle_time!(self).copied().unwrap_or(0)
    }
}

#[cfg(any(test, feature = "testing"))]
// The broker's side.
impl Response {
    /// How long the client shall be quiet, or has been kept waiting; left out where it cannot be said.
    pub(crate) fn set_throttle_time_ms(&mut self, millis: i32) {
        if let Some(own) = throttle_time!(self) {
            *own = millis;
        }
    }

    /// The answer as a frame, as a broker writes it. Fields that the version lacks are left out.
    ///
    /// # Panics
    /// When there is no such version, or it cannot carry so many coordinators, or a string is longer
    /// than the protocol can carry. Only the brokers of tests write responses: in versions and with
    /// names that they have read before.
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
