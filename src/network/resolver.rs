//! Host names to addresses, off the network thread: a name service that does not answer holds up
//! only those who asked for that name.
//!
//! The helper threads own nothing of the producer. Each looks one name up and answers on a channel;
//! nobody joins them, because a look-up in the system's resolver cannot be ended.

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

/// Not only look-ups are made on such threads: see [`NameLookUps::run`].
const THREAD_NAME: &str = "kafka-producer-helper";

/// Names that are looked up at once, and so threads there are at most. If as many hang, which is when the
/// system's name service is down and says nothing, other names wait.
const LOOKUPS_AT_ONCE: usize = 32;

/// What became of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub(crate) node: NodeId,
    /// The node's addresses in the order they are to be tried, at least one; or what went wrong.
    pub(crate) result: Result<Vec<SocketAddr>, Arc<str>>,
}

/// Looks up the addresses of nodes without blocking.
///
/// # Contract
/// Each request is answered once, some time later, and the network thread is woken for it. A request of a node
/// takes the place of one that was not answered yet, which then never is.
pub(crate) trait HostResolver: Send {
    /// Asks for the addresses of a node.
    fn request(&mut self, node: NodeId, host: &str, port: u16);

    /// The next answer that has come.
    fn poll(&mut self) -> Option<Resolution>;

    /// Asks for the canonical names of bootstrap servers. Not again before that is answered.
    fn request_canonical(&mut self, servers: Vec<(String, u16)>);

    /// The canonical names, none if there are none, when they have come; the network thread is woken for it.
    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>>;
}

/// Where names are looked up. Both calls may block for as long as they like.
pub(crate) trait NameService: Send + Sync + 'static {
    /// All addresses of a host, in the order of preference.
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// The name of an address; the address as text if it has none.
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

/// A look-up that is to be made.
pub(crate) type LookUp = Box<dyn FnOnce() + Send>;

/// Where look-ups are made, as they may block: somewhere else than on the network thread. An error: it is not
/// made.
pub(crate) type RunLookUp = Arc<dyn Fn(LookUp) -> io::Result<()> + Send + Sync>;

/// Who is asked for names, and where that is waited for: the system's, on threads, or a test's, which may
/// make each look-up at once or keep it until its time has come.
#[derive(Clone)]
pub(crate) struct NameLookUps {
    pub(crate) names: Arc<dyn NameService>,
    /// What else takes long is run there too: tokens are got and keys of passwords derived.
    pub(crate) run: RunLookUp,
}

impl NameLookUps {
    /// The operating system's name service, each look-up on a thread of its own that ends with it.
    ///
    /// # Threads
    /// Nobody waits for their end.
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

    /// Each look-up when it is asked for, by a name service that does not block.
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

/// Looks names up, each once at a time, and not too many at once.
pub(crate) struct Resolver {
    look_ups: NameLookUps,
    wake: Arc<dyn WakeUp>,
    known: VecDeque<Resolution>,
    /// The names that are looked up or have to wait for that, and who asked for each, for which port.
    asked: BTreeMap<Arc<str>, Vec<(NodeId, u16)>>,
    /// Those of them that have to wait.
    waiting: VecDeque<Arc<str>>,
    /// Look-ups under way.
    running: usize,
    answer_to: Sender<Answer>,
    answers: Receiver<Answer>,
    canonical_to: Sender<Vec<(String, u16)>>,
    canonical: Receiver<Vec<(String, u16)>>,
}

/// What a look-up found.
struct Answer {
    host: Arc<str>,
    result: Result<Vec<SocketAddr>, Arc<str>>,
}

impl Resolver {
    /// A resolver that ends the poll of `wake` with each answer.
    pub(crate) fn new(look_ups: NameLookUps, wake: Arc<dyn WakeUp>) -> Self {
        let (answer_to, answers) = unbounded();
        let (canonical_to, canonical) = unbounded();
        Self {
            look_ups,
            wake,
            known: VecDeque::new(),
            asked: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: 0,
            answer_to,
            answers,
            canonical_to,
            canonical,
        }
    }

    fn answer(&mut self, node: NodeId, result: Result<Vec<SocketAddr>, Arc<str>>) {
        self.known.push_back(Resolution { node, result });
        self.wake.wake();
    }

