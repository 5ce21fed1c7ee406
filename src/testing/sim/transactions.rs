//! What the brokers of a cluster know of transactions, all together.

use std::time::Duration;

use super::coordinators::SimCoordinators;
use super::groups::SimGroups;
use super::producer_ids::ProducerIds;
use super::transactional_ids::TransactionalIds;
use crate::clock::Timestamp;

/// Settings of the brokers.
#[derive(Debug, Clone)]
pub(crate) struct SimTransactionOptions {
    /// The longest transaction that may be asked for (`transaction.max.timeout.ms`).
    pub(crate) max_timeout: Duration,
    /// How long after the end of a transaction its markers are written.
    pub(crate) marker_delay: Duration,
    /// Whether a batch is refused whose partition was not added to the transaction (KIP-890).
    pub(crate) verify: bool,
}

impl Default for SimTransactionOptions {
    fn default() -> Self {
        Self {
            max_timeout: Duration::from_secs(15 * 60),
            marker_delay: Duration::ZERO,
            verify: false,
        }
    }
}

/// Time that has passed since the first request, in steps of a millisecond. It does not go back where the clock does.
#[derive(Debug, Default)]
pub(crate) struct PassedTime {
    last: Option<Timestamp>,
    passed: Duration,
}

impl PassedTime {
    pub(crate) fn pass(&mut self, now: Timestamp) {
        if let Some(last) = self.last {
            let millis = now.as_millis().saturating_sub(last.as_millis());
            self.passed += Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        }
        self.last = Some(now);
    }

    pub(crate) fn get(&self) -> Duration {
        self.passed
    }
}

/// Ids, groups, and who looks after them.
#[derive(Debug, Default)]
pub(crate) struct SimTransactions {
    pub(crate) ids: TransactionalIds,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) groups: SimGroups,
    pub(crate) coordinators: SimCoordinators,
    pub(crate) time: PassedTime,
    pub(crate) options: SimTransactionOptions,
}

impl SimTransactions {
    /// No transactional id is known any more, and no group has committed anything.
    #[cfg(any(test, feature = "_internals"))]
    pub(crate) fn forget(&mut self) {
        self.ids = TransactionalIds::default();
        self.groups = SimGroups::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_with_the_clock_and_never_goes_back() {
        let mut time = PassedTime::default();
        let steps = [(5000, 0), (5007, 7), (4000, 7), (4001, 8)];
        for (clock, expected) in steps {
            time.pass(Timestamp::from_millis(clock));
            assert_eq!(time.get(), Duration::from_millis(expected));
        }
    }
}
