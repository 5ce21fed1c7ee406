//! Allocation of loopback ports for servers.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Failure, Result};

/// The ports of servers, below the range of ephemeral ports (32768 and up on Linux, 49152 and up elsewhere). While a
/// broker is down, another socket could get its port if the port were ephemeral, even the socket of a client that
/// reconnects to the port and is then connected to itself.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// A port that is free at the moment. Another process may take it before it is used, so starting a server must be
/// retried with another port.
pub(crate) fn free_port() -> Result<u16> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let span = RANGE.end - RANGE.start;
    // Concurrent processes start at different ports.
    let start = std::process::id().wrapping_mul(2_654_435_761) >> 8;
    for _ in 0..span {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + start.wrapping_add(turn) % span;
        let port = u16::try_from(port).expect("the range ends below 65536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("no loopback port is free"))
}
