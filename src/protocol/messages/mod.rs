//! The messages themselves: plain structures, each with its bytes in every version.

mod api_versions;
mod init_producer_id;
mod metadata;
mod produce;

#[cfg(test)]
use bytes::Bytes;

#[cfg(any(test, feature = "testing"))]
pub(crate) use self::api_versions::ApiVersionRange;
pub(crate) use self::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
pub(crate) use self::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
pub(crate) use self::metadata::{
    MetadataBroker, MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic,
};
pub(crate) use self::produce::{
    BatchHead, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    RecordError, Records, TopicProduceData, TopicProduceResponse,
};
use super::api::ApiKey;
use super::frame::{Frame, FrameBuilder};
use super::header::RequestHeader;
#[cfg(any(test, feature = "testing"))]
use super::header::encode_response_correlation;
use super::wire::{DecodeError, DecodeErrorKind, EncodeError, Reader};

/// A request of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Produce(ProduceRequest),
    Metadata(MetadataRequest),
    ApiVersions(ApiVersionsRequest),
    InitProducerId(InitProducerIdRequest),
}

impl Request {
    /// Which one it is.
    pub(crate) fn api_key(&self) -> ApiKey {
        match self {
            Self::Produce(_) => ApiKey::Produce,
            Self::Metadata(_) => ApiKey::Metadata,
            Self::ApiVersions(_) => ApiKey::ApiVersions,
            Self::InitProducerId(_) => ApiKey::InitProducerId,
        }
    }

    /// Whether the broker answers it at all: to a Produce request with acks=0 it does not.
    pub(crate) fn expects_response(&self) -> bool {
        !matches!(self, Self::Produce(request) if request.acks == 0)
    }

    pub(super) fn size_hint(&self) -> usize {
        match self {
            Self::Produce(request) => request.size_hint(),
            Self::Metadata(request) => request.size_hint(),
            Self::ApiVersions(request) => request.size_hint(),
            Self::InitProducerId(request) => request.size_hint(),
        }
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
        match self {
            Self::Produce(request) => request.encode(writer, version),
            Self::Metadata(request) => request.encode(writer, version),
            Self::ApiVersions(request) => request.encode(writer, version),
            Self::InitProducerId(request) => request.encode(writer, version),
        }
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
        Ok(match api {
            ApiKey::Produce => Self::Produce(ProduceRequest::decode(reader, version)?),
            ApiKey::Metadata => Self::Metadata(MetadataRequest::decode(reader, version)?),
            ApiKey::ApiVersions => Self::ApiVersions(ApiVersionsRequest::decode(reader, version)?),
            ApiKey::InitProducerId => {
                Self::InitProducerId(InitProducerIdRequest::decode(reader, version)?)
            }
            other => return Err(unknown_api(other, reader)),
        })
    }
}

/// A broker's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Response {
    Produce(ProduceResponse),
    Metadata(MetadataResponse),
    ApiVersions(ApiVersionsResponse),
    InitProducerId(InitProducerIdResponse),
}

impl Response {
    /// Reads the answer to a request of this kind and version, after its
    /// [header](super::decode_response_correlation). Bytes that are left over are not looked at, as
    /// in Kafka: a broker may know more than we do.
    pub(crate) fn decode(
        api: ApiKey,
        version: i16,
        body: &mut Reader<'_>,
    ) -> Result<Self, DecodeError> {
        check_known(api, version, body)?;
        body.set_flexible(api.is_flexible(version));
        let response = match api {
            ApiKey::Produce => Self::Produce(ProduceResponse::decode(body, version)?),
            ApiKey::Metadata => Self::Metadata(MetadataResponse::decode(body, version)?),
            ApiKey::ApiVersions => Self::ApiVersions(ApiVersionsResponse::decode(body, version)?),
            ApiKey::InitProducerId => Self::InitProducerId(InitProducerIdResponse::decode(body)?),
            other => return Err(unknown_api(other, body)),
        };
        if body.remaining() > 0 {
            log::debug!(
                "{} bytes follow a {api} response v{version}",
                body.remaining()
            );
        }
        Ok(response)
    }

    /// How long the broker wants the client to be quiet, or has kept it waiting.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        match self {
            Self::Produce(response) => response.throttle_time_ms,
            Self::Metadata(response) => response.throttle_time_ms,
            Self::ApiVersions(response) => response.throttle_time_ms,
            Self::InitProducerId(response) => response.throttle_time_ms,
        }
    }
}

#[cfg(any(test, feature = "testing"))]
// The broker's side.
impl Response {
    /// Which request it answers.
    pub(crate) fn api_key(&self) -> ApiKey {
        match self {
            Self::Produce(_) => ApiKey::Produce,
            Self::Metadata(_) => ApiKey::Metadata,
            Self::ApiVersions(_) => ApiKey::ApiVersions,
            Self::InitProducerId(_) => ApiKey::InitProducerId,
        }
    }

    /// How long the client shall be quiet, or has been kept waiting.
    pub(crate) fn set_throttle_time_ms(&mut self, millis: i32) {
        match self {
            Self::Produce(response) => response.throttle_time_ms = millis,
            Self::Metadata(response) => response.throttle_time_ms = millis,
            Self::ApiVersions(response) => response.throttle_time_ms = millis,
            Self::InitProducerId(response) => response.throttle_time_ms = millis,
        }
    }

    /// The answer as a frame, as a broker writes it. Fields that the version lacks are left out.
    ///
    /// # Panics
    /// When there is no such version, or a string is longer than the protocol can carry. Only the
    /// brokers of tests write responses, of versions and names that they have read before.
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
        match self {
            Self::Produce(response) => response.encode(writer, version),
            Self::Metadata(response) => response.encode(writer, version),
            Self::ApiVersions(response) => response.encode(writer, version),
            Self::InitProducerId(response) => response.encode(writer),
        }
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

fn unknown_api(api: ApiKey, reader: &Reader<'_>) -> DecodeError {
    reader.error(DecodeErrorKind::UnknownApi(api.code()), "the API key")
}
