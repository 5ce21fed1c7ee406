//! The wire protocol: requests and responses, both ways, as bytes.
//!
//! A client encodes [`Request`]s and decodes [`Response`]s; a broker of the tests does the opposite.
//! Nothing here knows what is inside a batch of records: to the protocol it is bytes, and they pass
//! through [`Frame`]s without being copied.
//!
//! What only a broker does (reading requests, writing responses) is there for tests and the `testing`
//! feature.

mod api;
mod frame;
mod header;
mod messages;
mod wire;

pub(crate) use api::ApiKey;
pub(crate) use frame::Frame;
#[cfg(test)]
pub(crate) use frame::FrameBuilder;
#[cfg(any(test, feature = "testing"))]
pub(crate) use header::RequestHeader;
pub(crate) use header::decode_response_correlation;
#[cfg(any(test, feature = "testing"))]
pub(crate) use messages::ApiVersionRange;
#[cfg(any(test, all(feature = "testing", feature = "_internals")))]
pub(crate) use messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnTopic, EndTxnRequest, EndTxnResponse,
    FindCoordinatorResponse, PartitionResult, TopicResult, TxnOffsetCommitPartition,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitTopic,
};
pub(crate) use messages::{
    ApiVersionsRequest, ApiVersionsResponse, AuthBytes, BatchHead, Coordinator, CoordinatorType,
    FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse, MetadataBroker,
    MetadataPartition, MetadataRequest, MetadataResponse, MetadataTopic, PartitionProduceData,
    PartitionProduceResponse, ProduceRequest, ProduceResponse, RecordError, Records, Request,
    Response, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse, TopicProduceData, TopicProduceResponse,
};
pub(crate) use wire::{DecodeError, Reader};
#[cfg(test)]
pub(crate) use wire::{DecodeErrorKind, EncodeError};

#[cfg(test)]
pub(crate) mod tests;
