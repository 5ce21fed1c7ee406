//! Peak memory of the process.

use std::fs;

/// Limit of the peak memory of one case, above the memory before the case.
pub(crate) const BOUND_KIB: u64 = 64 * 1024;

/// Measures the peak memory since its creation.
pub(crate) struct PeakMemory {
    before: u64,
}

impl PeakMemory {
    /// Resets the peak.
    pub(crate) fn watch() -> Self {
        // The value for "reset the peak" in proc(5). If it cannot be written, the previous peak counts.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self { before: peak_kib() }
    }

    /// The peak above the memory at the start, in KiB.
    pub(crate) fn taken_kib(&self) -> u64 {
        peak_kib().saturating_sub(self.before)
    }
}

/// The peak resident set size, in KiB; 0 where the system does not report it.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn the_peak_includes_memory_that_was_freed_again() {
    let _alone = crate::case::one_at_a_time();
    let peak = PeakMemory::watch();
    if peak.before == 0 {
        return;
    }
    drop(std::hint::black_box(vec![1_u8; 80 << 20]));
    assert!(peak.taken_kib() > 70 * 1024, "{} KiB", peak.taken_kib());
    let again = PeakMemory::watch();
    assert!(again.taken_kib() < 10 * 1024, "{} KiB", again.taken_kib());
}
