//! Tests of the system's sockets only; the selector's tests cover the other behaviour of the poller.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::*;

#[test]
fn a_connection_to_itself_is_refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.connect(&socket.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut stream = TcpStream(mio::net::TcpStream::from_std(socket.into()));
    let error = stream.finish_connect().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

/// `SIGPIPE` would kill a process that does not ignore the signal, such as a C program that uses the library.
#[test]
#[cfg(target_os = "linux")]
#[allow(
    clippy::disallowed_methods,
    reason = "to see what it is disallowed for"
)]
fn writing_to_a_connection_that_the_peer_has_ended_raises_no_signal() {
    use nix::sys::signal::{SigSet, Signal};

    // A signal that is blocked in this thread stays pending until it is read, whatever handler the process has.
    SigSet::from(Signal::SIGPIPE).thread_block().unwrap();
    let raised = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let pending = status
            .lines()
            .find_map(|line| line.strip_prefix("SigPnd:"))
            .unwrap();
        let pending = u64::from_str_radix(pending.trim(), 16).unwrap();
        pending & (1 << (Signal::SIGPIPE as u64 - 1)) != 0
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ended = || {
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        stream
    };
    let slices = [IoSlice::new(b"head"), IoSlice::new(b"body")];

    // Control: without the flag the signal is raised. This runs on a thread of its own, where the signal stays pending.
    let seen = thread::scope(|scope| {
        let write = || {
            let mut stream = ended();
            while stream.write_vectored(&slices).is_ok() {}
            while stream.write_vectored(&slices).unwrap_err().kind() != io::ErrorKind::BrokenPipe {}
            raised()
        };
        scope.spawn(write).join().unwrap()
    });
    assert!(seen, "this test cannot see the signal");

    let stream = ended();
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream(mio::net::TcpStream::from_std(stream));
    let error = loop {
        match stream.write_vectored(&slices) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break error,
            _ => {}
        }
    };
    assert!(!raised(), "{error}");
}
