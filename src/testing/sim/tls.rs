//! TLS on the broker's side, with faults.
//!
//! Encrypted bytes differ from run to run, since keys and random numbers do. Their lengths do not, because Ed25519
//! signatures and key shares on curves have fixed lengths. So the simulator may depend on lengths only.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustls::server::{ServerConnection, ServerSessionMemoryCache};
use rustls::time_provider::TimeProvider;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};

use super::journal::TlsHandshake;
use super::reply::{Reply, Then};
use crate::types::NodeId;

/// Size of a broker's session cache.
const SESSIONS: usize = 256;

/// A TLS fault of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the simulator makes them")]
pub enum TlsTrouble {
    /// Its certificate has expired.
    Expired,
    /// Its certificate is for other names.
    OtherName,
    /// Its certificate is of an authority that clients do not know.
    OtherAuthority,
    /// It expects plaintext requests, and closes the connection on a TLS handshake.
    IsPlain,
    /// A web server listens at its address.
    IsWeb,
    /// It sends bytes that are not TLS.
    IsNoise,
    /// It sends only a part of a flight of the handshake, and ends the connection.
    Cuts {
        /// Index of the flight; the first is 0.
        turn: u8,
        /// The part that is sent, in thousandths.
        permille: u16,
        /// The connection is reset, and the bytes sent before are lost.
        resets: bool,
    },
}

/// Certificates of the brokers.
#[derive(Debug, Clone)]
pub(crate) struct TlsIdentities {
    pub(crate) right: Arc<ServerConfig>,
    pub(crate) expired: Arc<ServerConfig>,
    pub(crate) other_name: Arc<ServerConfig>,
    pub(crate) other_authority: Arc<ServerConfig>,
}

/// TLS settings of all brokers.
#[derive(Debug)]
pub(crate) struct TlsListener {
    identities: TlsIdentities,
    time: Arc<dyn TimeProvider>,
    /// Configuration of each broker, with its session cache.
    configs: BTreeMap<NodeId, Arc<ServerConfig>>,
    /// Faults in progress by broker; the last one applies.
    troubles: BTreeMap<NodeId, Vec<TlsTrouble>>,
}

