//! Simulated name service, with faults.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::network::resolver::NameService;
use crate::sync::{Mutex, Rank};

/// Wrong addresses that names resolve to, in addition to the right ones or instead of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongAddresses {
    pub(crate) addresses: Vec<IpAddr>,
    /// Whether names resolve to these addresses only.
    pub(crate) instead: bool,
}

/// A name service in memory. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub(crate) struct SimNames {
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    fail: bool,
    wrong: Option<WrongAddresses>,
}

impl SimNames {
    pub(crate) fn new() -> Self {
        Self {
            names: Arc::new(Mutex::new(Rank::LEAF, Names::default())),
        }
    }

    /// Sets the addresses of a name.
    pub(crate) fn set(&self, name: &str, addresses: Vec<IpAddr>) {
        let mut names = self.names.lock();
        names.addresses.insert(name.to_owned(), addresses);
    }

    /// Sets whether look-ups of names fail from now on.
    pub(crate) fn fail(&self, yes: bool) {
        self.names.lock().fail = yes;
    }

    /// Makes all names resolve to wrong addresses; `None` ends that.
    pub(crate) fn set_wrong_addresses(&self, wrong: Option<WrongAddresses>) {
        self.names.lock().wrong = wrong;
    }
}

impl NameService for SimNames {
    fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let names = self.names.lock();
        if names.fail {
            return Err(io::Error::other("the name service fails"));
        }
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "no such name");
        let right = names.addresses.get(host).ok_or_else(unknown)?;
        let wrong = names.wrong.as_ref();
        let right = right
            .iter()
            .filter(|_| wrong.is_none_or(|wrong| !wrong.instead));
        let wrong = wrong.into_iter().flat_map(|wrong| &wrong.addresses);
        let all = wrong.chain(right);
        Ok(all.map(|address| SocketAddr::new(*address, port)).collect())
    }

    fn name(&self, address: IpAddr) -> io::Result<String> {
        let names = self.names.lock();
        if names.fail {
            return Err(io::Error::other("the name service fails"));
        }
        let leads_there = |(_, addresses): &(&String, &Vec<IpAddr>)| addresses.contains(&address);
        let name = names.addresses.iter().find(leads_there);
        Ok(name.map_or_else(|| address.to_string(), |(name, _)| name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn wrong() -> IpAddr {
        "10.9.0.1".parse().unwrap()
    }

    fn addresses(names: &SimNames, host: &str) -> Option<Vec<IpAddr>> {
        let found = names.addresses(host, 9092).ok()?;
        assert!(found.iter().all(|address| address.port() == 9092));
        Some(found.iter().map(SocketAddr::ip).collect())
    }

    #[test]
    fn a_name_resolves_to_its_addresses_and_an_address_to_itself() {
        let names = SimNames::new();
        assert_eq!(addresses(&names, "broker"), None);
        names.set("broker", vec![right()]);
        assert_eq!(addresses(&names, "broker"), Some(vec![right()]));
        assert_eq!(addresses(&names, "10.9.0.1"), Some(vec![wrong()]));
        assert_eq!(names.name(right()).unwrap(), "broker");
        assert_eq!(names.name(wrong()).unwrap(), "10.9.0.1");
    }

    #[test]
    fn wrong_addresses_come_in_addition_to_the_right_ones_or_instead() {
        let names = SimNames::new();
        names.set("broker", vec![right()]);
        for (instead, expected) in [(false, vec![wrong(), right()]), (true, vec![wrong()])] {
            names.set_wrong_addresses(Some(WrongAddresses {
                addresses: vec![wrong()],
                instead,
            }));
            assert_eq!(addresses(&names, "broker"), Some(expected));
        }
        names.set_wrong_addresses(None);
        assert_eq!(addresses(&names, "broker"), Some(vec![right()]));
    }

    #[test]
    fn a_failing_name_service_still_resolves_numeric_addresses() {
        let names = SimNames::new();
        names.set("broker", vec![right()]);
        names.fail(true);
        assert_eq!(addresses(&names, "broker"), None);
        assert_eq!(addresses(&names, "10.0.0.1"), Some(vec![right()]));
        assert!(names.name(right()).is_err());
        names.fail(false);
        assert_eq!(addresses(&names, "broker"), Some(vec![right()]));
    }
}
