//! Brokers that a metadata update waits for, and their display in a timeout error.

use std::fmt;
use std::sync::Arc;

use crate::clock::Instant;
use crate::types::NodeId;

/// A broker that is being connected to for a metadata request, or that has one in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwaitedBroker {
    pub(crate) node: NodeId,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// State of the connection or request, in words.
    pub(crate) stage: &'static str,
    /// The data that the broker has to send next, in words, if known.
    pub(crate) missing: Option<&'static str>,
    /// When the stage began.
    pub(crate) since: Instant,
}

impl AwaitedBroker {
    /// Maximum number of brokers named in an error. A list holds up to one broker more, which shows that there are
    /// others.
    pub(crate) const NAMED_AT_MOST: usize = 5;
}

/// Displays awaited brokers within an error text.
#[derive(Debug)]
pub(crate) struct Awaited<'a> {
    pub(crate) brokers: &'a [AwaitedBroker],
    pub(crate) now: Instant,
    /// The error text before the list: a broker whose address is in this text is displayed without its address.
    pub(crate) preceding: &'a str,
}

impl fmt::Display for Awaited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, broker) in self
            .brokers
            .iter()
            .take(AwaitedBroker::NAMED_AT_MOST)
            .enumerate()
        {
            let AwaitedBroker {
                node,
                host,
                port,
                stage,
                missing,
                since,
            } = broker;
            let separator = if at == 0 { "" } else { ", " };
            let named = format!("broker {node} ({host}:{port})");
            if self.preceding.contains(&named) {
                write!(f, "{separator}broker {node} again: {stage}")?;
            } else {
                write!(f, "{separator}{named}: {stage}")?;
            }
            if let Some(missing) = missing {
                write!(f, ", waiting for {missing}")?;
            }
            write!(f, " for {} ms", (self.now - *since).as_millis())?;
        }
        if self.brokers.len() > AwaitedBroker::NAMED_AT_MOST {
            write!(f, ", and others")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_brokers_address_is_displayed_once_and_only_the_first_brokers_are_listed() {
        let since = Instant::ORIGIN + Duration::from_millis(500);
        let broker = |node| AwaitedBroker {
            node,
            host: "h".into(),
            port: 9,
            stage: "connecting",
            missing: None,
            since,
        };
        let text = |count, preceding| {
            let brokers: Vec<_> = (1..=count).map(broker).collect();
            let now = since + Duration::from_millis(20);
            let brokers = &brokers;
            Awaited {
                brokers,
                now,
                preceding,
            }
            .to_string()
        };
        assert_eq!(text(0, ""), "");
        assert_eq!(
            text(2, "broker 2 (h:9): refused"),
            "broker 1 (h:9): connecting for 20 ms, broker 2 again: connecting for 20 ms"
        );
        assert!(text(5, "").ends_with("broker 5 (h:9): connecting for 20 ms"));
        assert!(text(6, "").ends_with("broker 5 (h:9): connecting for 20 ms, and others"));
    }
}
