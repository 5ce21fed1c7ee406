//! Records as services write them: events in JSON, with names, ids, times and some words.
//!
//! Random bytes do not compress, and a repeated record compresses too well. These records have the same field names and
//! different values, so that gzip compresses a batch to between a third and a fifth of its size; a test checks the
//! ratio.

use std::fmt::Write as _;

use fastrand::Rng;

/// `count` records of exactly `size` bytes each, without gaps.
///
/// # Panics
/// If an event does not fit into `size` bytes.
pub fn records(rng: &mut Rng, size: usize, count: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(size * count);
    for number in 0..count {
        let mut event = event(rng, number);
        assert!(
            event.len() + TAIL.len() <= size,
            "an event of {} bytes does not fit into {size}",
            event.len()
        );
        fill_with_words(rng, &mut event, size - TAIL.len());
        event.push_str(TAIL);
        all.extend_from_slice(event.as_bytes());
    }
    all
}

/// The end of an event, after its last text.
const TAIL: &str = "\"}";

/// 2026-01-01, in seconds since 1970.
const FIRST_SECOND: i64 = 1_767_225_600;

/// An event up to its last text, which is the padding.
fn event(rng: &mut Rng, number: usize) -> String {
    let time = jiff::Timestamp::from_second(FIRST_SECOND + number as i64)
        .expect("a time of this century")
        .strftime("%Y-%m-%dT%H:%M:%S");
    let mut out = String::new();
    let kind = pick(rng, &KINDS);
    let _ = write!(
        out,
        r#"{{"event_id":"{}","type":"{kind}","occurred_at":"{time}.{:03}Z","source":"{}","version":{},"#,
        uuid(rng),
        rng.u32(..1000),
        pick(rng, &SOURCES),
        rng.u32(1..5),
    );
    let (first, last) = (pick(rng, &FIRST_NAMES), pick(rng, &LAST_NAMES));
    let _ = write!(
        out,
        r#""customer":{{"id":"C-{:07}","name":"{first} {last}","email":"{}.{}@example.com","country":"{}","segment":"{}"}},"items":["#,
        rng.u32(..10_000_000),
        first.to_lowercase(),
        last.to_lowercase(),
        pick(rng, &COUNTRIES),
        pick(rng, &SEGMENTS),
    );
    let mut cents = 0;
    for item in 0..rng.usize(1..=2) {
        let (quantity, price) = (rng.u32(1..4), rng.u32(199..20_000));
        cents += quantity * price;
        let comma = if item > 0 { "," } else { "" };
        let _ = write!(
            out,
            r#"{comma}{{"sku":"SKU-{:06}","title":"{} {}","quantity":{quantity},"unit_price":{}}}"#,
            rng.u32(..1_000_000),
            pick(rng, &WORDS),
            pick(rng, &WORDS),
            money(price),
        );
    }
    let _ = write!(
        out,
        r#"],"total":{},"currency":"EUR","paid":{},"trace":{{"trace_id":"{:032x}","span_id":"{:016x}","sampled":{}}},"client":{{"ip":"10.{}.{}.{}","agent":"{}"}},"note":""#,
        money(cents),
        rng.bool(),
        rng.u128(..),
        rng.u64(..),
        rng.bool(),
        rng.u8(..),
        rng.u8(..),
        rng.u8(..),
        pick(rng, &AGENTS),
    );
    out
}

/// Appends words with spaces between them up to `len` bytes; the last word is truncated.
fn fill_with_words(rng: &mut Rng, out: &mut String, len: usize) {
    while out.len() < len {
        out.push_str(pick(rng, &WORDS));
        out.push(' ');
    }
    out.truncate(len);
}

fn uuid(rng: &mut Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        (a >> 16) as u16,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

fn money(cents: u32) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn pick(rng: &mut Rng, from: &[&'static str]) -> &'static str {
    from[rng.usize(..from.len())]
}

const KINDS: [&str; 8] = [
    "order.created",
    "order.paid",
    "order.packed",
    "order.shipped",
    "order.delivered",
    "order.cancelled",
    "refund.requested",
    "refund.paid",
];

const SOURCES: [&str; 6] = [
    "checkout-service",
    "payment-service",
    "warehouse-gateway",
    "mobile-backend",
    "web-frontend",
    "returns-worker",
];

const FIRST_NAMES: [&str; 16] = [
    "Anna", "Ben", "Clara", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaori",
    "Luca", "Maja", "Nils", "Olga", "Pavel",
];

const LAST_NAMES: [&str; 16] = [
    "Almeida", "Berger", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Hansen", "Ivanov",
    "Jansen", "Kowalski", "Larsen", "Moreau", "Novak", "Okafor", "Peeters",
];

const COUNTRIES: [&str; 8] = ["AT", "BE", "DE", "DK", "ES", "FR", "NL", "PL"];

const SEGMENTS: [&str; 4] = ["new", "returning", "business", "guest"];

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Safari/605.1.15",
    "ShopApp/8.2.1 (Android 15; Pixel 9)",
    "ShopApp/8.2.0 (iOS 18.1; iPhone16,1)",
];

const WORDS: [&str; 64] = [
    "about",
    "address",
    "after",
    "again",
    "amber",
    "before",
    "between",
    "black",
    "blue",
    "bottle",
    "bring",
    "careful",
    "carrier",
    "chair",
    "change",
    "colour",
    "customer",
    "deliver",
    "desk",
    "door",
    "evening",
    "exchange",
    "floor",
    "fragile",
    "garden",
    "gift",
    "glass",
    "green",
    "handle",
    "house",
    "invoice",
    "kitchen",
    "lamp",
    "large",
    "later",
    "leather",
    "letter",
    "message",
    "monday",
    "morning",
    "neighbour",
    "number",
    "office",
    "orange",
    "parcel",
    "please",
    "quick",
    "reception",
    "return",
    "ring",
    "second",
    "shelf",
    "small",
    "steel",
    "table",
    "thank",
    "twice",
    "under",
    "wait",
    "weekend",
    "white",
    "window",
    "wooden",
    "yellow",
];

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const SIZE: usize = 1_000;

    fn made(seed: u64, count: usize) -> Vec<u8> {
        records(&mut Rng::with_seed(seed), SIZE, count)
    }

    #[test]
    fn each_record_is_a_different_event() {
        let all = made(1, 200);
        let mut ids = std::collections::BTreeSet::new();
        for record in all.chunks(SIZE) {
            let event: serde_json::Value = serde_json::from_slice(record).unwrap();
            assert!(event["items"][0]["sku"].is_string(), "{event}");
            ids.insert(event["event_id"].as_str().unwrap().to_owned());
        }
        assert_eq!((all.len(), ids.len()), (200 * SIZE, 200));
    }

    #[test]
    fn records_are_the_same_for_the_same_seed_only() {
        assert_eq!(made(1, 3), made(1, 3));
        assert_ne!(made(1, 3), made(2, 3));
    }

    #[test]
    fn batches_of_every_size_compress_three_to_five_times() {
        for records in [16, 131, 500] {
            let plain = made(1, records);
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            gzip.write_all(&plain).unwrap();
            let ratio = plain.len() as f64 / gzip.finish().unwrap().len() as f64;
            assert!((3.0..5.0).contains(&ratio), "{records} records: {ratio}");
        }
    }
}
