//! CPU time of the process and of the calling thread.

use std::time::Duration;

/// Whether this system reports CPU times here. Without them, [`cpu_time`] is always zero.
pub(crate) const REPORTS_CPU_TIME: bool = cfg!(unix);

/// A clock of CPU time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CpuClock {
    Process,
    /// The thread that calls [`cpu_time`].
    Thread,
}

#[cfg(unix)]
pub(crate) fn cpu_time(clock: CpuClock) -> Duration {
    use nix::time::{ClockId, clock_gettime};

    let id = match clock {
        CpuClock::Process => ClockId::CLOCK_PROCESS_CPUTIME_ID,
        CpuClock::Thread => ClockId::CLOCK_THREAD_CPUTIME_ID,
    };
    clock_gettime(id).map_or(Duration::ZERO, Duration::from)
}

#[cfg(not(unix))]
pub(crate) fn cpu_time(_: CpuClock) -> Duration {
    Duration::ZERO
}

/// Ticks per second of the times in `/proc`; 100 on all common Linux systems.
pub(crate) fn clock_ticks_per_second() -> f64 {
    #[cfg(unix)]
    {
        use nix::unistd::{SysconfVar, sysconf};

        let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
        if let Some(ticks) = ticks.filter(|ticks| *ticks > 0) {
            return ticks as f64;
        }
    }
    100.0
}
