//! Loopback ports that a server can be told to listen on.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Failure, Result};

/// Below the range that systems take the local ports of outgoing connections from (32768 and up on
/// Linux, 49152 and up elsewhere). A port out of that range could be lost while its broker is down: a
/// client that reconnects to it may even be given it as its own and end up talking to itself.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// A port that nobody listens on at the moment. Another process may take it before it is used, so that
/// whoever starts a server must be ready to try again with another.
pub(crate) fn free_port() -> Result<u16> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let span = RANGE.end - RANGE.start;
    // Processes that run side by side begin at different places.
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
