//! Tests of the harness itself.

pub(crate) mod replicas;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{
    Cluster, ClusterOptions, Isolation, JavaRecord, Result, TimestampType, Transaction, is_running,
};
use crate::matrix::NEWEST;
use crate::runner::{TestResult, tests};
use crate::shared;

tests![
    records_of_javas_producer_are_read_back_unchanged,
    a_million_records_are_read_back_within_a_minute,
    only_committed_transactions_are_read_as_committed,
    partitions_are_added_and_topics_are_deleted,
    a_killed_broker_has_its_records_after_a_restart,
    a_stopped_broker_exits_and_can_be_started_again,
    a_paused_broker_responds_after_it_is_resumed,
    three_brokers_replicate_and_survive_the_loss_of_one,
    brokers_without_zookeeper_keep_their_records_after_a_kill_and_a_stop,
    no_process_outlives_an_owner_that_is_killed,
];

/// Environment variable of the process that [`no_process_outlives_an_owner_that_is_killed`] kills.
pub(crate) const OWNER_ROLE: &str = "KAFKA_HARNESS_OWNER";

/// Keys, values and headers are null, empty and non-empty, in four partitions.
fn records_of_javas_producer_are_read_back_unchanged() -> TestResult {
    const COUNT: usize = 1_000;
    let cluster = shared::cluster()?;
    cluster.create_topic("whole", 4, &[])?;
    let contents: Vec<Vec<u8>> = (0..COUNT).map(|n| vec![n as u8; n % 300]).collect();
    let records: Vec<JavaRecord<'_>> = (0..COUNT)
        .map(|n| JavaRecord {
            partition: Some((n % 4) as i32),
            timestamp: Some(1_600_000_000_000 + n as i64),
            key: (n % 3 != 0).then_some(contents[n].as_slice()),
            value: (n % 5 != 0).then_some(contents[COUNT - 1 - n].as_slice()),
            headers: match n % 4 {
                0 => vec![],
                1 => vec![("null", None)],
                2 => vec![("empty", Some(b"")), ("filled", Some(&contents[n]))],
                _ => vec![("zwei \u{e4}", Some(b"\0\xff")), ("zwei \u{e4}", None)],
            },
        })
        .collect();
    let written = cluster.produce_with_java(
        &[("compression.type", "lz4"), ("linger.ms", "5")],
        "whole",
        Transaction::None,
        &records,
    )?;

    let mut offsets = [0; 4];
    cluster.read_back("whole", |read| {
        let offset = &mut offsets[read.partition as usize];
        let n = *offset * 4 + read.partition as usize;
        let sent = &records[n];
        assert_eq!(read.offset, *offset as i64);
        assert_eq!(read.offset, written[n].offset);
        assert_eq!(Some(read.timestamp), sent.timestamp);
        assert_eq!(read.timestamp_type, TimestampType::CreateTime);
        assert_eq!((read.key, read.value), (sent.key, sent.value), "record {n}");
        assert_eq!(read.headers, sent.headers, "record {n}");
        *offset += 1;
    })?;
    assert_eq!(offsets, [COUNT / 4; 4]);

    let report = cluster.dump_log_segments("whole")?;
    assert!(report.is_valid(), "{report:?}");
    assert_eq!(report.records, COUNT as u64);
    let counted: i32 = report.batches.iter().filter_map(|batch| batch.count).sum();
    assert_eq!(counted, COUNT as i32);
    assert!(
        report
            .batches
            .iter()
            .all(|batch| batch.magic == 2 && batch.compression == "lz4")
    );
    Ok(())
}

fn a_million_records_are_read_back_within_a_minute() -> TestResult {
    const COUNT: u64 = 1_000_000;
    let cluster = shared::cluster()?;
    cluster.create_topic("million", 1, &[])?;
    let start = Instant::now();
    let configs = [("linger.ms", "5"), ("batch.size", "65536")];
    cluster.fill_with_java(&configs, "million", COUNT, 100)?;
    println!("written in {:?}", start.elapsed());

    let start = Instant::now();
    let mut next = 0;
    cluster.read_back("million", |read| {
        let value = read.value.expect("every value is there");
        assert_eq!(value.len(), 100);
        assert_eq!(value[..8], u64::to_be_bytes(next));
        next += 1;
    })?;
    assert_eq!(next, COUNT);
    println!("read back in {:?}", start.elapsed());
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );

    let start = Instant::now();
    let report = cluster.dump_log_segments("million")?;
    assert!(report.is_valid());
    assert_eq!(report.records, COUNT);
    println!("dumped in {:?}", start.elapsed());
    cluster.delete_topic("million")?;
    Ok(())
}

