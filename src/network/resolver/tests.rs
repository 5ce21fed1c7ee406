//! Look-ups with a scripted name service, and with the system's for names that need no network.

use std::net::Ipv6Addr;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::*;
use crate::clock::SystemClock;

/// Sends each wake-up over a channel.
#[derive(Debug)]
struct WakeChannel(Sender<()>);

impl WakeUp for WakeChannel {
    fn wake(&self) {
        let _ = self.0.send(());
    }
}

/// The look-up of a host that begins with `hangs` returns only when the test sends over the gate, or drops it.
struct Scripted {
    gate: Receiver<()>,
    asked: Sender<String>,
}

impl NameService for Scripted {
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let _ = self.asked.send(host.to_owned());
        let v4 = |n: u8| SocketAddr::new([127, 0, 0, n].into(), port);
        let v6 = |n: u16| SocketAddr::new(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, n).into(), port);
        match host {
            _ if host.starts_with("hangs") => {
                let _ = self.gate.recv();
                Err(io::Error::other("gate opened"))
            }
            "panics" => panic!("a name service that panics"),
            "empty" => Ok(vec![]),
            "mixed4" => Ok(vec![v4(1), v6(1), v4(2)]),
            "mixed6" => Ok(vec![v6(1), v4(1), v6(2), v6(3)]),
            "pair" => Ok(vec![v4(1), v4(2)]),
            "twins" => Ok(vec![v4(1), v4(3)]),
            "one.name" | "127.0.0.2" => Ok(vec![v4(1)]),
            _ => Err(io::Error::other("no such host")),
        }
    }

    fn name(&self, address: IpAddr) -> io::Result<String> {
        match address.to_string().as_str() {
            "127.0.0.1" | "127.0.0.3" => Ok("one.name".into()),
            "127.0.0.4" => Ok("gone.name".into()),
            _ => Err(io::Error::other("no name")),
        }
    }
}

struct Rig {
    resolver: Resolver,
    woken: Receiver<()>,
    asked: Receiver<String>,
    gate: Sender<()>,
}

const PATIENCE: Duration = Duration::from_secs(20);

fn scripted() -> (Arc<dyn NameService>, Receiver<String>, Sender<()>) {
    let (gate, closed) = unbounded();
    let (asked, log) = unbounded();
    (
        Arc::new(Scripted {
            gate: closed,
            asked,
        }),
        log,
        gate,
    )
}

fn rig() -> Rig {
    let (names, asked, gate) = scripted();
    let (wake, woken) = unbounded();
    Rig {
        resolver: Resolver::new(NameLookUps::on_threads(names), Arc::new(WakeChannel(wake))),
        woken,
        asked,
        gate,
    }
}

impl Rig {
    /// The next result, after its wake-up.
    fn answer(&mut self) -> Resolution {
        if let Some(answer) = self.resolver.poll() {
            return answer;
        }
        loop {
            self.woken.recv_timeout(PATIENCE).expect("a wake-up");
            if let Some(answer) = self.resolver.poll() {
                return answer;
            }
        }
    }
}

fn v4(n: u8, port: u16) -> SocketAddr {
    SocketAddr::new([127, 0, 0, n].into(), port)
}

#[test]
fn a_host_that_is_an_address_is_resolved_at_once_without_a_look_up() {
    let mut rig = rig();
    rig.resolver.request(7, "127.0.0.9", 9092);
    rig.resolver.request(8, "[::1]", 9093);
    assert_eq!(
        rig.resolver.poll(),
        Some(Resolution {
            node: 7,
            result: Ok(vec![v4(9, 9092)])
        })
    );
    let v6 = "[::1]:9093".parse().unwrap();
    assert_eq!(
        rig.resolver.poll(),
        Some(Resolution {
            node: 8,
            result: Ok(vec![v6])
        })
    );
    assert_eq!(rig.resolver.poll(), None);
    assert_eq!(rig.woken.len(), 2);
    assert!(rig.asked.is_empty());
}

/// A host's addresses are tried one after the other (NC-28), in this order: those of the first address's family, then
/// those of the other family.
#[test]
fn addresses_of_the_first_address_family_come_first_and_the_others_are_kept() {
    let mut rig = rig();
    rig.resolver.request(1, "mixed4", 1);
    let addresses = rig.answer().result.unwrap();
    assert_eq!(addresses[..2], [v4(1, 1), v4(2, 1)]);
    assert!(addresses.len() == 3 && addresses[2].is_ipv6());
    rig.resolver.request(2, "mixed6", 1);
    let addresses = rig.answer().result.unwrap();
    assert!(addresses[..3].iter().all(SocketAddr::is_ipv6));
    assert_eq!(addresses[3..], [v4(1, 1)]);
}

#[test]
fn a_host_without_address_is_an_error_that_names_it() {
    let mut rig = rig();
    for host in ["empty", "nowhere"] {
        rig.resolver.request(3, host, 1);
        let answer = rig.answer();
        assert_eq!(answer.node, 3);
        assert!(answer.result.unwrap_err().contains(host));
    }
}

