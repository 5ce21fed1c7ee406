//! Texts of the trace for faults, acts and calls, and for numbers and times.

use std::time::Duration;

use crate::events::{Call, RecordId, Who};
use crate::scenario::{
    Act, Api, Behaviour, Fault, InsteadOfTls, Moment, TimedFault, WrongCertificate,
};

/// Milliseconds with three decimals.
pub(super) fn ms(time: Duration) -> String {
    format!("{}.{:03}", time.as_millis(), time.as_micros() % 1000)
}

/// A duration in the unit that reads best.
pub(crate) fn span_of_ms(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        172_800_000..31_536_000_000 => format!("{} days", ms / 86_400_000),
        _ => "for ever".to_owned(),
    }
}

/// A number with commas between groups of three digits.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{} {many}", number(n)),
    }
}

pub(super) fn who(who: Who) -> String {
    match who {
        Who::Thread {
            producer,
            thread: usize::MAX,
        } => format!("app {producer}.end"),
        Who::Thread { producer, thread } => format!("app {producer}.{thread}"),
        Who::Sender(producer) => format!("sender {producer}"),
        Who::Broker(node) => format!("broker {node}"),
        Who::World => "world".to_owned(),
    }
}

/// A topic's name, shortened or escaped if it does not fit on one line.
pub(super) fn topic(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic());
    match (is_plain, name.len()) {
        (true, ..=40) => name.to_owned(),
        (_, ..=40) => format!("{name:?}"),
        (_, bytes) => {
            let begin: String = name.chars().take(12).collect();
            format!("{begin:?}… ({bytes} bytes)")
        }
    }
}

/// Ranges of record numbers, such as `#3, #7..#12`, with the total if not all are listed.
pub(super) fn records(ids: &[RecordId]) -> String {
    const SHOWN: usize = 5;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for RecordId(id) in ids {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *id => *last = *id,
            _ => runs.push((*id, *id)),
        }
    }
    let mut text = runs
        .iter()
        .take(SHOWN)
        .map(|(first, last)| match last - first {
            0 => format!("#{first}"),
            1 => format!("#{first}, #{last}"),
            _ => format!("#{first}..#{last}"),
        })
        .collect::<Vec<_>>()
        .join(", ");
    if runs.len() > SHOWN {
        text += &format!(", … ({} records)", ids.len());
    }
    text
}

pub(super) fn call(call: &Call) -> String {
    let bounded = |what: String, timeout: Option<Duration>| match timeout {
        None => what,
        Some(most) => format!("{what} within {}", span_of_ms(most.as_millis() as u64)),
    };
    match call {
        Call::Build => "build".to_owned(),
        Call::Send(record) => format!("send {record}"),
        Call::TrySend(record) => format!("try_send {record}"),
        Call::Flush { timeout } => bounded("flush".to_owned(), *timeout),
        Call::Close { timeout } => bounded("close".to_owned(), *timeout),
        Call::PartitionsFor { topic: name } => format!("partitions_for {}", topic(name)),
        Call::Get { record, timeout } => bounded(format!("get {record}"), *timeout),
        Call::Await { record } => format!("await {record}"),
        Call::DropFuture { record } => format!("drop the future of {record}"),
        Call::DropProducer => "drop the producer".to_owned(),
        Call::InitTransactions { timeout } => bounded("init_transactions".to_owned(), *timeout),
        Call::BeginTransaction => "begin_transaction".to_owned(),
        Call::SendOffsets {
            group,
            offset,
            partitions,
            timeout,
        } => {
            let what = format!(
                "send_offsets_to_transaction (offset {offset} of {} for {group})",
                count(partitions.len() as u64, "partition", "partitions")
            );
            bounded(what, *timeout)
        }
        Call::Commit { timeout } => bounded("commit_transaction".to_owned(), *timeout),
        Call::Abort { timeout } => bounded("abort_transaction".to_owned(), *timeout),
    }
}