impl TlsListener {
    pub(crate) fn new(identities: TlsIdentities, time: Arc<dyn TimeProvider>) -> Self {
        Self {
            identities,
            time,
            configs: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// Starts a fault, for new connections to a broker.
    pub(crate) fn begin(&mut self, node: NodeId, trouble: TlsTrouble) {
        self.troubles.entry(node).or_default().push(trouble);
        self.restart(node);
    }

    /// Ends a fault.
    pub(crate) fn end(&mut self, node: NodeId, trouble: TlsTrouble) {
        if let Some(troubles) = self.troubles.get_mut(&node) {
            troubles.retain(|other| *other != trouble);
        }
        self.restart(node);
    }

    /// Ends all faults of a broker.
    pub(crate) fn heal(&mut self, node: NodeId) {
        if self.troubles.remove(&node).is_some() {
            self.restart(node);
        }
    }

    /// Discards the session cache, as a restart of a broker does.
    pub(crate) fn restart(&mut self, node: NodeId) {
        self.configs.remove(&node);
    }

    fn config(&mut self, node: NodeId, trouble: Option<TlsTrouble>) -> Arc<ServerConfig> {
        let identity = match trouble {
            Some(TlsTrouble::Expired) => &self.identities.expired,
            Some(TlsTrouble::OtherName) => &self.identities.other_name,
            Some(TlsTrouble::OtherAuthority) => &self.identities.other_authority,
            _ => &self.identities.right,
        };
        let time = &self.time;
        let config = self.configs.entry(node).or_insert_with(|| {
            let mut config = (**identity).clone();
            config.time_provider = Arc::clone(time);
            config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            Arc::new(config)
        });
        Arc::clone(config)
    }

    /// Creates the session of a new connection to a broker.
    ///
    /// # Errors
    /// If the configuration is unusable.
    pub(crate) fn accept(&mut self, node: NodeId) -> Result<TlsWire, rustls::Error> {
        let troubles = self.troubles.get(&node);
        let trouble = troubles.and_then(|troubles| troubles.last().copied());
        let behaviour = match trouble {
            Some(TlsTrouble::IsPlain) => TlsBehaviour::Instead(b""),
            Some(TlsTrouble::IsWeb) => TlsBehaviour::Instead(WEB),
            Some(TlsTrouble::IsNoise) => TlsBehaviour::Instead(NOISE),
            _ => {
                let mut session = ServerConnection::new(self.config(node, trouble))?;
                session.set_buffer_limit(None);
                TlsBehaviour::Tls(Box::new(session))
            }
        };
        let cut = match trouble {
            Some(TlsTrouble::Cuts {
                turn,
                permille,
                resets,
            }) => Some(TlsCut {
                turns_left: turn,
                permille: usize::from(permille.min(1000)),
                resets,
            }),
            _ => None,
        };
        let is_trusted = !matches!(
            trouble,
            Some(TlsTrouble::Expired | TlsTrouble::OtherName | TlsTrouble::OtherAuthority)
        );
        Ok(TlsWire {
            behaviour,
            cut,
            is_trusted,
        })
    }
}

const WEB: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
const NOISE: &[u8] = &[0xa5; 100];

#[derive(Debug)]
enum TlsBehaviour {
    Tls(Box<ServerConnection>),
    /// Answers anything with these bytes, and closes the connection.
    Instead(&'static [u8]),
}

#[derive(Debug)]
struct TlsCut {
    turns_left: u8,
    permille: usize,
    resets: bool,
}

/// The broker's end of a TLS connection.
#[derive(Debug)]
pub(crate) struct TlsWire {
    behaviour: TlsBehaviour,
    cut: Option<TlsCut>,
    /// Whether the broker's certificate is valid.
    is_trusted: bool,
}

impl TlsWire {
    /// Whether the handshake is in progress, so that no request has arrived.
    pub(super) fn is_handshaking(&self) -> bool {
        match &self.behaviour {
            TlsBehaviour::Tls(session) => session.is_handshaking(),
            TlsBehaviour::Instead(_) => true,
        }
    }

    /// Receives bytes, and decrypts them into `plain`.
    pub(super) fn receive(&mut self, mut sealed: &[u8], plain: &mut BytesMut) -> Reply {
        let session = match &mut self.behaviour {
            TlsBehaviour::Tls(session) => session,
            TlsBehaviour::Instead(bytes) => {
                return Reply {
                    bytes: Bytes::from_static(bytes),
                    then: Then::Closes,
                    handshake: None,
                };
            }
        };
        let was_handshaking = session.is_handshaking();
        let mut is_wrong = false;
        while !sealed.is_empty() && !is_wrong {
            is_wrong =
                session.read_tls(&mut sealed).is_err() || session.process_new_packets().is_err();
            open(session, plain);
        }
        let mut reply = Reply {
            bytes: take_sealed(session),
            ..Reply::default()
        };
        if is_wrong {
            reply.then = Then::Closes;
        }
        if was_handshaking && !session.is_handshaking() {
            reply.handshake = handshake(session, self.is_trusted);
        }
        if was_handshaking && !reply.bytes.is_empty() {
            self.cut(&mut reply);
        }
        reply
    }

    fn cut(&mut self, reply: &mut Reply) {
        match &mut self.cut {
            None => {}
            Some(TlsCut {
                turns_left: 0,
                permille,
                resets,
            }) => {
                reply.bytes.truncate(reply.bytes.len() * *permille / 1000);
                reply.then = if *resets { Then::Resets } else { Then::Closes };
            }
            Some(cut) => cut.turns_left -= 1,
        }
    }

    /// Encrypts bytes for the client.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Bytes {
        let TlsBehaviour::Tls(session) = &mut self.behaviour else {
            return Bytes::new();
        };
        // The session has no buffer limit, so it takes everything.
        let _ = session.writer().write_all(plain);
        take_sealed(session)
    }

    /// The `close_notify` alert.
    pub(super) fn close_notify(&mut self) -> Bytes {
        let TlsBehaviour::Tls(session) = &mut self.behaviour else {
            return Bytes::new();
        };
        session.send_close_notify();
        take_sealed(session)
    }
}

fn open(session: &mut ServerConnection, plain: &mut BytesMut) {
    let mut reader = session.reader();
    while let Ok(opened) = reader.fill_buf() {
        let len = opened.len();
        if len == 0 {
            return;
        }
        plain.extend_from_slice(opened);
        reader.consume(len);
    }
}

/// Takes the bytes that the session wants to send.
fn take_sealed(session: &mut ServerConnection) -> Bytes {
    let mut sealed = Vec::new();
    while session.wants_write() {
        // Writing to a vector cannot fail.
        if session.write_tls(&mut sealed).is_err() {
            break;
        }
    }
    sealed.into()
}

fn handshake(session: &ServerConnection, is_trusted: bool) -> Option<TlsHandshake> {
    Some(TlsHandshake {
        is_newest: session.protocol_version()? == ProtocolVersion::TLSv1_3,
        is_resumed: session.handshake_kind()? == HandshakeKind::Resumed,
        has_certificate: session.peer_certificates().is_some(),
        is_trusted,
    })
}
