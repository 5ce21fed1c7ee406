//! Parser of `bootstrap.servers`: each entry must be a host and a port.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::Password;
use crate::error::ConfigError;

const KEY: &str = "bootstrap.servers";

/// The most invalid entries that are problems of their own.
const MAX_NAMED: usize = 20;

/// A host name or IP address (IPv6 without brackets), and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Parses `[protocol://]host:port` entries; empty entries are skipped.
///
/// The protocol prefix is accepted because brokers' listeners are written that way; it has no effect.
///
/// # Kafka
/// `ClientUtils#parseAndValidateAddresses`, without the DNS lookup. Differs: port 0, an empty host and an IPv6 address
/// without brackets are rejected.
pub(crate) fn parse_bootstrap(servers: &[String]) -> Result<Vec<HostPort>, ConfigError> {
    const REMEDY: &str = "Write entries as host:port or [ipv6-address]:port, separated by commas";
    refuse_credentials(servers)?;
    let (mut parsed, mut problems, mut further) = (Vec::new(), Vec::new(), 0);
    for entry in servers.iter().filter(|entry| !entry.is_empty()) {
        match parse_entry(entry) {
            Ok(address) => parsed.push(address),
            Err(_) if problems.len() == MAX_NAMED => further += 1,
            Err(problem) => {
                problems.push(ConfigError::invalid(KEY, Some(entry), problem, REMEDY));
            }
        }
    }
    if further > 0 {
        let problem = format!("{further} further entries are invalid");
        problems.push(ConfigError::invalid(KEY, None, problem, REMEDY));
    }
    ConfigError::all(problems).map_or(Ok(parsed), Err)
}

/// The hosts and ports of the entries, in their order and without duplicates.
pub(crate) fn distinct_servers(servers: &[String]) -> Result<Vec<(String, u16)>, ConfigError> {
    let mut known = BTreeSet::new();
    let entries = parse_bootstrap(servers)?.into_iter();
    let servers = entries.map(|entry| (entry.host, entry.port));
    Ok(servers
        .filter(|server| known.insert(server.clone()))
        .collect())
}

/// As [`distinct_servers`], at least one.
pub(crate) fn listed_servers(servers: &[String]) -> Result<Vec<(String, u16)>, ConfigError> {
    let servers = distinct_servers(servers)?;
    if servers.is_empty() {
        return Err(ConfigError::invalid(
            KEY,
            None,
            "names no broker",
            "Name one broker or more as host:port, separated by commas",
        ));
    }
    Ok(servers)
}

/// Rejects entries that contain `@` before any other check, because the text before an `@` may be a password and error
/// messages quote the entry. A password may itself contain `@`, and commas, at which the list was split: only the text
/// after the last `@` is certainly not part of the password.
fn refuse_credentials(servers: &[String]) -> Result<(), ConfigError> {
    let mut from_the_last = servers.iter().rev();
    let Some((_, address)) = from_the_last.find_map(|entry| entry.rsplit_once('@')) else {
        return Ok(());
    };
    Err(ConfigError::invalid(
        KEY,
        Some(&format!("{}@{address}", Password::HIDDEN)),
        "an entry has no user or password in it, and a host name cannot contain '@'",
        "Write entries as host:port, and put user and password into sasl.jaas.config",
    ))
}

fn parse_entry(entry: &str) -> Result<HostPort, String> {
    check_separators(entry)?;
    let address = match entry.split_once("://") {
        None => entry,
        Some((protocol, rest)) if is_protocol_name(protocol) => rest,
        Some(_) => return Err("the text before :// is not the name of a protocol".to_owned()),
    };
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, rest) = bracketed
            .split_once(']')
            .ok_or("the bracket around the address is not closed")?;
        check_ipv6(host)?;
        let port = rest
            .strip_prefix(':')
            .ok_or("there is no port after the bracket")?;
        (host, port)
    } else {
        let (host, port) = address.rsplit_once(':').ok_or("there is no port")?;
        check_host(host)?;
        (host, port)
    };
    Ok(HostPort {
        host: host.to_owned(),
        port: parse_port(port)?,
    })
}

