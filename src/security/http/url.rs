//! The parser of `http` and `https` URLs.

use std::fmt;
use std::net::IpAddr;

/// Longest URL, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// A URL, divided as a request needs it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// True for `https`, false for `http`.
    pub(crate) is_https: bool,
    /// A host name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as the URL has them: the header `Host`.
    pub(crate) authority: String,
    /// Path and query: the target of a request.
    pub(crate) target: String,
}

impl Url {
    /// Parses a URL.
    ///
    /// # Errors
    /// A description of the problem, which does not quote the URL: it may contain secrets.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the URL has more than {MAX_BYTES} bytes"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                "the URL contains spaces, control characters or characters beyond ASCII, which have to be percent-encoded"
                    .to_owned(),
            );
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("the URL does not begin with https:// or http://")?;
        let is_https = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err("the URL does not begin with https:// or http://".to_owned()),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.contains('@') {
            return Err("the URL contains a user or a password, which belong elsewhere".to_owned());
        }
        let (host, port) = divide(authority)?;
        let default_port: u16 = if is_https { 443 } else { 80 };
        let port = match port {
            None | Some("") => default_port,
            Some(digits) => digits
                .parse::<u16>()
                .ok()
                .filter(|port| *port > 0 && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or("the URL's port is not a number between 1 and 65535")?,
        };
        let target = match target {
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Ok(Self {
            is_https,
            host: host.to_owned(),
            port,
            authority: authority.to_owned(),
            target,
        })
    }
}

/// The parts of a URL that the caller shows or checks.
impl Url {
    /// Scheme, host and port, without the path, which may contain a secret.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }

    /// Whether the host is this machine, by its name or its address.
    pub(crate) fn is_local(&self) -> bool {
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(is_loopback)
    }
}

/// Divides `host:port` or `[address]:port`.
fn divide(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or("the URL's address has no closing bracket")?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("the URL has text between its address and its path"),
        }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err("the URL names no host");
    }
    Ok((host, port))
}

/// The URL without its query, which may contain secrets.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}{path}", self.origin())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_divided_into_host_port_and_target() {
        for (text, is_https, host, port, authority, target) in [
            ("https://a.b/c?d=e", true, "a.b", 443, "a.b", "/c?d=e"),
            ("HTTP://a.b", false, "a.b", 80, "a.b", "/"),
            ("http://a:8080?x#y", false, "a", 8080, "a:8080", "/?x"),
            ("https://[::1]:9/", true, "::1", 9, "[::1]:9", "/"),
            ("https://[::1]", true, "::1", 443, "[::1]", "/"),
            ("https://a:/b", true, "a", 443, "a:", "/b"),
        ] {
            let url = Url::parse(text).unwrap();
            let found = (url.is_https, url.host.as_str(), url.port);
            assert_eq!(found, (is_https, host, port), "{text}");
            assert_eq!(
                (url.authority.as_str(), url.target.as_str()),
                (authority, target)
            );
        }
    }

    #[test]
    fn an_invalid_url_is_refused_and_not_quoted() {
        let long = format!("https://hunter2/{}", "x".repeat(MAX_BYTES));
        for text in [
            "",
            "hunter2",
            "hunter2://a",
            "https:/hunter2",
            "https://",
            "https:///hunter2",
            "https://me:hunter2@host/",
            "https://hunter2:0/",
            "https://hunter2:65536/",
            "https://hunter2:+1/",
            "https://hunter2:x/",
            "https://[::1/hunter2",
            "https://[::1]hunter2",
            "https://a/hunter2 b",
            "https://a/hunter2\r\nX: y",
            "https://ä/hunter2",
            &long,
        ] {
            let why = Url::parse(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn a_displayed_url_has_no_query() {
        let url = Url::parse("https://a:1/b?code=hunter2").unwrap();
        assert_eq!(url.to_string(), "https://a:1/b");
        assert_eq!(url.origin(), "https://a:1");
        assert_eq!(format!("{url:?}"), "Url(https://a:1/b)");
    }
}
