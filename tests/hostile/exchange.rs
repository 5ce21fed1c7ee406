//! A request with the broker's response to it, and the response to send instead.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

/// The requests of a producer, by API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(
    clippy::enum_variant_names,
    reason = "Kafka's own name for the request"
)]
pub(crate) enum Api {
    Produce = 0,
    Metadata = 3,
    ApiVersions = 18,
    InitProducerId = 22,
    // Only with SASL.
    SaslHandshake = 17,
    SaslAuthenticate = 36,
}

impl Api {
    /// The requests of a producer without SASL.
    pub(crate) const ALL: [Self; 4] = [
        Self::Produce,
        Self::Metadata,
        Self::ApiVersions,
        Self::InitProducerId,
    ];

    fn from_code(code: i16) -> Self {
        let mut all = Self::ALL
            .into_iter()
            .chain([Self::SaslHandshake, Self::SaslAuthenticate]);
        let found = all.find(|api| *api as i16 == code);
        found.unwrap_or_else(|| panic!("a producer makes no request {code}"))
    }
}

/// The scripted response to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tampering {
    /// The broker's response.
    Nothing,
    /// Exactly these bytes.
    Raw(Vec<u8>),
    /// The first part, and the second one when the test calls [`release`](super::proxy::TamperingProxy::release).
    Halves(Vec<u8>, Vec<u8>),
    /// Nothing, for this and all later requests of the connection.
    Silence,
    /// Nothing; closes the connection.
    Close,
}

/// Adds the length field of a frame.
pub(crate) fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as i32).to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// A request, and the broker's response.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) api: Api,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// The index of the request among the requests of its API, from 0, since the script was last changed.
    pub(crate) nth: usize,
    /// The response frame, without its length field.
    pub(crate) answer: Bytes,
}

impl Exchange {
    /// The API, version and correlation id of a request.
    pub(crate) fn header(request: &[u8]) -> (Api, i16, i32) {
        let code = i16::from_be_bytes([request[0], request[1]]);
        let version = i16::from_be_bytes([request[2], request[3]]);
        let correlation_id = i32::from_be_bytes(request[4..8].try_into().unwrap());
        (Api::from_code(code), version, correlation_id)
    }

    /// The response header for this request.
    fn answer_header(&self) -> Vec<u8> {
        let mut header = self.correlation_id.to_be_bytes().to_vec();
        if self.api != Api::ApiVersions && self.is_flexible() {
            header.push(0);
        }
        header
    }

    fn is_flexible(&self) -> bool {
        let first = match self.api {
            Api::Produce | Api::Metadata => 9,
            Api::ApiVersions => 3,
            Api::InitProducerId | Api::SaslAuthenticate => 2,
            Api::SaslHandshake => i16::MAX,
        };
        self.version >= first
    }

    /// A response with this body, as a frame.
    pub(crate) fn with_body(&self, body: &[u8]) -> Tampering {
        let mut payload = self.answer_header();
        payload.extend_from_slice(body);
        Tampering::Raw(framed(&payload))
    }

    /// The body of the broker's response.
    pub(crate) fn body(&self) -> &[u8] {
        &self.answer[self.answer_header().len()..]
    }

    /// The broker's response with changed bytes.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Vec<u8>)) -> Tampering {
        let mut bytes = self.answer.to_vec();
        change(&mut bytes);
        Tampering::Raw(framed(&bytes))
    }

    /// The broker's response, decoded by another library, with changed fields.
    pub(crate) fn edited<M: Message>(&self, edit: impl FnOnce(&mut M)) -> Tampering {
        Tampering::Raw(framed(&self.edited_payload(edit)))
    }

    pub(crate) fn edited_payload<M: Message>(&self, edit: impl FnOnce(&mut M)) -> Vec<u8> {
        assert_eq!(self.api, M::API);
        let mut rest = self.answer.clone();
        let header = M::header_version(self.version);
        ResponseHeader::decode(&mut rest, header).unwrap();
        let mut message = M::decode(&mut rest, self.version).unwrap();
        edit(&mut message);
        let mut out = BytesMut::new();
        ResponseHeader::default()
            .with_correlation_id(self.correlation_id)
            .encode(&mut out, header)
            .unwrap();
        message.encode(&mut out, self.version).unwrap();
        out.to_vec()
    }
}

/// A response whose fields can be changed.
pub(crate) trait Message: Encodable + Decodable + HeaderVersion {
    const API: Api;
}

impl Message for ApiVersionsResponse {
    const API: Api = Api::ApiVersions;
}

impl Message for MetadataResponse {
    const API: Api = Api::Metadata;
}

impl Message for ProduceResponse {
    const API: Api = Api::Produce;
}

impl Message for InitProducerIdResponse {
    const API: Api = Api::InitProducerId;
}