/// Detects a wrong separator between several entries. Without this check the message would describe them as one
/// malformed entry.
fn check_separators(entry: &str) -> Result<(), String> {
    let is_separator = |c: char| c.is_whitespace() || ";|".contains(c);
    let mut parts = entry.split(is_separator).filter(|part| !part.is_empty());
    let has_several = parts
        .by_ref()
        .filter(|part| part.contains(':'))
        .nth(1)
        .is_some();
    let Some(separator) = entry.chars().find(|c| is_separator(*c) && has_several) else {
        return Ok(());
    };
    let name = match separator {
        ';' => "a semicolon".to_owned(),
        c if c.is_whitespace() => "a blank".to_owned(),
        other => format!("{other:?}"),
    };
    Err(format!(
        "its entries are separated by {name} instead of a comma"
    ))
}

fn is_protocol_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn check_ipv6(host: &str) -> Result<(), String> {
    let (address, zone) = match host.split_once('%') {
        None => (host, None),
        Some((address, zone)) => (address, Some(zone)),
    };
    if zone == Some("") || address.parse::<Ipv6Addr>().is_err() {
        return Err(format!("{host:?} is not an IPv6 address"));
    }
    Ok(())
}

fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("there is no host before the port".to_owned());
    }
    if host.contains(':') {
        return Err(
            "an IPv6 address needs brackets around it, so that its end is clear".to_owned(),
        );
    }
    match host
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"-._%".contains(*c))
    {
        None => Ok(()),
        Some(wrong) => Err(format!("a host name cannot contain {wrong:?}")),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(format!("{text:?} is not a port from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(entry: &str) -> Result<(String, u16), ConfigError> {
        parse_bootstrap(&[entry.to_owned()])
            .map(|list| list.into_iter().next().map(|a| (a.host, a.port)).unwrap())
    }

    /// Java: UtilsTest#testGetHost, #testGetPort, ClientUtilsTest#testParseAndValidateAddresses
    #[test]
    fn host_and_port_are_found_with_and_without_protocol_and_brackets() {
        for (entry, host, port) in [
            ("127.0.0.1:8000", "127.0.0.1", 8000),
            ("localhost:8080", "localhost", 8080),
            ("PLAINTEXT://mydomain.com:8080", "mydomain.com", 8080),
            ("SASL_PLAINTEXT://MyDomain.com:8080", "MyDomain.com", 8080),
            ("PLAINTEXT://My_Domain.com:8080", "My_Domain.com", 8080),
            ("[::1]:1234", "::1", 1234),
            (
                "PLAINTEXT://[2001:db8:85a3:8d3:1319:8a2e:370:7348]:5678",
                "2001:db8:85a3:8d3:1319:8a2e:370:7348",
                5678,
            ),
            (
                "[fe80::b1da:69ca:57f7:63d8%3]:5678",
                "fe80::b1da:69ca:57f7:63d8%3",
                5678,
            ),
            ("kafka:1", "kafka", 1),
            ("kafka:65535", "kafka", 65535),
        ] {
            assert_eq!(parsed(entry).unwrap(), (host.to_owned(), port), "{entry}");
        }
    }

    /// Java: ClientUtilsTest#testNoPort, #testInvalidPort
    #[test]
    fn a_malformed_entry_is_refused_with_the_entry_and_the_reason() {
        for (entry, reason) in [
            ("127.0.0.1", "no port"),
            ("localhost:70000", "\"70000\" is not a port"),
            ("localhost:0", "\"0\" is not a port"),
            ("localhost:+80", "\"+80\" is not a port"),
            ("localhost:", "\"\" is not a port"),
            ("localhost:9092/", "\"9092/\" is not a port"),
            ("localhost:abc", "\"abc\" is not a port"),
            (":9092", "no host"),
            ("::1:9092", "needs brackets"),
            ("[::1:9092", "not closed"),
            ("[::1]", "no port after the bracket"),
            ("[::1%]:1", "not an IPv6 address"),
            ("[localhost]:1", "not an IPv6 address"),
            ("ho(st:8080", "cannot contain '('"),
            ("my host:9092", "cannot contain ' '"),
            ("://host:9092", "not the name of a protocol"),
            ("a b://host:9092", "not the name of a protocol"),
            ("a:1 b:2", "separated by a blank instead"),
            ("a:1;b:2", "separated by a semicolon instead"),
            ("a:1; b:2", "separated by a semicolon instead"),
            ("a:1\tb:2 c:3", "separated by a blank instead"),
            (
                "PLAINTEXT://a:1 PLAINTEXT://b:2",
                "separated by a blank instead",
            ),
            ("a:1|[::1]:2", "separated by '|' instead"),
        ] {
            let error = parsed(entry).expect_err(entry);
            assert_eq!(error.key(), Some("bootstrap.servers"));
            assert_eq!(error.value(), Some(entry));
            assert!(error.problem().contains(reason), "{entry}: {error}");
        }
    }

    #[test]
    fn a_user_and_a_password_in_an_entry_are_refused_and_not_shown() {
        for servers in [
            "user:hunter2@host:9093",
            "hunter2@host:9093",
            "SASL_SSL://user:hunter2@host:9093",
            "user:hunter2@[::1]:9093",
            "user:hunter2@host",
            // Passwords with characters that separate entries, or that are invalid in an entry.
            "a:1,user:hun,ter2@host:9093",
            "user:hun@ter2@host:9093",
            "user:hun@t,hunter2@host:9093",
            "user:hunter2 x:y@host:9093",
            "user:hunter2;x:y@host:9093",
        ] {
            let entries: Vec<_> = servers.split(',').map(str::to_owned).collect();
            let error = parse_bootstrap(&entries).expect_err(servers);
            let text = format!("{error} {error:?} {:?}", error.value());
            assert!(
                !text.contains("hun") && !text.contains("ter2") && !text.contains("user:"),
                "{text}"
            );
            let shown = format!("[hidden]@{}", servers.rsplit_once('@').unwrap().1);
            assert_eq!(error.value(), Some(&shown[..]));
            assert!(error.remedy().contains("sasl.jaas.config"), "{error}");
        }
    }

    #[test]
    fn of_many_invalid_entries_the_first_are_named_and_the_others_counted() {
        let servers: Vec<_> = (0..100_000)
            .map(|number| format!("host-{number}"))
            .collect();
        let error = parse_bootstrap(&servers).unwrap_err();
        let [.., named, counted] = error.problems() else {
            panic!("{error}");
        };
        assert_eq!(error.problems().len(), MAX_NAMED + 1);
        assert_eq!(named.value(), Some("host-19"));
        assert_eq!(counted.problem(), "99980 further entries are invalid");
    }

    #[test]
    fn servers_are_listed_once_in_their_order() {
        let servers = ["b:1", "a:1", "", "b:1"].map(str::to_owned);
        let expected = ["b", "a"].map(|host| (host.to_owned(), 1));
        assert_eq!(listed_servers(&servers).unwrap(), expected);
        assert_eq!(distinct_servers(&[]).unwrap(), []);
        let error = listed_servers(&[]).unwrap_err();
        assert_eq!(error.problem(), "names no broker");
    }

    #[test]
    fn empty_entries_are_skipped() {
        let servers = ["", "a:1", ""].map(str::to_owned);
        assert_eq!(
            parse_bootstrap(&servers).unwrap(),
            [HostPort {
                host: "a".to_owned(),
                port: 1
            }]
        );
        assert_eq!(parse_bootstrap(&[]).unwrap(), []);
    }
}
