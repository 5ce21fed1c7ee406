//! Resource usage of threads, from `/proc`.

use std::fs;

/// The resource usage of threads.
#[derive(Default, Clone, Copy)]
pub(crate) struct ThreadUsage {
    pub(crate) nanos: u64,
    system_ticks: u64,
    ticks: u64,
    faults: u64,
    yields: u64,
    preemptions: u64,
}

/// The usage of the sending threads, and of the producer's threads.
#[derive(Default)]
pub(crate) struct Usage {
    callers: ThreadUsage,
    pub(crate) producer: ThreadUsage,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let mut usage = Self::default();
        for task in fs::read_dir("/proc/self/task")
            .into_iter()
            .flatten()
            .flatten()
        {
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let is_producer = read("comm").starts_with("kafka-producer-");
            let of = if is_producer {
                &mut usage.producer
            } else {
                &mut usage.callers
            };
            of.add(&read("stat"), &read("schedstat"), &read("status"));
        }
        usage
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            callers: self.callers.since(&before.callers),
            producer: self.producer.since(&before.producer),
        }
    }

    pub(crate) fn print(&self, records: u64) {
        let all = (self.callers.nanos + self.producer.nanos) as f64 / 1e3 / records as f64;
        println!("    CPU {all:.4} µs a record");
        for (name, of) in [("caller", &self.callers), ("producer", &self.producer)] {
            let per_1000 = |count: u64| count as f64 * 1e3 / records as f64;
            if of.nanos == 0 {
                continue;
            }
            println!(
                "    {name:>8}: {:.4} µs ({:.0} % in the system); per 1,000 records {:.2} page faults, \
                 {:.2} waits, {:.2} preemptions",
                of.nanos as f64 / 1e3 / records as f64,
                of.system_ticks as f64 * 100.0 / of.ticks.max(1) as f64,
                per_1000(of.faults),
                per_1000(of.yields),
                per_1000(of.preemptions),
            );
        }
    }
}

impl ThreadUsage {
    fn add(&mut self, stat: &str, schedstat: &str, status: &str) {
        let tail = stat.rsplit_once(')').map_or("", |(_, tail)| tail);
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|f| f.parse().ok()).unwrap_or(0);
        // Fields 10, 14 and 15 of the line, counted from 1.
        self.faults += field(7);
        self.system_ticks += field(12);
        self.ticks += field(11) + field(12);
        let nanos = schedstat.split_whitespace().next();
        self.nanos += nanos.and_then(|n| n.parse().ok()).unwrap_or(0);
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
        };
        self.yields += line("voluntary_ctxt_switches:");
        self.preemptions += line("nonvoluntary_ctxt_switches:");
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            nanos: self.nanos - before.nanos,
            system_ticks: self.system_ticks - before.system_ticks,
            ticks: self.ticks - before.ticks,
            faults: self.faults - before.faults,
            yields: self.yields - before.yields,
            preemptions: self.preemptions - before.preemptions,
        }
    }
}