fn only_committed_transactions_are_read_as_committed() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("transactions", 1, &[])?;
    let configs = [("transactional.id", "self-test")];
    for (value, transaction) in [
        ("kept", Transaction::Commit),
        ("dropped", Transaction::Abort),
        ("kept too", Transaction::Commit),
    ] {
        let record = JavaRecord {
            value: Some(value.as_bytes()),
            ..JavaRecord::default()
        };
        cluster.produce_with_java(&configs, "transactions", transaction, &[record])?;
    }
    let read = |isolation| -> Result<Vec<String>> {
        let mut values = Vec::new();
        cluster.read_back_with("transactions", isolation, |record| {
            values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
        })?;
        Ok(values)
    };
    assert_eq!(read(Isolation::ReadCommitted)?, ["kept", "kept too"]);
    assert_eq!(
        read(Isolation::ReadUncommitted)?,
        ["kept", "dropped", "kept too"]
    );

    let report = cluster.dump_log_segments("transactions")?;
    assert!(report.is_valid(), "{report:?}");
    let control = report
        .batches
        .iter()
        .filter(|batch| batch.is_control)
        .count();
    assert_eq!((report.batches.len(), control), (6, 3));
    assert!(
        report
            .batches
            .iter()
            .all(|batch| batch.is_transactional && batch.producer_id >= 0)
    );
    Ok(())
}

fn partitions_are_added_and_topics_are_deleted() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("grows", 1, &[("max.message.bytes", "2000")])?;
    cluster.add_partitions("grows", 3)?;
    let partitions = cluster.describe_topic("grows")?;
    let numbers: Vec<i32> = partitions.iter().map(|state| state.partition).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(
        partitions
            .iter()
            .all(|state| state.leader == Some(0) && state.in_sync == [0])
    );

    let large = JavaRecord {
        value: Some(&[7; 3000]),
        ..JavaRecord::default()
    };
    let refused = cluster.produce_with_java(&[], "grows", Transaction::None, &[large]);
    let why = refused
        .expect_err("the topic takes no such record")
        .to_string();
    assert!(why.contains("RecordTooLargeException"), "{why}");

    cluster.delete_topic("grows")?;
    let why = cluster
        .describe_topic("grows")
        .expect_err("it is gone")
        .to_string();
    assert!(why.contains("UnknownTopicOrPartition"), "{why}");
    Ok(())
}

fn a_killed_broker_has_its_records_after_a_restart() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("kept", 1, &[])?;
    write(&cluster, "kept", "before")?;
    let broker = cluster.broker(0);
    let (address, process) = (broker.address(), broker.process_id().ok_or("it runs")?);

    broker.kill()?;
    assert!(!is_running(process)?);
    assert!(TcpStream::connect(address).is_err());
    assert!(broker.kill().is_err(), "it is dead already");

    let start = Instant::now();
    broker.start()?;
    println!("started again in {:?}", start.elapsed());
    assert_eq!(broker.address(), address);
    assert!(broker.start().is_err(), "it runs already");
    write(&cluster, "kept", "after")?;
    assert_eq!(values(&cluster, "kept")?, ["before", "after"]);
    assert!(cluster.dump_log_segments("kept")?.is_valid());
    Ok(())
}

fn a_stopped_broker_exits_and_can_be_started_again() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("kept", 1, &[])?;
    write(&cluster, "kept", "before")?;
    let broker = cluster.broker(0);
    let start = Instant::now();
    broker.stop_clean()?;
    println!("stopped in {:?}", start.elapsed());
    assert!(TcpStream::connect(broker.address()).is_err());
    let log = broker.log_tail();
    assert!(log.contains("shut down completed"), "{log}");
    let start = Instant::now();
    broker.start()?;
    println!("started again in {:?}", start.elapsed());
    assert_eq!(values(&cluster, "kept")?, ["before"]);
    Ok(())
}

fn a_paused_broker_responds_after_it_is_resumed() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default())?;
    cluster.create_topic("slow", 1, &[])?;
    let broker = cluster.broker(0);
    broker.pause()?;
    let limits = [
        ("max.block.ms", "1000"),
        ("request.timeout.ms", "1000"),
        ("delivery.timeout.ms", "2000"),
    ];
    let record = JavaRecord {
        value: Some(b"unheard"),
        ..JavaRecord::default()
    };
    let failed = cluster.produce_with_java(&limits, "slow", Transaction::None, &[record]);
    let why = failed.expect_err("the broker does not respond").to_string();
    assert!(why.contains("TimeoutException"), "{why}");
    broker.resume()?;
    write(&cluster, "slow", "heard")?;
    assert_eq!(
        values(&cluster, "slow")?.last().map(String::as_str),
        Some("heard")
    );
    Ok(())
}

