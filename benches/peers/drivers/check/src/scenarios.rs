//! The scenarios for each driver.

use serde_json::{Value, json};

/// A setup, its rounds, and the expected result.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: &'static str,
    /// The differences from [`base`].
    pub changes: Value,
    pub rounds: Vec<Value>,
    /// Whether all brokers hang. The round must then take between one and two times [`GIVE_UP_MS`].
    pub hangs: bool,
}

pub const PARTITIONS: usize = 12;
pub const PAYLOAD_BYTES: usize = 100;
pub const KEY_BYTES: usize = 16;
pub const ONE_PARTITION: i32 = 3;
pub const GIVE_UP_MS: u64 = 1500;

/// The settings of the benchmark's base scenario.
pub fn base() -> Value {
    json!({
        "cmd": "setup", "topic": "bench", "partitions": PARTITIONS, "partition": null,
        "acks": "all", "idempotent": false, "linger_ms": 5, "batch_bytes": 16384,
        "buffer_bytes": 33_554_432, "max_in_flight": 5, "request_timeout_ms": 30000,
        "delivery_timeout_ms": 120_000, "compression": "none", "defaults": false,
        "payload_bytes": PAYLOAD_BYTES, "keys": null, "key_bytes": KEY_BYTES, "authority": null,
        "threads": 1, "callback": true,
    })
}

/// All scenarios. They are small, because they test correctness and not speed.
pub fn all(records: u64) -> Vec<Scenario> {
    let blast = || round("blast", records);
    let twice = || vec![blast(), blast()];
    let few = || vec![round("one_by_one", 200)];
    let mut paced = round("rate", 5000);
    paced["per_second"] = json!(10_000);
    let mut groups = round("groups", 2_050);
    groups["group"] = json!(1_000);
    let mut given_up = blast();
    given_up["give_up_ms"] = json!(GIVE_UP_MS);
    vec![
        scenario("callback", json!({}), twice()),
        scenario("no callback", json!({"callback": false}), twice()),
        scenario(
            "groups",
            json!({"callback": false}),
            vec![groups.clone(), groups],
        ),
        scenario("four threads", json!({"threads": 4}), twice()),
        scenario(
            "four, no callback",
            json!({"threads": 4, "callback": false}),
            twice(),
        ),
        scenario("keyed", json!({"keys": true}), twice()),
        scenario(
            "one partition",
            json!({"partition": ONE_PARTITION}),
            twice(),
        ),
        scenario("idempotent", json!({"idempotent": true}), twice()),
        scenario("acks=1", json!({"acks": "1"}), twice()),
        scenario("acks=0", json!({"acks": "0"}), twice()),
        scenario(
            "acks=0, no callback",
            json!({"acks": "0", "callback": false}),
            twice(),
        ),
        scenario(
            "large batches",
            json!({"batch_bytes": 262_144, "linger_ms": 20}),
            twice(),
        ),
        scenario("tls", json!({"authority": true}), twice()),
        scenario(
            "tls, large batches",
            json!({"authority": true, "batch_bytes": 262_144, "linger_ms": 20}),
            twice(),
        ),
        compressed("gzip", twice()),
        compressed("snappy", twice()),
        compressed("lz4", twice()),
        compressed("zstd", twice()),
        scenario("defaults", json!({"defaults": true}), twice()),
        scenario("one by one", json!({"linger_ms": 0}), few()),
        scenario(
            "one by one, four",
            json!({"linger_ms": 0, "threads": 4, "idempotent": true}),
            few(),
        ),
        scenario("rate", json!({"linger_ms": 0}), vec![paced.clone()]),
        scenario("rate, four", json!({"threads": 4}), vec![paced]),
        Scenario {
            hangs: true,
            ..scenario("given up", json!({}), vec![given_up])
        },
    ]
}

fn scenario(name: &'static str, changes: Value, rounds: Vec<Value>) -> Scenario {
    Scenario {
        name,
        changes,
        rounds,
        hangs: false,
    }
}

fn compressed(codec: &'static str, rounds: Vec<Value>) -> Scenario {
    scenario(codec, json!({"compression": codec}), rounds)
}

pub fn round(mode: &str, records: u64) -> Value {
    json!({"cmd": "produce", "mode": mode, "records": records, "per_second": null, "give_up_ms": null})
}