fn api(api: Option<Api>) -> String {
    api.map_or_else(|| "all requests".to_owned(), |api| format!("{api:?}"))
}

fn place(name: Option<&String>, partition: Option<i32>) -> String {
    match (name, partition) {
        (None, _) => String::new(),
        (Some(name), None) => format!(" for {}", topic(name)),
        (Some(name), Some(partition)) => format!(" for {}-{partition}", topic(name)),
    }
}

fn how_often(times: Option<u64>) -> String {
    times.map_or_else(|| "every time".to_owned(), |times| format!("{times}×"))
}

/// A fault as a clause, without its duration.
pub(super) fn fault(fault: &Fault) -> String {
    match fault {
        Fault::Slow { node, ms } => format!("node {node} has {ms} ms more latency"),
        Fault::Cut { node } => format!("connections to node {node} are reset"),
        Fault::Silence { node, up, down } => {
            let way = match (up, down) {
                (true, true) => "to and from",
                (true, false) => "to",
                (false, true) => "from",
                (false, false) => "(no way)",
            };
            format!("nothing arrives {way} node {node} on present connections")
        }
        Fault::Refuse { node } => format!("node {node} refuses connections"),
        Fault::BlackHole { node } => format!("node {node} is a black hole"),
        Fault::WrongCertificate { node, wrong } => {
            let how = match wrong {
                WrongCertificate::Expired => "has expired",
                WrongCertificate::OtherName => "is for other names",
                WrongCertificate::OtherAuthority => "is of an unknown authority",
            };
            format!("the certificate of node {node} {how}")
        }
        Fault::NoTls { node, instead } => {
            let what = match instead {
                InsteadOfTls::Plain => "expects plaintext connections",
                InsteadOfTls::Web => "is a web server",
                InsteadOfTls::Noise => "sends bytes that are not TLS",
            };
            format!("node {node} {what}")
        }
        Fault::CutHandshake {
            node,
            turn,
            permille,
            resets,
        } => format!(
            "node {node} {} connections after {permille} ‰ of flight {turn} of the handshake",
            if *resets { "resets" } else { "closes" }
        ),
        Fault::Down { node } => format!("node {node} is down"),
        Fault::Hang { node } => format!("node {node} hangs"),
        Fault::MoveLeader {
            topic: name,
            partition,
            to,
        } => format!("{}-{partition} is led by node {to}", topic(name)),
        Fault::StaleMetadata { node } => format!("node {node} reports stale metadata"),
        Fault::EpochsGoBack => "metadata reports lower leader epochs".to_owned(),
        Fault::Rebuild => "another cluster is at the same addresses".to_owned(),
        Fault::MoveBrokers => "all brokers move to other addresses".to_owned(),
        Fault::DeleteTopic { topic: name } => format!("{} is deleted", topic(name)),
        Fault::RecreateTopic {
            topic: name,
            partitions,
        } => format!("{} is recreated with {partitions} partitions", topic(name)),
        Fault::GrowTopic { topic: name, to } => format!("{} grows to {to} partitions", topic(name)),
        Fault::Truncate {
            topic: name,
            partition,
            records,
        } => format!(
            "{}-{partition} loses its last {records} records",
            topic(name)
        ),
        Fault::ForgetProducers {
            topic: name,
            partition,
        } => format!("{}-{partition} loses its producer state", topic(name)),
        Fault::LowerLimit { topic: name, bytes } => {
            format!("{} accepts batches of at most {bytes} bytes", topic(name))
        }
        Fault::MoveCoordinator { of_group, key, to } => {
            let what = if *of_group {
                "group"
            } else {
                "transactions of"
            };
            format!("{what} {key}: node {to} is the coordinator")
        }
        Fault::LoadCoordinators { ms } => {
            format!("new coordinators load for {ms} ms")
        }
        Fault::DelayMarkers { ms } => format!("markers are delayed by {ms} ms"),
        Fault::Error {
            request,
            topic: name,
            partition,
            code,
            times,
            after_applying,
        } => format!(
            "{request:?}{} is answered with {}{}, {}",
            place(name.as_ref(), *partition),
            error_code(*code),
            if *after_applying {
                " after it is applied"
            } else {
                ""
            },
            how_often(*times)
        ),
        Fault::Lose {
            request,
            moment,
            times,
            closes,
        } => {
            let moment = match moment {
                Moment::BeforeRequest => "before it is applied".to_owned(),
                Moment::AfterApplied => "after it is applied".to_owned(),
                Moment::WithinAnswer { bytes } => format!("after {bytes} bytes of its response"),
            };
            let how = if *closes {
                "the connection ends"
            } else {
                "the connection stalls"
            };
            format!("{request:?}: {how} {moment}, {}", how_often(*times))
        }
        Fault::Late { request, ms } => {
            format!("responses to {} are delayed by {ms} ms", api(*request))
        }
        Fault::Throttle { request, ms } => {
            format!(
                "responses to {} have a throttle time of {ms} ms",
                api(*request)
            )
        }
        Fault::Versions {
            node,
            request,
            up_to,
        } => match up_to {
            Some(version) => format!("node {node} supports {request:?} up to v{version}"),
            None => format!("node {node} does not support {request:?}"),
        },
        Fault::NamesFail => "name look-ups fail".to_owned(),
        Fault::WrongAddresses { instead } => {
            let how = if *instead { "only" } else { "also" };
            format!("names {how} resolve to unreachable addresses")
        }
        Fault::WallClock { by_ms } => {
            let way = if *by_ms < 0 { "back" } else { "forward" };
            format!(
                "the wall clock jumps {way} by {}",
                span_of_ms(by_ms.unsigned_abs())
            )
        }
    }
}

