//! Resolves `bootstrap.servers` when a producer is built: all hosts concurrently, with a timeout.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::unbounded;

use super::{NameLookUps, NameService, literal, unresolved};
use crate::clock::{Clock, Deadline};

/// Maximum number of threads that resolve bootstrap hosts concurrently. One would not do: the look-ups of the first few
/// hosts may hang.
const BOOTSTRAP_THREADS: usize = 8;

/// Timeout of resolving the bootstrap hosts, when a producer is built and in a rebootstrap. Java has none; the timeouts
/// of the system's resolver are commonly shorter than this.
pub(crate) const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(30);

/// How bootstrap hosts become nodes.
///
/// # Kafka
/// `client.dns.lookup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DnsLookup {
    /// Each host is one node; all its addresses are tried when connecting.
    UseAllDnsIps,
    /// Each address of each host is a node, named by its reverse look-up (canonical name).
    ResolveCanonicalBootstrapServersOnly,
}

/// Resolved bootstrap hosts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BootstrapHosts {
    /// Hosts to connect to, in the order of `bootstrap.servers`.
    pub(crate) usable: Vec<(String, u16)>,
    /// Hosts that could not be resolved, and why.
    pub(crate) failed: Vec<((String, u16), Arc<str>)>,
}

/// Resolves the hosts of `bootstrap.servers`, for at most `timeout`.
///
/// # Blocking
/// Up to `timeout`, unless all hosts are IP addresses or are resolved earlier.
/// # Kafka
/// `org.apache.kafka.clients.ClientUtils#parseAndValidateAddresses`, which has no time limit.
pub(crate) fn resolve_bootstrap(
    hosts: &[(String, u16)],
    lookup: DnsLookup,
    timeout: Duration,
    clock: &dyn Clock,
    look_ups: &NameLookUps,
) -> BootstrapHosts {
    let mut answered: BTreeMap<usize, BootstrapHosts> = BTreeMap::new();
    let (jobs, queue) = unbounded();
    for (index, (host, port)) in hosts.iter().enumerate() {
        if lookup == DnsLookup::UseAllDnsIps && literal(host).is_some() {
            let usable = vec![(host.clone(), *port)];
            answered.insert(
                index,
                BootstrapHosts {
                    usable,
                    failed: Vec::new(),
                },
            );
        } else {
            // Cannot fail: this function holds the receiver.
            let _ = jobs.send((index, host.clone(), *port));
        }
    }
    drop(jobs);

    let (outgoing, answers) = unbounded();
    let mut spawn_error = None;
    for _ in 0..queue.len().min(BOOTSTRAP_THREADS) {
        let (queue, outgoing) = (queue.clone(), outgoing.clone());
        let names = Arc::clone(&look_ups.names);
        let work = move || {
            for (index, host, port) in queue {
                if outgoing
                    .send((index, look_up_bootstrap(&*names, lookup, host, port)))
                    .is_err()
                {
                    return;
                }
            }
        };
        if let Err(error) = (look_ups.run)(Box::new(work)) {
            spawn_error = Some(error);
        }
    }
    // These handles are dropped, so that the channel disconnects when the last thread ends, and `recv_timeout` below
    // returns.
    drop(outgoing);
    drop(queue);

    let deadline = Deadline::after(clock.now(), timeout);
    while answered.len() < hosts.len() {
        // The timeout is over, or no thread is left that could send a result.
        let Ok((index, found)) = answers.recv_timeout(deadline.remaining_or(clock.now(), timeout))
        else {
            break;
        };
        answered.insert(index, found);
    }

    let why: Arc<str> = spawn_error.map_or_else(
        || {
            format!(
                "the name service did not answer within {} ms",
                timeout.as_millis()
            )
            .into()
        },
        |error| format!("no thread to resolve it: {error}").into(),
    );
    merge(hosts, answered, &why)
}

/// Orders the results like the hosts; hosts without a result have failed because of `why`.
fn merge(
    hosts: &[(String, u16)],
    mut answered: BTreeMap<usize, BootstrapHosts>,
    why: &Arc<str>,
) -> BootstrapHosts {
    let mut all = BootstrapHosts::default();
    for (index, host) in hosts.iter().enumerate() {
        match answered.remove(&index) {
            Some(found) => {
                for usable in found.usable {
                    if !all.usable.contains(&usable) {
                        all.usable.push(usable);
                    }
                }
                all.failed.extend(found.failed);
            }
            None => all.failed.push((host.clone(), Arc::clone(why))),
        }
    }
    all
}

/// Resolves one bootstrap host.
fn look_up_bootstrap(
    names: &dyn NameService,
    lookup: DnsLookup,
    host: String,
    port: u16,
) -> BootstrapHosts {
    let mut found = BootstrapHosts::default();
    let addresses = match names.addresses(&host, port) {
        Ok(addresses) if addresses.is_empty() => {
            let why = format!("{host} has no address").into();
            found.failed.push(((host, port), why));
            return found;
        }
        Ok(addresses) => addresses,
        Err(error) => {
            let why = unresolved(&host, &error);
            found.failed.push(((host, port), why));
            return found;
        }
    };
    if lookup == DnsLookup::UseAllDnsIps {
        found.usable.push((host, port));
        return found;
    }
    for address in addresses {
        // Without a reverse entry the address itself is the name.
        let name = names
            .name(address.ip())
            .unwrap_or_else(|_| address.ip().to_string());
        // Connecting resolves this name again, so it must be resolvable.
        match names.addresses(&name, port) {
            Ok(_) => found.usable.push((name, port)),
            Err(error) => {
                let why = unresolved(&name, &error);
                found.failed.push(((name, port), why));
            }
        }
    }
    found
}
