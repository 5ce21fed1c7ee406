//! Name resolution with a time limit.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
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
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (sender, result) = channel();
    let wanted = host.to_owned();
    let look_up = move || {
        let found = (&*wanted, port).to_socket_addrs();
        // The receiver is gone after the timeout.
        let _ = sender.send(found.map(without_duplicates));
    };
    let spawned = thread::Builder::new()
        .name("name-resolution".to_owned())
        .spawn(look_up);
    if let Err(error) = spawned {
        return Err(format!("no thread to resolve {host}: {error}"));
    }
    match result.recv_timeout(timeout) {
        Ok(Ok(found)) => {
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

fn without_duplicates(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Host and port as one text, with brackets around an IPv6 address.
pub(crate) fn address(host: &str, port: impl Display) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ip_address_needs_no_name_service() {
        for host in ["127.0.0.1", "::1"] {
            let found = addresses(host, 9092, Duration::ZERO).unwrap();
            assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 9092)]);
        }
    }

    #[test]
    fn an_address_is_listed_once() {
        let [a, b] = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], 1)));
        assert_eq!(without_duplicates([a, b, a].into_iter()), [a, b]);
    }
}
