//! DNS resolver: looks host names up on helper threads, since the system's resolver blocks. A name server that does not
//! answer delays only the nodes with that host name, not the network thread.
//!
//! The helper threads hold no strong reference to the producer's state. Each resolves one name and sends the result
//! over a channel. They are never joined, because the system's resolver cannot be cancelled.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::selectable::WakeUp;
use crate::clock::SystemClock;
use crate::planted::planted;
use crate::types::NodeId;
use crate::util::panic::contain;

mod bootstrap;

#[cfg(test)]
use bootstrap::BootstrapHosts;
pub(crate) use bootstrap::{BOOTSTRAP_LIMIT, DnsLookup, resolve_bootstrap};

/// Name of helper threads. They run other blocking work, too: see [`NameLookUps::run`].
const THREAD_NAME: &str = "kafka-producer-helper";

/// Maximum number of concurrent look-ups, and thereby of helper threads. Further names are queued; if the name server
/// does not respond at all, they wait until a look-up times out.
const MAX_CONCURRENT_LOOKUPS: usize = 32;

/// Result of a node's look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub(crate) node: NodeId,
    /// The node's addresses in the order in which to try them, at least one; or the error text.
    pub(crate) result: Result<Vec<SocketAddr>, Arc<str>>,
}

/// Non-blocking DNS resolver.
///
/// # Contract
/// Each request gets one result later, with a wake-up of the network thread. A new request for a node replaces an
/// earlier one, whose result is then never returned.
pub(crate) trait HostResolver: Send {
    /// Starts resolving a node's host name.
    fn request(&mut self, node: NodeId, host: &str, port: u16);

    /// The next result, if there is one.
    fn poll(&mut self) -> Option<Resolution>;

    /// Starts resolving the canonical names of the bootstrap servers. Must not be called again before the result was
    /// returned.
    fn request_canonical(&mut self, servers: Vec<(String, u16)>);

    /// The canonical names once they are resolved, empty if none was found; `None` before. The network thread is woken
    /// up when they are.
    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>>;
}

/// Name service (DNS, hosts file). Both calls may block for any time.
pub(crate) trait NameService: Send + Sync + 'static {
    /// All addresses of a host, in order of preference.
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// Reverse look-up: the name of an address; the address as text if it has none.
    fn name(&self, address: IpAddr) -> io::Result<String>;
}

/// The operating system's name service.
#[derive(Debug)]
struct SystemNames;

impl NameService for SystemNames {
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }

    fn name(&self, address: IpAddr) -> io::Result<String> {
        Ok(dns_lookup::lookup_addr(&address)?)
    }
}

/// A blocking look-up, as a closure.
pub(crate) type LookUp = Box<dyn FnOnce() + Send>;

/// Executor of look-ups: runs them off the network thread. On an error the look-up is not run.
pub(crate) type RunLookUp = Arc<dyn Fn(LookUp) -> io::Result<()> + Send + Sync>;

/// Name service and executor of look-ups: the system's on helper threads, or a test's, which may run each look-up
/// inline or delay it.
#[derive(Clone)]
pub(crate) struct NameLookUps {
    pub(crate) names: Arc<dyn NameService>,
    /// Also runs other slow work: fetching OAuth tokens, deriving SCRAM keys from passwords, calls of a Kerberos
    /// library, and reading the files of TLS again.
    pub(crate) run: RunLookUp,
}

impl NameLookUps {
    /// The operating system's name service; each look-up on a helper thread of its own.
    ///
    /// # Threads
    /// The threads are detached: they are never joined.
    pub(crate) fn of_system() -> Self {
        Self::on_threads(Arc::new(SystemNames))
    }

    fn on_threads(names: Arc<dyn NameService>) -> Self {
        let run = |look_up: LookUp| {
            let builder = thread::Builder::new().name(THREAD_NAME.to_owned());
            builder.spawn(look_up).map(drop)
        };
        Self {
            names,
            run: Arc::new(run),
        }
    }

    /// Runs each look-up inline, for a name service that does not block.
    #[cfg(any(test, all(feature = "testing", feature = "_internals")))]
    pub(crate) fn at_once(names: Arc<dyn NameService>) -> Self {
        let run = |look_up: LookUp| {
            look_up();
            Ok(())
        };
        Self {
            names,
            run: Arc::new(run),
        }
    }
}

/// Resolver: one look-up per name, shared by all nodes that need it, and a limited number of look-ups at a time.
pub(crate) struct Resolver {
    look_ups: NameLookUps,
    wake: Arc<dyn WakeUp>,
    /// Results that were not polled yet.
    finished: VecDeque<Resolution>,
    /// Names whose look-ups are running or queued, each with the nodes and ports that wait for it.
    pending: BTreeMap<Arc<str>, Vec<(NodeId, u16)>>,
    /// The names of `pending` whose look-ups are queued.
    queued: VecDeque<Arc<str>>,
    /// Number of running look-ups.
    running: usize,
    result_sender: Sender<LookUpResult>,
    results: Receiver<LookUpResult>,
    canonical_sender: Sender<Vec<(String, u16)>>,
    canonical: Receiver<Vec<(String, u16)>>,
}

/// Result of a helper thread.
struct LookUpResult {
    host: Arc<str>,
    result: Result<Vec<SocketAddr>, Arc<str>>,
}

impl Resolver {
    /// A resolver that wakes up the network thread's poll with each result.
    pub(crate) fn new(look_ups: NameLookUps, wake: Arc<dyn WakeUp>) -> Self {
        let (result_sender, results) = unbounded();
        let (canonical_sender, canonical) = unbounded();
        Self {
            look_ups,
            wake,
            finished: VecDeque::new(),
            pending: BTreeMap::new(),
            queued: VecDeque::new(),
            running: 0,
            result_sender,
            results,
            canonical_sender,
            canonical,
        }
    }

