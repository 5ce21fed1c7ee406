//! FindCoordinator: the broker that coordinates a consumer group or a transactional id.

use std::sync::Arc;

use super::{RequestBody, ResponseBody};
use crate::error::ErrorCode;
use crate::protocol::wire::{DecodeError, EncodeError, Reader, Writer};

/// Coordinator type, as a number: later versions of Kafka have more types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CoordinatorType(pub(crate) i8);

impl CoordinatorType {
    /// Group coordinator; the key is the group id. The only type in version 0.
    pub(crate) const GROUP: Self = Self(0);

    /// Transaction coordinator; the key is the transactional id.
    pub(crate) const TRANSACTION: Self = Self(1);
}

/// First version with several keys in one request (KIP-699).
const FIRST_WITH_SEVERAL: i16 = 4;

/// Request: coordinators of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FindCoordinatorRequest {
    pub(crate) coordinator_type: CoordinatorType,
    /// Group ids or transactional ids; exactly one before version 4.
    pub(crate) keys: Vec<Arc<str>>,
}

impl RequestBody for FindCoordinatorRequest {
    fn size_hint(&self) -> usize {
        // Type, count and tags: 1 + 5 + 1. A key's length: 3.
        let keys = self.keys.iter();
        7 + keys.map(|key| key.len() + 3).sum::<usize>()
    }

    fn encode(&self, w: &mut Writer, version: i16) {
        if version < FIRST_WITH_SEVERAL {
            match &self.keys[..] {
                [key] => w.put_str(key, "the coordinator's key"),
                _ => w.fail(EncodeError::UnsupportedField {
                    what: "several keys, or none",
                    version,
                }),
            }
        }
        if version >= 1 {
            w.put_i8(self.coordinator_type.0);
        } else if self.coordinator_type != CoordinatorType::GROUP {
            w.fail(EncodeError::UnsupportedField {
                what: "the type of a coordinator",
                version,
            });
        }
        if version >= FIRST_WITH_SEVERAL {
            w.put_array(&self.keys, "the keys", |w, key| {
                w.put_str(key, "the coordinator's key");
            });
        }
        w.put_no_tags();
    }

    #[cfg(any(test, feature = "testing"))]
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let mut keys = Vec::new();
        if version < FIRST_WITH_SEVERAL {
            keys.push(r.string("the coordinator's key")?);
        }
        let coordinator_type = if version >= 1 {
            CoordinatorType(r.i8("the coordinator's type")?)
        } else {
            CoordinatorType::GROUP
        };
        if version >= FIRST_WITH_SEVERAL {
            keys = r.array("the keys", 1, |r| r.string("a coordinator's key"))?;
        }
        r.skip_tags()?;
        Ok(Self {
            coordinator_type,
            keys,
        })
    }
}

/// Response: the coordinator of each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FindCoordinatorResponse {
    pub(crate) throttle_time_ms: i32,
    /// Exactly one before version 4, of the requested key.
    pub(crate) coordinators: Vec<Coordinator>,
}

/// The coordinator of one key, or its error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coordinator {
    /// `None` before version 4: the response does not repeat the key.
    pub(crate) key: Option<Arc<str>>,
    /// -1 if there is none.
    pub(crate) node_id: i32,
    pub(crate) host: Arc<str>,
    pub(crate) port: i32,
    pub(crate) error: ErrorCode,
    /// The broker's error message.
    pub(crate) error_message: Option<Arc<str>>,
}

impl ResponseBody for FindCoordinatorResponse {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer, version: i16) {
        if version >= 1 {
            w.put_i32(self.throttle_time_ms);
        }
        if version >= FIRST_WITH_SEVERAL {
            w.put_array(&self.coordinators, "the coordinators", |w, coordinator| {
                coordinator.encode(w);
            });
        } else {
            match &self.coordinators[..] {
                [coordinator] => coordinator.encode_alone(w, version),
                _ => w.fail(EncodeError::UnsupportedField {
                    what: "several coordinators, or none",
                    version,
                }),
            }
        }
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let throttle_time_ms = if version >= 1 {
            r.i32("the throttle time")?
        } else {
            0
        };
        let coordinators = if version >= FIRST_WITH_SEVERAL {
            r.array("the coordinators", 14, Coordinator::decode)?
        } else {
            vec![Coordinator::decode_alone(r, version)?]
        };
        r.skip_tags()?;
        Ok(Self {
            throttle_time_ms,
            coordinators,
        })
    }
}

impl Coordinator {
    #[cfg(any(test, feature = "testing"))]
    fn encode(&self, w: &mut Writer) {
        let key = self.key.as_deref().unwrap_or_default();
        w.put_str(key, "the coordinator's key");
        self.encode_node(w);
        w.put_i16(self.error.code());
        w.put_nullable_str(self.error_message.as_deref(), "the error message");
        w.put_no_tags();
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = r.string("a coordinator's key")?;
        let (node_id, host, port) = Self::decode_node(r)?;
        let error = r.error_code("a coordinator's error")?;
        let error_message = r.error_text("a coordinator's error message")?;
        r.skip_tags()?;
        Ok(Self {
            key: Some(key),
            node_id,
            host,
            port,
            error,
            error_message,
        })
    }

    /// Encodes the only coordinator, in versions before 4.
    #[cfg(any(test, feature = "testing"))]
    fn encode_alone(&self, w: &mut Writer, version: i16) {
        w.put_i16(self.error.code());
        if version >= 1 {
            w.put_nullable_str(self.error_message.as_deref(), "the error message");
        }
        self.encode_node(w);
    }

    fn decode_alone(r: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let error = r.error_code("the error")?;
        let error_message = if version >= 1 {
            r.error_text("the error message")?
        } else {
            None
        };
        let (node_id, host, port) = Self::decode_node(r)?;
        Ok(Self {
            key: None,
            node_id,
            host,
            port,
            error,
            error_message,
        })
    }

    #[cfg(any(test, feature = "testing"))]
    fn encode_node(&self, w: &mut Writer) {
        w.put_i32(self.node_id);
        w.put_str(&self.host, "the coordinator's host");
        w.put_i32(self.port);
    }

    fn decode_node(r: &mut Reader<'_>) -> Result<(i32, Arc<str>, i32), DecodeError> {
        let node_id = r.i32("a coordinator's id")?;
        let host = r.string("a coordinator's host")?;
        let port = r.i32("a coordinator's port")?;
        Ok((node_id, host, port))
    }
}
