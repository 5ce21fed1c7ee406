//! An idle producer uses no CPU.

use std::fs;
use std::time::Duration;

use kafka_producer::ProducerRecord;

use super::{Producer, build, config};
use crate::runner::{TestResult, tests};
use crate::shared;

tests![an_idle_producer_does_not_wake_up];

const WINDOW: Duration = Duration::from_secs(60);
/// Clock ticks of `/proc` per second, the same on every common Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// 60 s with 1 and with 1,000 cached partitions: at most 0.2 % of a core and 5 wake-ups per second.
fn an_idle_producer_does_not_wake_up() -> TestResult {
    let cluster = shared::cluster()?;
    cluster.create_topic("idle-1", 1, &[])?;
    cluster.create_topic("idle-1000", 1000, &[])?;
    let one = build(config(&cluster.bootstrap_servers()).client_id("idle-1"))?;
    let many = build(config(&cluster.bootstrap_servers()).client_id("idle-1000"))?;
    one.send(ProducerRecord::new("idle-1", &b"x"[..]))?.get()?;
    many.send(ProducerRecord::new("idle-1000", &b"x"[..]))?
        .get()?;
    assert_eq!(many.partitions_for("idle-1000")?.len(), 1000);
    let threads = sender_threads()?;
    assert_eq!(threads.len(), 2, "each producer has one thread");
    let before: Vec<Usage> = threads
        .iter()
        .map(|id| usage(id))
        .collect::<Result<_, _>>()?;
    let loops = [&one, &many].map(|producer: &Producer| producer.snapshot().sender_loops);
    std::thread::sleep(WINDOW);
    for (thread, before) in threads.iter().zip(before) {
        let after = usage(thread)?;
        let core = (after.ticks - before.ticks) as f64 / TICKS_PER_SECOND / WINDOW.as_secs_f64();
        let wake_ups = (after.switches - before.switches) as f64 / WINDOW.as_secs_f64();
        println!(
            "    {:.3} % of a core, {wake_ups:.2} wake-ups a second",
            core * 100.0
        );
        assert!(core <= 0.002 && wake_ups <= 5.0);
    }
    for (producer, before) in [&one, &many].into_iter().zip(loops) {
        let turns = producer.snapshot().sender_loops - before;
        println!("    {turns} turns of the loop in {WINDOW:?}");
        assert!(turns as f64 <= 5.0 * WINDOW.as_secs_f64());
    }
    one.close()?;
    many.close()?;
    Ok(())
}

struct Usage {
    ticks: u64,
    switches: u64,
}

/// The sender threads of this process.
fn sender_threads() -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        // The kernel truncates thread names to 15 bytes.
        if fs::read_to_string(path.join("comm"))?.trim_end() == "kafka-producer-" {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

fn usage(task: &str) -> Result<Usage, Box<dyn std::error::Error>> {
    let stat = fs::read_to_string(format!("{task}/stat"))?;
    let after_name = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // Fields 14 and 15 of the whole line, counted from 1: user and system time.
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let status = fs::read_to_string(format!("{task}/status"))?;
    let switches = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .ok_or("no context switches in status")?;
    Ok(Usage {
        ticks,
        switches: switches.trim().parse()?,
    })
}
