//! The wire protocol: encoding and decoding of requests and responses, of all APIs that a producer uses.
//!
//! A client encodes [`Request`]s and decodes [`Response`]s; the embedded broker does the opposite. A record batch is
//! opaque here: a [`Frame`] references its bytes without a copy.
//!
//! The broker's side (decoding requests, encoding responses) exists for tests and the `testing` feature only.

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
pub(crate) use messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, EndTxnRequest,
    TopicResult, TxnOffsetCommitPartition, TxnOffsetCommitRequest, TxnOffsetCommitTopic,
};
#[cfg(any(test, feature = "testing"))]
pub(crate) use messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, FindCoordinatorResponse,
    PartitionResult, TxnOffsetCommitResponse,
};
pub(crate) use messages::{
    ApiVersionsRequest, ApiVersionsResponse, AuthBytes, BatchHead, BatchIndexAndErrorMessage,
    Coordinator, CoordinatorType, FindCoordinatorRequest, InitProducerIdRequest,
    InitProducerIdResponse, MemoryRecords, MetadataBroker, MetadataPartition, MetadataRequest,
    MetadataResponse, MetadataTopic, PartitionProduceData, PartitionProduceResponse,
    ProduceRequest, ProduceResponse, Request, Response, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, TopicProduceData,
    TopicProduceResponse,
};
pub(crate) use wire::{DecodeError, Reader};
#[cfg(test)]
pub(crate) use wire::{DecodeErrorKind, EncodeError};

#[cfg(test)]
pub(crate) mod tests;
