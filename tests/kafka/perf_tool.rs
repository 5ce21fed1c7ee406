//! `kafka-producer-perf-test` compared with Kafka's tool: the same options, the same broker, one parser for both
//! outputs.

use std::process::Command;

use crate::harness::{Cluster, Isolation, run_tool};
use crate::lines::{TOTAL, Total, WINDOW, parse_total, shape};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![
    both_tools_send_alike_and_print_the_same_format,
    both_tools_end_alike_with_a_bad_command_line,
    our_tool_prints_all_metrics_of_kafkas,
];

const KAFKAS: &str = "org.apache.kafka.tools.ProducerPerformance";
const OURS: &str = env!("CARGO_BIN_EXE_kafka-producer-perf-test");

struct Ended {
    code: Option<i32>,
    stdout: String,
}

fn ours(arguments: &[&str]) -> Result<Ended, Box<dyn std::error::Error>> {
    let output = Command::new(OURS).args(arguments).output()?;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
    })
}

fn kafkas(cluster: &Cluster, arguments: &[&str]) -> Result<Ended, Box<dyn std::error::Error>> {
    let (code, stdout) = run_tool(cluster.folder(), KAFKAS, arguments)?;
    Ok(Ended { code, stdout })
}

/// Runs both tools, and prints the first lines of their output.
fn side_by_side(
    cluster: &Cluster,
    arguments: &[&str],
) -> Result<[Ended; 2], Box<dyn std::error::Error>> {
    let both = [ours(arguments)?, kafkas(cluster, arguments)?];
    println!("    {}", arguments.join(" "));
    for (name, ended) in ["ours  ", "kafkas"].iter().zip(&both) {
        for line in ended.stdout.lines().take(4) {
            println!("    {name} | {line}");
        }
    }
    Ok(both)
}

fn both_tools_send_alike_and_print_the_same_format() -> TestResult {
    let cluster = shared::cluster()?;
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let payloads = cluster.folder().join("payloads.txt");
    std::fs::write(&payloads, "one;two;three")?;
    let payloads = payloads.to_str().ok_or("the folder's name is UTF-8")?;
    let config = cluster.folder().join("perf.properties");
    std::fs::write(&config, "acks=1\nlinger.ms=5\n")?;
    let config = config.to_str().ok_or("the folder's name is UTF-8")?;
    let sized = ["--record-size", "100"];
    let of_a_file = [
        "--payload-file",
        payloads,
        "--payload-delimiter",
        ";",
        "--producer.config",
        config,
    ];
    let in_transactions = [
        "--record-size",
        "100",
        "--transaction-duration-ms",
        "20",
        "--transactional-id",
        "perf",
    ];
    // Topic, records, rate, further options, minimum of windows.
    let runs: [(&str, u64, &str, &[&str], usize); 4] = [
        ("perf-sized", 50_000, "-1", &sized, 0),
        ("perf-file", 20_000, "-1", &of_a_file, 0),
        ("perf-transactions", 20_000, "-1", &in_transactions, 0),
        ("perf-paced", 560, "100", &sized, 1),
    ];
    for (topic, records, rate, further, windows) in runs {
        cluster.create_topic(topic, 3, &[])?;
        let records_text = records.to_string();
        let base = [
            "--topic",
            topic,
            "--num-records",
            &records_text,
            "--throughput",
            rate,
            "--producer-props",
            &servers,
        ];
        let both = side_by_side(&cluster, &[&base, further].concat())?;
        let [first, second] = both.map(|ended| checked(&ended, records, windows));
        let (ours, kafkas) = (first?, second?);
        if rate == "100" {
            for total in [&ours, &kafkas] {
                let paced = (90.0..=101.0).contains(&total.records_per_second);
                assert!(paced, "{total:?}");
            }
        }
        let mut found = 0;
        cluster.read_back_with(topic, Isolation::ReadCommitted, |_| found += 1)?;
        assert_eq!(found, 2 * records, "both sent all of them to {topic}");
        let dump = cluster.dump_log_segments(topic)?;
        let markers = dump.batches.iter().filter(|batch| batch.is_control).count();
        let is_in_transactions = further == in_transactions;
        println!("    {topic}: {markers} markers");
        // Only transactions write markers. Both tools write several to each of the three partitions.
        assert_eq!(
            markers >= 12,
            is_in_transactions,
            "{topic}: {markers} markers"
        );
    }
    Ok(())
}

