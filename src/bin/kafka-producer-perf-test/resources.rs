//! CPU time and memory of a run, and the tool's own share of the CPU time.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::time::Duration;

use crate::clock::RunClock;
use crate::console::Console;
use crate::cpu_clock::{CpuClock, clock_ticks_per_second, cpu_time};
use crate::interrupt::Interruption;
use crate::load::{Load, Nowhere};
use crate::payload::Payloads;
use crate::stats::Stats;
use crate::throttle::Throttle;
use crate::timeline::Timeline;

/// Minimum CPU time for which each part of the tool's own work is measured.
const MEASURING_TIME: Duration = Duration::from_millis(250);
/// Records between two reads of the clock during the measurement.
const STRIDE: u64 = 1000;

/// CPU time and peak memory of this process. `None` for values that the system does not report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) process: Duration,
    user: Option<Duration>,
    system: Option<Duration>,
    sending_thread: Duration,
    producers_thread: Option<Duration>,
    pub(crate) peak_memory_kb: Option<u64>,
}

impl Usage {
    /// The CPU times of the two threads are right only if this is called on the sending thread while the producer is
    /// alive: `sending_thread` is that of the calling thread, and a thread's CPU time cannot be read after its end. The
    /// page shows neither of them, and may be written on another thread.
    pub(crate) fn now() -> Self {
        let times = fs::read_to_string("/proc/self/stat").ok();
        let times = times.and_then(|stat| user_and_system(&stat));
        Self {
            process: cpu_time(CpuClock::Process),
            user: times.map(|(user, _)| user),
            system: times.map(|(_, system)| system),
            sending_thread: cpu_time(CpuClock::Thread),
            producers_thread: producers_thread(),
            peak_memory_kb: peak_memory_kb(),
        }
    }

    /// The CPU times since `before`. The memory is the peak since the start of the process.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let passed = |now: Option<Duration>, before: Option<Duration>| {
            now.zip(before)
                .map(|(now, before)| now.saturating_sub(before))
        };
        Self {
            process: self.process.saturating_sub(before.process),
            user: passed(self.user, before.user),
            system: passed(self.system, before.system),
            sending_thread: self.sending_thread.saturating_sub(before.sending_thread),
            producers_thread: passed(self.producers_thread, before.producers_thread),
            peak_memory_kb: self.peak_memory_kb,
        }
    }

    pub(crate) fn report(&self, records: u64, own: &OwnShare, buffer_memory: usize) -> String {
        let per_record = |time: Duration| time.as_secs_f64() * 1e6 / records.max(1) as f64;
        let seconds = |time: Option<Duration>| {
            time.map_or_else(
                || "?".to_owned(),
                |time| format!("{:.2}", time.as_secs_f64()),
            )
        };
        let micros = |time: Option<Duration>| {
            time.map_or_else(|| "?".to_owned(), |time| format!("{:.3}", per_record(time)))
        };
        let memory = self
            .peak_memory_kb
            .map_or_else(|| "?".to_owned(), |kb| format!("{:.1}", kb as f64 / 1024.0));
        let buffer = buffer_memory as f64 / 1024.0 / 1024.0;
        let process = per_record(self.process);
        [
            format!(
                "CPU time: {:.2} s ({} user, {} system), {process:.3} us per record",
                self.process.as_secs_f64(),
                seconds(self.user),
                seconds(self.system)
            ),
            format!(
                "  sending thread: {:.3} us per record, of which the tool's loop {:.3}",
                per_record(self.sending_thread),
                own.loop_us
            ),
            format!(
                "  producer's thread: {} us per record, of which the tool's callback {:.3}",
                micros(self.producers_thread),
                own.callback_us
            ),
            format!(
                "  without the tool: {:.3} us per record",
                process - own.loop_us - own.callback_us
            ),
            format!("Peak memory: {memory} MiB (buffer.memory: {buffer:.1} MiB)"),
        ]
        .join("\n")
    }
}

/// CPU time of the tool itself, in microseconds per record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnShare {
    /// Work on the sending thread: payload, record, clock. Sleeps for `--throughput` take no CPU time.
    loop_us: f64,
    /// Work on the sender thread: clock, histogram, sums. Excludes the allocation of the callback, because the
    /// callbacks of other programs are allocated too.
    callback_us: f64,
}