/// Whether a fault is instantaneous, so that its line names no duration.
pub(super) fn is_moment(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Cut { .. }
            | Fault::MoveLeader { .. }
            | Fault::MoveCoordinator { .. }
            | Fault::Rebuild
            | Fault::MoveBrokers
            | Fault::DeleteTopic { .. }
            | Fault::RecreateTopic { .. }
            | Fault::GrowTopic { .. }
            | Fault::Truncate { .. }
            | Fault::ForgetProducers { .. }
            | Fault::WallClock { .. }
    )
}

pub(super) fn for_how_long(timed: &TimedFault) -> String {
    match timed.for_ms {
        _ if is_moment(&timed.fault) => String::new(),
        Some(ms) => format!(", for {}", span_of_ms(ms)),
        None => ", until the healing".to_owned(),
    }
}

fn error_code(code: i16) -> String {
    match kafka_producer::ErrorCode::from_code(code) {
        known if known.code() == code => known.name().to_owned(),
        _ => format!("code {code}"),
    }
}

fn act(act: &Act) -> String {
    match act {
        Act::Fails => "fails".to_owned(),
        Act::Panics => "panics".to_owned(),
        Act::TakesMs(ms) => format!("takes {}", span_of_ms(*ms)),
        Act::Sends(name) => format!("sends to {}", topic(name)),
        Act::TrySends(name) => format!("tries to send to {}", topic(name)),
        Act::Flushes => "flushes".to_owned(),
        Act::Closes => "closes".to_owned(),
        Act::AsksForPartitions(name) => format!("asks for the partitions of {}", topic(name)),
        Act::DropsFutures => "drops futures".to_owned(),
        Act::Gets => "reads a future".to_owned(),
        Act::ReadsMetrics => "reads metrics".to_owned(),
    }
}

pub(super) fn behaviour(behaviour: &Behaviour) -> String {
    if behaviour.acts.is_empty() {
        return "no acts beyond its purpose".to_owned();
    }
    behaviour
        .acts
        .iter()
        .map(|every| match every.every {
            1 => format!("{} each time", act(&every.act)),
            n => format!("{} every {n} times", act(&every.act)),
        })
        .collect::<Vec<_>>()
        .join(", ")
}
