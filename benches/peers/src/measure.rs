//! Measures processes from outside.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// The processes of a client or a broker: a process and its descendants.
#[derive(Debug, Clone)]
pub struct Processes(Vec<u32>);

/// The resource usage of processes so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_ns: u64,
    pub user_ns: u64,
    pub system_ns: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
}

impl Usage {
    /// The usage since `before`. The context switches of a thread that has ended meanwhile are missing.
    pub fn since(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(before.cpu_ns),
            user_ns: self.user_ns.saturating_sub(before.user_ns),
            system_ns: self.system_ns.saturating_sub(before.system_ns),
            voluntary_switches: self
                .voluntary_switches
                .saturating_sub(before.voluntary_switches),
            involuntary_switches: self
                .involuntary_switches
                .saturating_sub(before.involuntary_switches),
        }
    }
}

impl Processes {
    /// The process with this id, and its current descendants.
    pub fn of(root: u32) -> Self {
        let mut found = vec![root];
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            next += 1;
            for task in tasks(pid) {
                let children = fs::read_to_string(format!("/proc/{pid}/task/{task}/children"));
                let children = children.unwrap_or_default();
                found.extend(
                    children
                        .split_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
        }
        Self(found)
    }

    pub fn cpu(&self) -> Result<Duration> {
        self.0.iter().map(|pid| cpu(*pid)).sum()
    }

    /// # Errors
    /// If one of the processes has ended.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage {
            cpu_ns: u64::try_from(self.cpu()?.as_nanos())?,
            ..Usage::default()
        };
        for &pid in &self.0 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
                .with_context(|| format!("process {pid} is gone"))?;
            let (user, system) = times(&stat).context("/proc/PID/stat has another form")?;
            usage.user_ns += user * TICK_NS;
            usage.system_ns += system * TICK_NS;
            for task in tasks(pid) {
                let status = fs::read_to_string(format!("/proc/{pid}/task/{task}/status"));
                let status = status.unwrap_or_default();
                usage.voluntary_switches += field(&status, "voluntary_ctxt_switches").unwrap_or(0);
                usage.involuntary_switches +=
                    field(&status, "nonvoluntary_ctxt_switches").unwrap_or(0);
            }
        }
        Ok(usage)
    }

    /// The sum of the processes' peaks of resident memory, in KiB, since their start or the last reset.
    pub fn peak_kib(&self) -> u64 {
        self.sum_of("VmHWM")
    }

    pub fn threads(&self) -> u64 {
        self.sum_of("Threads")
    }

    fn sum_of(&self, key: &str) -> u64 {
        let of = |pid: &u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            field(&status, key)
        };
        self.0.iter().filter_map(of).sum()
    }

    /// Resets the peaks. Returns false if the system does not support it.
    pub fn reset_peak(&self) -> bool {
        self.0
            .iter()
            .all(|pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok())
    }
}

/// The thread ids and names of a process.
pub fn thread_names(pid: u32) -> Vec<(u32, String)> {
    let named = |task: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/task/{task}/comm")).ok()?;
        Some((task, name.trim().to_owned()))
    };
    tasks(pid).into_iter().filter_map(named).collect()
}

/// The CPU time of all threads of a process whose name begins with `prefix`, in nanoseconds.
pub fn cpu_ns_of_threads(pid: u32, prefix: &str) -> u64 {
    let of = |(task, name): (u32, String)| {
        let is_counted = name.starts_with(prefix);
        let file = format!("/proc/{pid}/task/{task}/schedstat");
        let text = is_counted.then(|| fs::read_to_string(file).ok())??;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    thread_names(pid).into_iter().filter_map(of).sum()
}

/// The descendants of a process.
pub fn children(pid: u32) -> Vec<u32> {
    Processes::of(pid).0.split_off(1)
}

fn cpu(pid: u32) -> Result<Duration> {
    let clock: ClockId = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid)?))
        .with_context(|| format!("process {pid} is gone"))?;
    let time = clock
        .now()
        .with_context(|| format!("process {pid} is gone"))?;
    Ok(Duration::from(time))
}

fn tasks(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Parses user and system time in ticks: fields 14 and 15. The name, field 2, may contain any character.
fn times(stat: &str) -> Option<(u64, u64)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Parses a line such as `Key:  123 kB`.
fn field(status: &str, key: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

/// The length of a tick, the unit of times in `/proc` on Linux.
const TICK_NS: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_times() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 31 12 0 0 20 0 1 0";
        assert_eq!(times(stat), Some((31, 12)));
    }

    #[test]
    fn a_key_is_not_taken_for_the_end_of_another() {
        let status =
            "nonvoluntary_ctxt_switches:\t3\nvoluntary_ctxt_switches:\t5\nVmHWM:\t  12 kB\n";
        assert_eq!(field(status, "voluntary_ctxt_switches"), Some(5));
        assert_eq!(field(status, "nonvoluntary_ctxt_switches"), Some(3));
        assert_eq!(field(status, "VmHWM"), Some(12));
    }

    #[test]
    fn the_resource_usage_of_a_child_process_is_measured() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let end = std::time::Instant::now() + Duration::from_secs(20);
        let processes = loop {
            let processes = Processes::of(child.id());
            let used = processes.usage().unwrap_or_default();
            if used.cpu_ns >= 20_000_000 && used.user_ns + used.system_ns > 0 {
                break processes;
            }
            assert!(std::time::Instant::now() < end, "{used:?}");
        };
        let before = processes.usage().unwrap();
        assert_eq!(before.since(before), Usage::default());
        assert!(processes.peak_kib() > 0 && processes.threads() >= 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            processes
                .usage()
                .unwrap_err()
                .to_string()
                .contains("is gone")
        );
    }

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
