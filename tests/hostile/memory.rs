//! How much memory the process has taken at most.

use std::fs;

/// What one case may take on top of what there was before it.
pub(crate) const BOUND_KIB: u64 = 64 * 1024;

/// Watches the process from its making on.
pub(crate) struct PeakMemory {
    before: u64,
}

impl PeakMemory {
    /// Starts anew: the peak so far is forgotten.
    pub(crate) fn watch() -> Self {
        // The number for "forget the peak" in proc(5). Where it cannot be written, the old peak counts.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Self { before: peak_kib() }
    }

    /// What was taken since at the worst moment, in KiB.
    pub(crate) fn taken_kib(&self) -> u64 {
        peak_kib().saturating_sub(self.before)
    }
}

/// The largest resident size so far, in KiB; 0 where the system does not tell.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[test]
fn memory_that_was_taken_is_seen_also_when_it_is_given_back() {
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
