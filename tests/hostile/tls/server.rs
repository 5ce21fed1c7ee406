//! A TLS server that violates the protocol at a chosen point.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use kafka_producer::rustls::crypto::cipher::{
    MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use kafka_producer::rustls::pki_types::pem::PemObject;
use kafka_producer::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use kafka_producer::rustls::server::ServerConnection;
use kafka_producer::rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig, SupportedProtocolVersion,
};

use super::certificates::{Identity, crypto};

/// Record types.
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

/// A plaintext record.
pub(crate) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    [&[kind, 3, 3, high, low], content].concat()
}

/// Reads until the client closes.
pub(crate) fn listen(mut client: &TcpStream) -> io::Result<()> {
    io::copy(&mut client, &mut io::sink()).map(drop)
}

/// Reads the `ClientHello`.
pub(crate) fn take_hello(mut client: &TcpStream) -> io::Result<()> {
    let mut header = [0; 5];
    client.read_exact(&mut header)?;
    let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    client.read_exact(&mut hello)
}

/// Writes the same bytes until the client closes.
pub(crate) fn flood(mut client: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let many = bytes.repeat(8 * 1024 / bytes.len() + 1);
    loop {
        client.write_all(&many)?;
    }
}

/// A TLS server.
pub(crate) struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    pub(crate) fn new(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(crypto())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = 0;
        Self(Arc::new(config))
    }

    /// Runs a handshake, and passes each record of the server to `write`, which writes it or something else, and
    /// returns whether to continue. Returns the session, unless `write` ended it.
    pub(crate) fn shake_hands(
        &self,
        mut client: &TcpStream,
        mut write: impl FnMut(&[u8]) -> io::Result<bool>,
    ) -> io::Result<Option<ServerConnection>> {
        let mut tls = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        loop {
            let mut flight = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut flight)?;
            }
            let mut rest = &flight[..];
            while let Some(header) = rest.first_chunk::<5>() {
                let len = 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
                if !write(&rest[..len])? {
                    return Ok(None);
                }
                rest = &rest[len..];
            }
            if !tls.is_handshaking() {
                return Ok(Some(tls));
            }
            if tls.read_tls(&mut client)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    /// Runs a correct handshake.
    pub(crate) fn session(&self, mut client: &TcpStream) -> io::Result<ServerConnection> {
        let session = self.shake_hands(client, |record| client.write_all(record).map(|()| true))?;
        session.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Runs a handshake, and extracts the traffic keys.
    pub(crate) fn sealer<'c>(&self, client: &'c TcpStream) -> io::Result<Sealer<'c>> {
        let tls = self.session(client)?;
        let suite = tls
            .negotiated_cipher_suite()
            .and_then(|suite| suite.tls13());
        let secrets = tls.dangerous_extract_secrets().map_err(io::Error::other)?;
        let (number, secrets) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        Ok(Sealer {
            client,
            encrypter: suite.expect("TLS 1.3").aead_alg.encrypter(key, iv),
            number,
        })
    }
}

/// Encrypts any content as a TLS 1.3 record.
pub(crate) struct Sealer<'c> {
    client: &'c TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    number: u64,
}

impl Sealer<'_> {
    fn seal(&mut self, kind: u8, content: &[u8]) -> io::Result<Vec<u8>> {
        let plain = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(content),
        };
        let sealed = self.encrypter.encrypt(plain, self.number);
        self.number += 1;
        Ok(sealed.map_err(io::Error::other)?.encode())
    }

    pub(crate) fn write(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        let sealed = self.seal(kind, content)?;
        self.client.write_all(&sealed)
    }

    /// Writes the same content in encrypted records until the client closes.
    pub(crate) fn flood(&mut self, kind: u8, content: &[u8]) -> io::Result<()> {
        loop {
            let mut many = Vec::new();
            while many.len() < 8 * 1024 {
                many.extend(self.seal(kind, content)?);
            }
            self.client.write_all(&many)?;
        }
    }
}