#[test]
fn a_hanging_look_up_delays_only_the_nodes_with_that_name() {
    let mut rig = rig();
    rig.resolver.request(1, "hangs", 1);
    assert_eq!(rig.asked.recv_timeout(PATIENCE).unwrap(), "hangs");
    rig.resolver.request(2, "pair", 1);
    assert_eq!(rig.answer().node, 2);
    rig.resolver.request(3, "127.0.0.1", 1);
    assert_eq!(rig.answer().node, 3);
    rig.gate.send(()).unwrap();
    assert_eq!(rig.answer().node, 1);
}

#[test]
fn nodes_with_the_same_host_name_share_one_look_up() {
    let mut rig = rig();
    for node in 1..=40 {
        rig.resolver.request(node, "hangs", 9000 + node as u16);
    }
    rig.resolver.request(41, "pair", 7);
    assert_eq!(rig.answer().result, Ok(vec![v4(1, 7), v4(2, 7)]));
    rig.gate.send(()).unwrap();
    for node in 1..=40 {
        assert_eq!(rig.answer().node, node);
    }
    let mut asked: Vec<_> = rig.asked.try_iter().collect();
    asked.sort();
    assert_eq!(asked, ["hangs", "pair"]);
}

#[test]
fn a_nodes_new_request_replaces_its_running_look_up() {
    let mut rig = rig();
    rig.resolver.request(1, "hangs", 1);
    rig.resolver.request(1, "pair", 2);
    assert_eq!(rig.answer().result, Ok(vec![v4(1, 2), v4(2, 2)]));
    rig.gate.send(()).unwrap();
    rig.woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(rig.resolver.poll(), None, "it is no longer requested");
    // The same name with another port.
    rig.resolver.request(1, "pair", 3);
    rig.resolver.request(1, "pair", 4);
    assert_eq!(rig.answer().result, Ok(vec![v4(1, 4), v4(2, 4)]));
}

#[test]
fn names_beyond_the_limit_of_concurrent_look_ups_are_queued() {
    let mut rig = rig();
    let count = 2 * MAX_CONCURRENT_LOOKUPS as NodeId;
    for node in 0..count {
        rig.resolver.request(node, &format!("hangs-{node}"), 1);
    }
    for _ in 0..MAX_CONCURRENT_LOOKUPS {
        rig.asked.recv_timeout(PATIENCE).unwrap();
    }
    assert!(rig.asked.is_empty());
    let mut answered = Vec::new();
    for _ in 0..count {
        rig.gate.send(()).unwrap();
        answered.push(rig.answer().node);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..count).collect::<Vec<_>>());
}

#[test]
fn a_panicking_look_up_yields_an_error() {
    let mut rig = rig();
    rig.resolver.request(1, "panics", 1);
    let error = rig.answer().result.unwrap_err();
    assert!(error.contains("panics"), "{error}");
}

#[test]
fn canonical_names_are_resolved_without_blocking_and_wake_up_the_poller() {
    let mut rig = rig();
    rig.resolver.request_canonical(hosts(&["hangs", "pair"]));
    assert_eq!(rig.resolver.poll_canonical(), None, "does not wait");
    rig.gate.send(()).unwrap();
    rig.woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        rig.resolver.poll_canonical(),
        Some(hosts(&["one.name", "127.0.0.2"]))
    );
    rig.resolver.request_canonical(hosts(&["nowhere"]));
    rig.woken.recv_timeout(PATIENCE).unwrap();
    assert_eq!(rig.resolver.poll_canonical(), Some(Vec::new()));
}

#[test]
fn dropping_the_resolver_does_not_block_and_ends_the_threads() {
    let mut rig = rig();
    rig.resolver.request(1, "hangs", 1);
    assert_eq!(rig.asked.recv_timeout(PATIENCE).unwrap(), "hangs");
    let wake = Arc::downgrade(&rig.resolver.wake);
    drop(rig.resolver);
    assert!(
        wake.upgrade().is_none(),
        "the thread does not keep the poller"
    );
    drop(rig.gate);
    // The thread owns the name service, and with it the other end of this channel.
    let next = rig.asked.recv_timeout(PATIENCE);
    assert_eq!(next, Err(RecvTimeoutError::Disconnected));
}

#[test]
fn the_systems_name_service_resolves_localhost() {
    let (wake, woken) = unbounded();
    let mut resolver = Resolver::new(NameLookUps::of_system(), Arc::new(WakeChannel(wake)));
    resolver.request(5, "localhost", 9092);
    woken.recv_timeout(PATIENCE).unwrap();
    let answer = resolver.poll().unwrap();
    let addresses = answer.result.unwrap();
    assert!(
        addresses
            .iter()
            .all(|address| address.ip().is_loopback() && address.port() == 9092)
    );
}

fn hosts(names: &[&str]) -> Vec<(String, u16)> {
    names
        .iter()
        .map(|name| ((*name).to_owned(), 9092))
        .collect()
}