fn three_brokers_replicate_and_survive_the_loss_of_one() -> TestResult {
    let cluster = Cluster::start(
        ClusterOptions::default()
            .brokers(3)
            .config("min.insync.replicas", "2"),
    )?;
    cluster.create_topic("copied", 3, &[])?;
    let leaders = |cluster: &Cluster| -> Result<Vec<Option<usize>>> {
        Ok(cluster
            .describe_topic("copied")?
            .iter()
            .map(|state| state.leader)
            .collect())
    };
    let mut before = leaders(&cluster)?;
    before.sort_unstable();
    assert_eq!(before, [Some(0), Some(1), Some(2)]);
    for n in 0..30 {
        write(&cluster, "copied", &format!("before {n}"))?;
    }
    cluster.broker(1).kill()?;
    for n in 0..30 {
        write(&cluster, "copied", &format!("after {n}"))?;
    }
    assert!(!leaders(&cluster)?.contains(&Some(1)));
    assert_eq!(values(&cluster, "copied")?.len(), 60);
    cluster.broker(1).start()?;

    // The restarted broker replicates the records that it has missed.
    let deadline = Instant::now() + Duration::from_secs(60);
    while cluster
        .describe_topic("copied")?
        .iter()
        .any(|state| state.in_sync.len() < 3)
    {
        assert!(
            Instant::now() < deadline,
            "{:?}",
            cluster.describe_topic("copied")?
        );
    }
    let report = cluster.dump_log_segments("copied")?;
    assert!(report.is_valid(), "{report:?}");
    for broker in 0..3 {
        let records: i32 = report
            .of_broker(broker)
            .filter_map(|batch| batch.count)
            .sum();
        assert_eq!(records, 60, "broker {broker}");
    }
    Ok(())
}

fn brokers_without_zookeeper_keep_their_records_after_a_kill_and_a_stop() -> TestResult {
    let cluster = Cluster::start(ClusterOptions::default().version(NEWEST))?;
    cluster.create_topic("kept", 2, &[])?;
    write(&cluster, "kept", "first")?;
    cluster.broker(0).kill()?;
    cluster.broker(0).start()?;
    write(&cluster, "kept", "second")?;
    cluster.broker(0).stop_clean()?;
    cluster.broker(0).start()?;
    let mut values = values(&cluster, "kept")?;
    values.sort_unstable();
    assert_eq!(values, ["first", "second"]);
    assert!(cluster.dump_log_segments("kept")?.is_valid());
    Ok(())
}

/// One of the processes is paused when the owner is killed: it must end too.
fn no_process_outlives_an_owner_that_is_killed() -> TestResult {
    let mut owner = Command::new(std::env::current_exe()?)
        .env(OWNER_ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(owner.stdout.take().ok_or("its output is piped")?).read_line(&mut line)?;
    let processes: Vec<u32> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    assert_eq!(
        processes.len(),
        4,
        "coordinator, two brokers and helper: {line:?}"
    );
    for process in &processes {
        assert!(is_running(*process)?, "{process} runs");
    }
    owner.kill()?;
    owner.wait()?;

    let start = Instant::now();
    for process in processes {
        while is_running(process)? {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "{process} still runs"
            );
        }
    }
    println!("all gone after {:?}", start.elapsed());
    Ok(())
}

/// The process that [`no_process_outlives_an_owner_that_is_killed`] kills: it starts a cluster, pauses one broker,
/// prints all process ids, and waits to be killed or for the end of its input.
pub(crate) fn own_a_cluster_until_killed() -> ExitCode {
    let cluster = match Cluster::start(ClusterOptions::default().brokers(2)) {
        Ok(cluster) => cluster,
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(failure) = cluster.broker(1).pause() {
        eprintln!("{failure}");
        return ExitCode::FAILURE;
    }
    let processes: Vec<String> = cluster.process_ids().iter().map(u32::to_string).collect();
    println!("{}", processes.join(" "));
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ExitCode::SUCCESS
}

fn write(cluster: &Cluster, topic: &str, value: &str) -> Result<()> {
    let record = JavaRecord {
        value: Some(value.as_bytes()),
        ..JavaRecord::default()
    };
    let configs = [("acks", "all"), ("reconnect.backoff.max.ms", "200")];
    cluster
        .produce_with_java(&configs, topic, Transaction::None, &[record])
        .map(drop)
}

fn values(cluster: &Cluster, topic: &str) -> Result<Vec<String>> {
    let mut values = Vec::new();
    cluster.read_back(topic, |record| {
        values.push(String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned());
    })?;
    Ok(values)
}
