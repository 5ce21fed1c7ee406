//! Generator of the network and of the brokers.

use super::dice::Dice;
use crate::scenario::{Brokers, Network, Sasl, Tls};

/// Releases, oldest first, as named in `KafkaRelease`.
pub(crate) const RELEASES: [&str; 8] = [
    "V0_10_0", "V0_10_2", "V0_11", "V1_1", "V2_0", "V2_1", "V2_4", "V3_0",
];

pub(super) fn network(dice: &mut Dice) -> Network {
    let latency_us = match dice.within(0..=9) {
        0 => dice.spread(20_000..=200_000),
        1..=3 => dice.spread(10..=100),
        _ => dice.spread(100..=20_000),
    };
    let splits = dice.percent(30);
    // Small buffers with a high latency limit the throughput so much that little else happens in a run.
    let far = latency_us as usize / 4;
    let capacity = match dice.within(0..=19) {
        0 => dice.within(64..=1023) as usize,
        1..=4 => (dice.spread(1 << 10..=16 << 10) as usize).max(far),
        _ => (dice.spread(16 << 10..=1 << 20) as usize).max(far),
    };
    Network {
        connect_us: dice.spread(10..=50_000),
        latency_us,
        capacity,
        splits,
        short_read_drains: dice.percent(50),
        spurious_percent: if dice.percent(30) {
            dice.within(1..=30) as u8
        } else {
            0
        },
        at_once_percent: match dice.within(0..=3) {
            0 => 0,
            1 => 100,
            _ => dice.within(0..=100) as u8,
        },
    }
}

pub(super) fn brokers(dice: &mut Dice) -> Brokers {
    let nodes = dice.weighted(&[(15, 1), (15, 2), (50, 3), (10, 4), (6, 5), (4, 6)]);
    let release = if dice.percent(60) {
        "V3_0"
    } else {
        dice.pick(&RELEASES)
    };
    Brokers {
        nodes,
        release: release.to_owned(),
        replication: if dice.percent(70) {
            nodes.min(3)
        } else {
            dice.within(1..=u64::from(nodes)) as u8
        },
        auto_create_topics: dice.percent(40),
        by_name: dice.percent(50),
        // Real brokers start with epoch 0. With a first epoch near the maximum the epochs of a producer id are soon
        // used up.
        first_epoch: if dice.percent(85) {
            0
        } else {
            i16::MAX - dice.within(0..=3) as i16
        },
        verify_transactions: false,
        sasl: None,
        tls: None,
    }
}

/// The SASL setup of the brokers; `None` if they do not require SASL. It has random numbers of its own, so that all
/// other parts of the scenario do not depend on it.
pub(super) fn sasl(dice: &mut Dice, release: &str) -> Option<Sasl> {
    if !dice.percent(20) {
        return None;
    }
    let mechanisms: &[&str] = if cfg!(feature = "sasl-scram") {
        &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    } else {
        &["PLAIN", "OAUTHBEARER"]
    };
    Some(Sasl {
        mechanism: (*dice.pick(mechanisms)).to_owned(),
        // Older releases have no session lifetime (KIP-368).
        session_ms: (dice.percent(50) && matches!(release, "V2_4" | "V3_0"))
            .then(|| dice.within(50..=5_000)),
    })
}

/// The TLS setup of the brokers; `None` if they do not require TLS. With `always` they require it whenever the build
/// has TLS.
pub(super) fn tls(dice: &mut Dice, always: bool) -> Option<Tls> {
    let takes_it = dice.percent(15) || always;
    if !takes_it || !cfg!(feature = "tls") {
        return None;
    }
    Some(Tls {
        protocols: (*dice.pick(&["TLSv1.2", "TLSv1.3", "TLSv1.2,TLSv1.3"])).to_owned(),
        client_certificates: dice.percent(30),
    })
}
