//! TCP socket options, non-blocking connect, and writes without `SIGPIPE`, all of which mio lacks.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Socket options from the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SocketOptions {
    /// `send.buffer.bytes`; `None` is the system's default.
    pub(crate) send_buffer: Option<usize>,
    /// `receive.buffer.bytes`; `None` is the system's default.
    pub(crate) receive_buffer: Option<usize>,
}

/// Opens a socket and starts connecting. Returns true if it is connected already.
pub(super) fn open(address: SocketAddr, options: SocketOptions) -> io::Result<(TcpStream, bool)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    // Set before connecting: the TCP window scale follows from the buffer sizes, and is negotiated in the handshake.
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    let connected = match socket.connect(&address.into()) {
        Ok(()) => true,
        Err(error) if is_in_progress(&error) => false,
        Err(error) => return Err(error),
    };
    Ok((socket.into(), connected))
}

/// Vectored write to a socket without `SIGPIPE` if the peer has closed the connection. Rust programs ignore that
/// signal, but the library may be linked into another program, which the signal would kill. The standard library
/// suppresses it for plain writes only, not for vectored ones.
pub(super) fn send_vectored<'s, S>(socket: &'s S, from: &[IoSlice<'_>]) -> io::Result<usize>
where
    SockRef<'s>: From<&'s S>,
{
    SockRef::from(socket).send_vectored_with_flags(from, NO_SIGNAL)
}

#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: std::ffi::c_int = libc::MSG_NOSIGNAL;

/// On Apple systems `SO_NOSIGPIPE` is set on the socket; elsewhere there is no such signal.
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const NO_SIGNAL: std::ffi::c_int = 0;

/// Whether a non-blocking `connect` is in progress. It is so as well if a signal interrupted the call.
fn is_in_progress(error: &io::Error) -> bool {
    // `io::ErrorKind::InProgress` is not stable, so the error number is compared.
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// SL-1: sockets are non-blocking, with keep-alive and without delay, and have buffers as configured.
    #[test]
    fn a_socket_has_its_options_before_it_is_connected() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (plain, _) = open(address, SocketOptions::default()).unwrap();
        let options = SocketOptions {
            send_buffer: Some(16_384),
            receive_buffer: Some(32_768),
        };
        let (small, _) = open(address, options).unwrap();
        let (plain, small) = (SockRef::from(&plain), SockRef::from(&small));
        for socket in [&plain, &small] {
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
        }
        // Linux returns twice the requested size; no system returns less.
        assert!((16_384..=32_768).contains(&small.send_buffer_size().unwrap()));
        assert!((32_768..=65_536).contains(&small.recv_buffer_size().unwrap()));
        assert_ne!(
            plain.send_buffer_size().unwrap(),
            small.send_buffer_size().unwrap()
        );
    }

    #[test]
    fn an_address_that_cannot_be_reached_fails_at_once() {
        // Broadcast is no destination for TCP: the system refuses without sending anything.
        assert!(
            open(
                "255.255.255.255:9".parse().unwrap(),
                SocketOptions::default()
            )
            .is_err()
        );
    }
}
