//! Name resolution with a time limit.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// The addresses of a host in the order of preference, at least one; or the error text.
///
/// The system's resolver cannot be cancelled: a look-up that takes longer than `timeout` runs on, until it or the
/// process ends.
pub(crate) fn addresses(
    host: &str,
    port: u16,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, String> {
    let (sender, result) = channel();
    let wanted = host.to_owned();
    let look_up = move || {
        let found = (&*wanted, port).to_socket_addrs();
        // The receiver is gone after the timeout.
        let _ = sender.send(found.map(Iterator::collect::<Vec<_>>));
    };
    let spawned = thread::Builder::new()
        .name("name-resolution".to_owned())
        .spawn(look_up);
    if let Err(error) = spawned {
        return Err(format!("no thread to resolve {host}: {error}"));
    }
    match result.recv_timeout(timeout) {
        Ok(Ok(mut found)) => {
            found.dedup();
            if found.is_empty() {
                return Err(format!("{host} has no address"));
            }
            Ok(found)
        }
        Ok(Err(error)) => Err(format!("cannot resolve {host}: {error}")),
        Err(_) => Err(format!(
            "the name service did not answer for {host} within {} ms",
            timeout.as_millis()
        )),
    }
}
