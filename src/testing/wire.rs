//! The stream of a connection: plain TCP or TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
#[cfg(feature = "tls-no-provider")]
use std::sync::Arc;

#[cfg(feature = "tls-no-provider")]
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How connections are accepted: plain or TLS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wires {
    #[cfg(feature = "tls-no-provider")]
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Wires {
    /// Wraps an accepted stream. The TLS handshake starts with the first read.
    #[cfg_attr(
        not(feature = "tls-no-provider"),
        allow(
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "with TLS it can fail and is read"
        )
    )]
    pub(super) fn on(&self, stream: TcpStream) -> io::Result<TcpWire> {
        #[cfg(feature = "tls-no-provider")]
        if let Some(config) = &self.tls {
            let connection = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            return Ok(TcpWire::Tls(Box::new(StreamOwned::new(connection, stream))));
        }
        Ok(TcpWire::Plain(stream))
    }
}

/// A plain or TLS stream.
pub(super) enum TcpWire {
    Plain(TcpStream),
    #[cfg(feature = "tls-no-provider")]
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl TcpWire {
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.get_ref(),
        }
    }
}

impl Read for TcpWire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.read(into),
        }
    }
}

impl Write for TcpWire {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(from),
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls-no-provider")]
            Self::Tls(tls) => tls.flush(),
        }
    }
}
