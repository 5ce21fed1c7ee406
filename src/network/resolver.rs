//! Host names to addresses, off the network thread: a name service that does not answer holds up
//! only those who asked for that name.
//!
//! The helper threads own nothing of the producer. They take names from a channel and answer on one;
//! nobody joins them, because a look-up in the system's resolver cannot be ended.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Weak};
use std::thread;

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};

use super::selectable::WakeUp;
use crate::types::NodeId;

mod bootstrap;

#[cfg(test)]
use bootstrap::BootstrapHosts;
pub(crate) use bootstrap::{DnsLookup, resolve_bootstrap};

const THREAD_NAME: &str = "kafka-producer-resolver";

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
/// Each request is answered once, some time later, and the network thread is woken for it.
pub(crate) trait HostResolver: Send {
    /// Asks for the addresses of a node.
    fn request(&mut self, node: NodeId, host: &str, port: u16);

    /// The next answer that has come.
    fn poll(&mut self) -> Option<Resolution>;
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

/// Looks names up with the operating system, on one thread that starts when it is first needed.
///
/// # Threads
/// Dropping it lets the thread end after the look-up it is in, without waiting for that.
pub(crate) struct SystemResolver {
    names: Arc<dyn NameService>,
    wake: Arc<dyn WakeUp>,
    known: VecDeque<Resolution>,
    helper: Option<Helper>,
}

struct Helper {
    requests: Sender<Request>,
    answers: Receiver<Resolution>,
    /// Nodes whose answers have not come, in the order of their requests.
    waiting: VecDeque<NodeId>,
}

struct Request {
    node: NodeId,
    host: String,
    port: u16,
}

impl SystemResolver {
    /// A resolver that ends the poll of `wake` with each answer.
    pub(crate) fn new(wake: Arc<dyn WakeUp>) -> Self {
        Self::with_names(wake, Arc::new(SystemNames))
    }

    /// A resolver that asks `names`.
    pub(crate) fn with_names(wake: Arc<dyn WakeUp>, names: Arc<dyn NameService>) -> Self {
        Self {
            names,
            wake,
            known: VecDeque::new(),
            helper: None,
        }
    }

    fn answer(&mut self, node: NodeId, result: Result<Vec<SocketAddr>, Arc<str>>) {
        self.known.push_back(Resolution { node, result });
        self.wake.wake();
    }

    /// The helper, started if there is none.
    fn helper(&mut self) -> io::Result<&mut Helper> {
        let helper = match self.helper.take() {
            Some(helper) => helper,
            None => self.start()?,
        };
        Ok(self.helper.insert(helper))
    }

    fn start(&self) -> io::Result<Helper> {
        let (requests, incoming) = unbounded();
        let (outgoing, answers) = unbounded();
        let names = Arc::clone(&self.names);
        // Weak: while a look-up hangs, the poller it would wake may be closed.
        let wake = Arc::downgrade(&self.wake);
        thread::Builder::new()
            .name(THREAD_NAME.to_owned())
            .spawn(move || serve(&incoming, &outgoing, &*names, &wake))?;
        Ok(Helper {
            requests,
            answers,
            waiting: VecDeque::new(),
        })
    }

    /// The helper is gone, though it should not be: what it was asked must be answered all the same.
    fn give_up_helper(&mut self) {
        for node in self
            .helper
            .take()
            .into_iter()
            .flat_map(|helper| helper.waiting)
        {
            self.answer(node, Err("the resolver thread has ended".into()));
        }
    }
}

impl HostResolver for SystemResolver {
    fn request(&mut self, node: NodeId, host: &str, port: u16) {
        if let Some(ip) = literal(host) {
            return self.answer(node, Ok(vec![SocketAddr::new(ip, port)]));
        }
        match self.helper() {
            Ok(helper) => {
                helper.waiting.push_back(node);
                let request = Request {
                    node,
                    host: host.to_owned(),
                    port,
                };
                if helper.requests.send(request).is_err() {
                    self.give_up_helper();
                }
            }
            Err(error) => {
                self.answer(
                    node,
                    Err(format!("no thread to resolve {host}: {error}").into()),
                );
            }
        }
    }

    fn poll(&mut self) -> Option<Resolution> {
        if let Some(helper) = &mut self.helper {
            match helper.answers.try_recv() {
                Ok(resolution) => {
                    helper.waiting.pop_front();
                    self.known.push_back(resolution);
                }
                Err(TryRecvError::Disconnected) => self.give_up_helper(),
                Err(TryRecvError::Empty) => {}
            }
        }
        self.known.pop_front()
    }
}

/// The helper thread: ends when the resolver is gone.
fn serve(
    requests: &Receiver<Request>,
    answers: &Sender<Resolution>,
    names: &dyn NameService,
    wake: &Weak<dyn WakeUp>,
) {
    for Request { node, host, port } in requests {
        let result = look_up(names, &host, port);
        if answers.send(Resolution { node, result }).is_err() {
            return;
        }
        if let Some(wake) = wake.upgrade() {
            wake.wake();
        }
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