impl OwnShare {
    /// Runs the same code without a producer: the loop except the call of `send`, and the body of the callback.
    /// `timeline` is `None` if the run had none.
    pub(crate) fn measure(
        topic: &str,
        payloads: &mut Payloads,
        timeline: Option<Timeline>,
    ) -> Result<Self, Box<dyn Error>> {
        let clock = RunClock::start();
        let load = Load {
            topic,
            records: STRIDE,
            throttle: Throttle::new(None),
            clock,
            interruption: &Interruption::default(),
        };
        let loop_us = micros_per_record(|| load.send(&Nowhere, payloads))?;
        let stats = Stats::new(clock, Console::silent(), timeline)?;
        let callback_us = micros_per_record(|| {
            for _ in 0..STRIDE {
                black_box(&stats).completed(black_box(0), black_box(100), None);
            }
            Ok(())
        })?;
        Ok(Self {
            loop_us,
            callback_us,
        })
    }
}

/// CPU time of this thread in microseconds per record; each call of `work` processes `STRIDE` records.
fn micros_per_record(
    mut work: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    work()?; // warm-up of caches and branch prediction, as in the middle of a run
    let began = cpu_time(CpuClock::Thread);
    let mut records = 0_u64;
    loop {
        work()?;
        records += STRIDE;
        let passed = cpu_time(CpuClock::Thread).saturating_sub(began);
        if passed >= MEASURING_TIME {
            return Ok(passed.as_secs_f64() * 1e6 / records as f64);
        }
    }
}

/// The CPU time of the sender thread, which is found by its name. The name of the main thread is that of the program,
/// with the same prefix. The main thread is therefore excluded by its thread id, which equals the process id.
fn producers_thread() -> Option<Duration> {
    let main = std::process::id().to_string();
    fs::read_dir("/proc/self/task")
        .ok()?
        .flatten()
        .filter(|task| task.file_name().to_str() != Some(&main))
        .filter(|task| {
            fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.starts_with("kafka-producer-"))
        })
        .find_map(|task| {
            let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let nanos = times.split_whitespace().next()?.parse().ok()?;
            Some(Duration::from_nanos(nanos))
        })
}

/// Fields 14 and 15 (from 1) of `/proc/self/stat`. The second field is a name that may contain anything.
fn user_and_system(stat: &str) -> Option<(Duration, Duration)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || -> Option<Duration> {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_secs_f64(
            ticks as f64 / clock_ticks_per_second(),
        ))
    };
    Some((next()?, next()?))
}

/// The peak memory of this process in KiB; `None` if the system does not report it.
fn peak_memory_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    peak_memory(&status)
}

/// The peak memory: the line `VmHWM: <number> kB` of `/proc/self/status`.
fn peak_memory(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 125 0 0";
        let ticks = clock_ticks_per_second();
        let (user, system) = user_and_system(stat).unwrap();
        assert_eq!(user, Duration::from_secs_f64(250.0 / ticks));
        assert_eq!(system, Duration::from_secs_f64(125.0 / ticks));
        assert_eq!(
            peak_memory("Name:\tx\nVmHWM:\t   4321 kB\nVmRSS: 1 kB"),
            Some(4321)
        );
        assert_eq!(
            (user_and_system("7"), peak_memory("VmHWM: x")),
            (None, None)
        );
    }

    #[cfg(unix)]
    #[test]
    fn cpu_time_is_measured() {
        let before = Usage::now();
        let own = OwnShare::measure("t", &mut Payloads::open(&source()).unwrap(), None).unwrap();
        let used = Usage::now().since(&before);
        assert!(used.sending_thread >= 2 * MEASURING_TIME, "{used:?}");
        assert!(used.process >= used.sending_thread, "{used:?}");
        assert!(own.loop_us > 0.0 && own.callback_us > 0.0, "{own:?}");
    }

    fn source() -> crate::options::PayloadSource {
        crate::options::PayloadSource::Random { bytes: 100 }
    }

    #[test]
    fn the_share_of_the_tool_is_printed_separately() {
        let second = Duration::from_secs(1);
        let usage = Usage {
            process: 3 * second,
            user: Some(2 * second),
            system: Some(second),
            sending_thread: 2 * second,
            producers_thread: None,
            peak_memory_kb: Some(1536),
        };
        let own = OwnShare {
            loop_us: 0.5,
            callback_us: 0.25,
        };
        assert_eq!(
            usage.report(1_000_000, &own, 1 << 25),
            "CPU time: 3.00 s (2.00 user, 1.00 system), 3.000 us per record\n  \
             sending thread: 2.000 us per record, of which the tool's loop 0.500\n  \
             producer's thread: ? us per record, of which the tool's callback 0.250\n  \
             without the tool: 2.250 us per record\n\
             Peak memory: 1.5 MiB (buffer.memory: 32.0 MiB)"
        );
    }
}