    /// Adds a result that needed no helper thread.
    fn finish(&mut self, node: NodeId, result: Result<Vec<SocketAddr>, Arc<str>>) {
        self.finished.push_back(Resolution { node, result });
        self.wake.wake();
    }

    /// Starts queued look-ups, up to the limit.
    fn start(&mut self) {
        while self.running < MAX_CONCURRENT_LOOKUPS
            && !(planted!(OneLookUpAtATime) && self.running > 0)
        {
            let Some(host) = self.queued.pop_front() else {
                return;
            };
            // No node waits for this name any more: each has requested another name since.
            if self.pending.get(&host).is_none_or(Vec::is_empty) {
                self.pending.remove(&host);
                continue;
            }
            match self.look_up(Arc::clone(&host)) {
                Ok(()) => self.running += 1,
                Err(error) => {
                    let why: Arc<str> = format!("no thread to resolve {host}: {error}").into();
                    for (node, _) in self.pending.remove(&host).unwrap_or_default() {
                        self.finish(node, Err(Arc::clone(&why)));
                    }
                }
            }
        }
    }

    /// Starts a look-up on a helper thread.
    fn look_up(&self, host: Arc<str>) -> io::Result<()> {
        let names = Arc::clone(&self.look_ups.names);
        let answers = self.result_sender.clone();
        // Weak: a look-up that hangs must not keep the poller of a closed producer open.
        let wake = Arc::downgrade(&self.wake);
        let work = move || {
            // Port 0: `handle_result` sets the port of each waiting node. A panic in a name service must not lose the
            // result, or the name would never be resolved again.
            let result = contain(|| look_up(&*names, &host, 0)).unwrap_or_else(|panic| {
                Err(format!("the look-up of {host} panicked: {panic}").into())
            });
            // Sending fails if the producer was dropped.
            if answers.send(LookUpResult { host, result }).is_err() {
                return;
            }
            if let Some(wake) = wake.upgrade() {
                wake.wake();
            }
        };
        (self.look_ups.run)(Box::new(work))
    }

    /// Adds the result of a look-up for each node that waits for the name.
    fn handle_result(&mut self, answer: &LookUpResult) {
        self.running -= 1;
        for (node, port) in self.pending.remove(&answer.host).unwrap_or_default() {
            let result = answer.result.clone().map(|mut addresses| {
                for address in &mut addresses {
                    address.set_port(port);
                }
                addresses
            });
            self.finished.push_back(Resolution { node, result });
        }
    }
}

impl HostResolver for Resolver {
    fn request(&mut self, node: NodeId, host: &str, port: u16) {
        // The new request replaces an older one of the node, whether finished, running or queued.
        self.finished.retain(|resolution| resolution.node != node);
        for waiters in self.pending.values_mut() {
            waiters.retain(|(waiter, _)| *waiter != node);
        }
        if let Some(ip) = literal(host) {
            return self.finish(node, Ok(vec![SocketAddr::new(ip, port)]));
        }
        // The name is being resolved already: share the look-up.
        if let Some(waiters) = self.pending.get_mut(host) {
            waiters.push((node, port));
            return;
        }
        let host: Arc<str> = host.into();
        self.pending.insert(Arc::clone(&host), vec![(node, port)]);
        self.queued.push_back(host);
        self.start();
    }

    fn poll(&mut self) -> Option<Resolution> {
        while let Ok(answer) = self.results.try_recv() {
            self.handle_result(&answer);
            // A finished look-up makes room for a queued one.
            self.start();
        }
        self.finished.pop_front()
    }

    fn request_canonical(&mut self, servers: Vec<(String, u16)>) {
        let look_ups = self.look_ups.clone();
        let answers = self.canonical_sender.clone();
        let wake = Arc::downgrade(&self.wake);
        let work = move || {
            let lookup = DnsLookup::ResolveCanonicalBootstrapServersOnly;
            let clock = SystemClock::new();
            let look_up =
                || resolve_bootstrap(&servers, lookup, BOOTSTRAP_LIMIT, &clock, &look_ups).usable;
            let found = contain(look_up).unwrap_or_default();
            if answers.send(found).is_ok() {
                if let Some(wake) = wake.upgrade() {
                    wake.wake();
                }
            }
        };
        if (self.look_ups.run)(Box::new(work)).is_err() {
            // The result is empty instead. Sending it cannot fail: `self` holds the receiver.
            let _ = self.canonical_sender.send(Vec::new());
            self.wake.wake();
        }
    }

    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>> {
        self.canonical.try_recv().ok()
    }
}

/// All addresses of a host, those of the first address's family (IPv4 or IPv6) first: that is the family the system
/// prefers, and if the first address fails, others of the same family are tried before the other family.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientUtils#filterPreferredAddresses`. Differs: addresses of the other family are kept.
/// Java's resolver prefers IPv4 whatever the system prefers. Here, if the system returns `::1` first for `localhost`, a
/// broker that listens on 127.0.0.1 only could not be reached without the IPv4 addresses.
fn look_up(names: &dyn NameService, host: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<str>> {
    let mut addresses = names
        .addresses(host, port)
        .map_err(|error| unresolved(host, &error))?;
    let Some(first) = addresses.first().copied() else {
        return Err(format!("{host} has no address").into());
    };
    // A stable sort: within a family the system's order (RFC 6724) is kept.
    addresses.sort_by_key(|address| address.is_ipv4() != first.is_ipv4());
    Ok(addresses)
}

fn unresolved(host: &str, error: &io::Error) -> Arc<str> {
    format!("cannot resolve {host}: {error}").into()
}

/// A host that is an IP literal; for IPv6 also in brackets, as in a URL.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests;