/// Checks the output of one tool: messages about the payload file, windows, total. Returns the parsed total.
fn checked(ended: &Ended, records: u64, windows: usize) -> Result<Total, String> {
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let lines: Vec<&str> = ended
        .stdout
        .lines()
        .skip_while(|line| {
            line.starts_with("Reading payloads from: /") || *line == "Number of messages read: 3"
        })
        .collect();
    let (last, rest) = lines.split_last().ok_or("it printed nothing")?;
    assert_eq!(shape(last), TOTAL);
    assert!(rest.len() >= windows, "{}", ended.stdout);
    for line in rest {
        assert_eq!(shape(line), WINDOW);
    }
    let total = parse_total(last).ok_or_else(|| format!("cannot parse {last:?}"))?;
    assert_eq!(total.records, records);
    assert!(total.megabytes_per_second >= 0.0 && total.latency_avg_ms <= total.latency_max_ms);
    assert!(total.percentiles_ms.is_sorted(), "{total:?}");
    Ok(total)
}

fn both_tools_end_alike_with_a_bad_command_line() -> TestResult {
    let cluster = shared::cluster()?;
    let help = side_by_side(&cluster, &[])?;
    for ended in &help {
        assert_eq!(ended.code, Some(0));
        for option in [
            "--topic",
            "--num-records",
            "--record-size",
            "--payload-file",
            "--payload-delimiter",
            "--throughput",
            "--producer-props",
            "--producer.config",
            "--print-metrics",
            "--transactional-id",
            "--transaction-duration-ms",
        ] {
            assert!(ended.stdout.contains(option), "{option}");
        }
    }
    let good = "--topic t --num-records 1 --throughput -1 --record-size 1 --producer-props a=b";
    for (cut, put) in [
        ("--topic t ", ""),
        ("--num-records 1", "--num-records x"),
        ("--num-records 1", "--num-records 0"),
        ("--record-size 1", "--record-size -1"),
        ("--record-size 1", "--record-size 1 --payload-file f"),
        ("--record-size 1", "--payload-file /no/such/file"),
        ("--producer-props a=b", ""),
        ("--producer-props a=b", "--producer-props ab"),
        ("--producer-props a=b", "--producer.config /no/such/file"),
        ("--topic t", "--topic t --bogus"),
        ("--topic t", "--pro t"),
    ] {
        let line = good.replace(cut, put);
        let arguments: Vec<&str> = line.split_whitespace().collect();
        for ended in [ours(&arguments)?, kafkas(&cluster, &arguments)?] {
            assert_eq!(ended.code, Some(1), "{line}");
        }
    }
    Ok(())
}

fn our_tool_prints_all_metrics_of_kafkas() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("perf-metrics", 1, &[])?;
    let servers = format!("bootstrap.servers={}", cluster.bootstrap_servers());
    let arguments = [
        "--topic",
        "perf-metrics",
        "--num-records",
        "10",
        "--throughput",
        "-1",
        "--record-size",
        "10",
        "--print-metrics",
        "--producer-props",
        &servers,
        "client.id=me",
    ];
    let [ours, kafkas] = side_by_side(&cluster, &arguments)?;
    let rows = |ended: &Ended| -> Vec<(String, String)> {
        let lines = ended.stdout.lines().skip(3);
        let row = |line: &str| {
            let (name, value) = line.split_once(" : ")?;
            Some((name.trim_end().to_owned(), shape(value)))
        };
        lines.filter_map(row).collect()
    };
    let (ours, kafkas) = (rows(&ours), rows(&kafkas));
    for (name, value) in &kafkas {
        let Some((_, of_ours)) = ours.iter().find(|(of_ours, _)| of_ours == name) else {
            return Err(format!("{name} is none of {ours:#?}").into());
        };
        // Whether a metric has a sample may depend on timing; a version number has another format.
        let is_of_time = [value, of_ours].iter().any(|value| *value == "NaN");
        if !is_of_time && !name.starts_with("app-info:") {
            assert_eq!(of_ours, value, "{name}");
        }
    }
    let further: Vec<&str> = ours
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !kafkas.iter().any(|(of_kafkas, _)| of_kafkas == name))
        .collect();
    println!("    {} of Kafka's; beside them {further:#?}", kafkas.len());
    // Our further metrics come from later versions of Kafka, and all of them are times.
    assert!(kafkas.len() >= 100);
    assert!(further.iter().all(|name| name.contains("-time-ns-total:")));
    Ok(())
}