fn bootstrap(names: &[&str], lookup: DnsLookup, timeout: Duration) -> BootstrapHosts {
    let (service, _asked, _gate) = scripted();
    let look_ups = NameLookUps::on_threads(service);
    resolve_bootstrap(
        &hosts(names),
        lookup,
        timeout,
        &SystemClock::new(),
        &look_ups,
    )
}

/// Java: `ClientUtilsTest#testParseAndValidateAddresses`
#[test]
fn hosts_that_do_not_resolve_are_skipped_with_a_reason() {
    let found = bootstrap(
        &["pair", "nowhere", "10.1.2.3", "empty", "mixed4"],
        DnsLookup::UseAllDnsIps,
        PATIENCE,
    );
    assert_eq!(found.usable, hosts(&["pair", "10.1.2.3", "mixed4"]));
    let failed: Vec<_> = found.failed.iter().map(|(host, _)| host.clone()).collect();
    assert_eq!(failed, hosts(&["nowhere", "empty"]));
    assert!(
        found
            .failed
            .iter()
            .all(|((host, _), why)| why.contains(host.as_str()))
    );
}

/// NC-29; Java: `ClientUtilsTest#testParseAndValidateAddressesWithReverseLookup`
#[test]
fn a_canonical_look_up_replaces_each_address_by_its_name() {
    let canonical = DnsLookup::ResolveCanonicalBootstrapServersOnly;
    let found = bootstrap(&["pair", "twins", "nowhere"], canonical, PATIENCE);
    // 127.0.0.1 and .3 share a name, which is used once; .2 has no name and stays an address.
    assert_eq!(found.usable, hosts(&["one.name", "127.0.0.2"]));
    assert_eq!(found.failed.len(), 1);
    assert_eq!(found.failed[0].0.0, "nowhere");
}

#[test]
fn a_look_up_that_hangs_fails_only_its_own_host_after_the_timeout() {
    let found = bootstrap(
        &["hangs", "pair", "hangs", "mixed6"],
        DnsLookup::UseAllDnsIps,
        Duration::from_millis(300),
    );
    assert_eq!(found.usable, hosts(&["pair", "mixed6"]));
    assert_eq!(found.failed.len(), 2);
    assert!(found.failed[0].1.contains("300 ms"), "{:?}", found.failed);
}

#[test]
fn more_hosts_than_threads_are_all_looked_up_and_keep_their_order() {
    let (service, asked, _gate) = scripted();
    let list: Vec<(String, u16)> = (0..50).map(|port| ("pair".to_owned(), port)).collect();
    let clock = SystemClock::new();
    let look_ups = NameLookUps::on_threads(service);
    let found = resolve_bootstrap(&list, DnsLookup::UseAllDnsIps, PATIENCE, &clock, &look_ups);
    assert_eq!(
        found,
        BootstrapHosts {
            usable: list,
            failed: vec![]
        }
    );
    assert_eq!(asked.len(), 50);
}

#[test]
fn the_systems_name_service_has_a_name_for_the_loopback_address() {
    let name = SystemNames.name(IpAddr::from([127, 0, 0, 1])).unwrap();
    let lookup = DnsLookup::UseAllDnsIps;
    let list = hosts(&[&name, "127.0.0.1"]);
    let look_ups = NameLookUps::of_system();
    let found = resolve_bootstrap(&list, lookup, PATIENCE, &SystemClock::new(), &look_ups);
    assert_eq!(
        found,
        BootstrapHosts {
            usable: list,
            failed: vec![]
        }
    );
}

#[test]
fn an_empty_list_of_hosts_is_resolved_at_once() {
    let found = bootstrap(&[], DnsLookup::UseAllDnsIps, Duration::ZERO);
    assert_eq!(found, BootstrapHosts::default());
}

/// Look-ups as in a simulation: without threads or time.
#[test]
fn inline_look_ups_have_their_result_at_once() {
    let (names, _asked, _gate) = scripted();
    let look_ups = NameLookUps::at_once(names);
    let (wake, woken) = unbounded();
    let mut resolver = Resolver::new(look_ups.clone(), Arc::new(WakeChannel(wake)));
    resolver.request(1, "pair", 9092);
    assert_eq!(woken.len(), 1);
    let answer = resolver.poll().unwrap();
    assert_eq!(answer.result, Ok(vec![v4(1, 9092), v4(2, 9092)]));
    resolver.request_canonical(hosts(&["twins"]));
    assert_eq!(resolver.poll_canonical(), Some(hosts(&["one.name"])));

    // The clock stands still, so that the timeout would never be over.
    let clock = crate::clock::mock::MockClock::new();
    let list = hosts(&["pair", "empty", "127.0.0.7"]);
    let lookup = DnsLookup::UseAllDnsIps;
    let found = resolve_bootstrap(&list, lookup, PATIENCE, &clock, &look_ups);
    assert_eq!(found.usable, hosts(&["pair", "127.0.0.7"]));
    assert_eq!(found.failed.len(), 1);
}