    /// Begins the look-ups there is room for.
    fn start(&mut self) {
        while self.running < LOOKUPS_AT_ONCE && !(planted!(OneLookUpAtATime) && self.running > 0) {
            let Some(host) = self.waiting.pop_front() else {
                return;
            };
            if self.asked.get(&host).is_none_or(Vec::is_empty) {
                self.asked.remove(&host);
                continue;
            }
            match self.look_up(Arc::clone(&host)) {
                Ok(()) => self.running += 1,
                Err(error) => {
                    let why: Arc<str> = format!("no thread to resolve {host}: {error}").into();
                    for (node, _) in self.asked.remove(&host).unwrap_or_default() {
                        self.answer(node, Err(Arc::clone(&why)));
                    }
                }
            }
        }
    }

    fn look_up(&self, host: Arc<str>) -> io::Result<()> {
        let names = Arc::clone(&self.look_ups.names);
        let answers = self.answer_to.clone();
        // Weak: while a look-up hangs, the poller it would wake may be closed.
        let wake = Arc::downgrade(&self.wake);
        let work = move || {
            // The port is put in later: those who ask for one name may have several.
            let result = contain(|| look_up(&*names, &host, 0)).unwrap_or_else(|panic| {
                Err(format!("the look-up of {host} panicked: {panic}").into())
            });
            if answers.send(Answer { host, result }).is_err() {
                return;
            }
            if let Some(wake) = wake.upgrade() {
                wake.wake();
            }
        };
        (self.look_ups.run)(Box::new(work))
    }

    /// Hands an answer to those who asked for the name.
    fn answered(&mut self, answer: &Answer) {
        self.running -= 1;
        for (node, port) in self.asked.remove(&answer.host).unwrap_or_default() {
            let result = answer.result.clone().map(|mut addresses| {
                for address in &mut addresses {
                    address.set_port(port);
                }
                addresses
            });
            self.known.push_back(Resolution { node, result });
        }
    }
}

impl HostResolver for Resolver {
    fn request(&mut self, node: NodeId, host: &str, port: u16) {
        self.known.retain(|resolution| resolution.node != node);
        for askers in self.asked.values_mut() {
            askers.retain(|(asker, _)| *asker != node);
        }
        if let Some(ip) = literal(host) {
            return self.answer(node, Ok(vec![SocketAddr::new(ip, port)]));
        }
        if let Some(askers) = self.asked.get_mut(host) {
            askers.push((node, port));
            return;
        }
        let host: Arc<str> = host.into();
        self.asked.insert(Arc::clone(&host), vec![(node, port)]);
        self.waiting.push_back(host);
        self.start();
    }

    fn poll(&mut self) -> Option<Resolution> {
        while let Ok(answer) = self.answers.try_recv() {
            self.answered(&answer);
            self.start();
        }
        self.known.pop_front()
    }

    fn request_canonical(&mut self, servers: Vec<(String, u16)>) {
        let look_ups = self.look_ups.clone();
        let answers = self.canonical_to.clone();
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
            // Cannot fail: the other end is held here.
            let _ = self.canonical_to.send(Vec::new());
            self.wake.wake();
        }
    }

    fn poll_canonical(&mut self) -> Option<Vec<(String, u16)>> {
        self.canonical.try_recv().ok()
    }
}

/// All addresses of a host, those of the first one's family first: the order between families is the
/// system's preference, and a host whose first address fails is tried on its like first.
///
/// # Kafka
/// `org.apache.kafka.clients.ClientUtils#filterPreferredAddresses`. Differs: the other family's are kept.
/// Java prefers IPv4 whatever the system says; where the system names `::1` first for `localhost`, a broker
/// that listens on 127.0.0.1 only could not be reached otherwise.
fn look_up(names: &dyn NameService, host: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<str>> {
    let mut addresses = names
        .addresses(host, port)
        .map_err(|error| unresolved(host, &error))?;
    let Some(first) = addresses.first().copied() else {
        return Err(format!("{host} has no address").into());
    };
    addresses.sort_by_key(|address| address.is_ipv4() != first.is_ipv4());
    Ok(addresses)
}

fn unresolved(host: &str, error: &io::Error) -> Arc<str> {
    format!("cannot resolve {host}: {error}").into()
}

/// An address written as such, also in the brackets that a URL puts around IPv6.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests;
