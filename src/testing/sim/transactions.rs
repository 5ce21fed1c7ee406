//! Transaction state of all brokers together.

use std::time::Duration;

use super::coordinators::SimCoordinators;
use super::groups::SimGroups;
use super::producer_ids::ProducerIds;
use super::transactional_ids::TransactionalIds;
use crate::clock::Timestamp;

/// Broker settings for transactions.
#[derive(Debug, Clone)]
pub(crate) struct SimTransactionOptions {
    /// Maximum transaction time-out (`transaction.max.timeout.ms`).
    pub(crate) max_timeout: Duration,
    /// Delay of transaction markers after the end of a transaction.
    pub(crate) marker_delay: Duration,
    /// Whether batches are refused whose partition was not added to the transaction (KIP-890).
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

/// Time since the first request, in milliseconds. Monotonic even if the clock goes back.
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

/// Transactional ids, groups and coordinators.
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
    /// Forgets all transactional ids and committed offsets.
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
