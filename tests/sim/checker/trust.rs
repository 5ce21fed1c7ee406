//! Rule: a TLS handshake completes only with a trusted broker.

use super::facts::Facts;
use super::{Found, Rule};
use crate::events::{Event, EventKind, Who};

/// The broker's certificate has to be valid now, for its host name, and issued by the trusted authority.
pub(super) struct Trust;

impl Rule for Trust {
    fn see(&mut self, _: &Facts, event: &Event, found: &mut Found) {
        if let EventKind::Handshake {
            is_trusted: false, ..
        } = &event.kind
        {
            let node = match event.who {
                Who::Broker(node) => node,
                _ => -1,
            };
            let text = format!("broker {node} was trusted with an invalid certificate");
            found.add("trust", event.at, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::story::Story;

    #[test]
    fn a_handshake_with_an_untrusted_broker_is_caught() {
        let mut story = Story::new(Trust);
        let handshake = |is_trusted| EventKind::Handshake {
            is_newest: true,
            is_resumed: false,
            has_certificate: false,
            is_trusted,
        };
        story.broker(handshake(true));
        assert_eq!(story.found(), [""; 0]);
        story.broker(handshake(false));
        assert_eq!(story.found().len(), 1);
    }
}
